"""Snakemake run as a user runs it, and folders with the tiny experiment's data: each made once, however many processes
test side by side."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.workflow.planner import Planner
from tests.workflow.tiny import TINY, command, environment, write_inputs, write_weights
from tests.workflow.warm_jobs import WarmJobs

Snakemake = Callable[..., subprocess.CompletedProcess[str]]
STARTS_NOTHING = {"-n", "--dry-run", "--lint"}


@pytest.fixture(scope="session")
def planner() -> Iterator[Planner]:
    with Planner(environment()) as started:
        yield started


def running_in(environment: dict[str, str], planner: Callable[[], Planner]) -> Snakemake:
    def run(folder: Path, *options: str | Path, config: Path = TINY) -> subprocess.CompletedProcess[str]:
        words = command(*options, config=config)
        if STARTS_NOTHING & set(words):
            return subprocess.CompletedProcess(words, *planner().run(words, folder, environment))
        return subprocess.run(
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def snakemake(request: pytest.FixtureRequest) -> Snakemake:
    """Runs Snakemake in a folder and returns what it printed, both streams as one; plans without its start."""
    return running_in(environment(), lambda: request.getfixturevalue("planner"))


@pytest.fixture(scope="session")
def warm_environment() -> Iterator[dict[str, str]]:
    """The environment in which jobs are there without their start; for runs whose subject is what jobs do."""
    with (
        tempfile.TemporaryDirectory(prefix="tagmask-") as folder,
        WarmJobs(Path(folder), environment()) as jobs,
    ):
        yield jobs.environment(environment())


@pytest.fixture(scope="session")
def warm_snakemake(request: pytest.FixtureRequest, warm_environment: dict[str, str]) -> Snakemake:
    """As `snakemake`, in that environment."""
    return running_in(warm_environment, lambda: request.getfixturevalue("planner"))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of this session that `make` fills: by the first of the processes that asks for it; the others wait."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each process has a folder of its own in that of the session
        base = base.parent
    folder, made = base / name, base / f"{name}.made"
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # where another process failed to make it
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny experiment's weights, which nothing changes."""
    return made_once(tmp_path_factory, "weights", write_weights)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A working folder with dataset and weights, in which no rule has run yet; to be planned in and copied."""
    return made_once(tmp_path_factory, "tiny", lambda folder: write_inputs(folder, weights))


@pytest.fixture(scope="session")
def finished(snakemake: Snakemake, tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """The folder after a whole run, to be looked at and planned in; what changes its files works in a copy of it."""

    def make(folder: Path) -> None:
        result = snakemake(write_inputs(folder, weights))
        assert result.returncode == 0, result.stdout

    return made_once(tmp_path_factory, "finished", make)
