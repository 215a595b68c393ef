"""Snakemake run as a user runs it, and a folder with the tiny experiment's data."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.tiny import TINY, command, environment, write_inputs

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def snakemake() -> Snakemake:
    """Runs Snakemake in a folder and returns what it printed, both streams as one."""

    def run(folder: Path, *options: str | Path, config: Path = TINY) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*options, config=config),
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with dataset and weights, in which no rule has run yet."""
    return write_inputs(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def finished(snakemake: Snakemake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after a whole run, to be looked at and planned in; what changes its files works in a copy of it."""
    folder = write_inputs(tmp_path_factory.mktemp("finished"))
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout
    return folder
