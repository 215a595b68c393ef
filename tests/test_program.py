"""Where tagmask finds itself, and which Python its jobs run in."""

import os
import sys
from pathlib import Path

import pytest

from stages import program as places
from stages.program import clone, job_environment, or_own, program, sources_of

REPOSITORY = Path(__file__).parents[1]


def test_a_clone_is_its_own_program() -> None:
    assert clone() == program() == REPOSITORY
    assert sources_of(REPOSITORY) == REPOSITORY


def test_an_installed_package_has_its_program_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages/stages"
    monkeypatch.setattr(places, "PACKAGE", package)
    monkeypatch.setattr(places, "INSTALLED", package / "cli/program")
    assert clone() is None
    assert program() == package / "cli/program"
    assert sources_of(program()) == tmp_path / "site-packages"


def test_a_file_of_ones_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = Path("configs/demo.yaml")
    assert or_own(config) == REPOSITORY / config
    assert or_own(Path("configs/none.yaml")) == Path("configs/none.yaml")
    config.parent.mkdir()
    config.touch()
    assert or_own(config) == config


def test_jobs_run_in_this_python_and_its_folder_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert job_environment()["PATH"] == f"{own}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", f"{own}:/usr/bin")
    assert job_environment()["PATH"] == f"{own}:/usr/bin"
    monkeypatch.delenv("PATH")
    assert job_environment()["PATH"] == f"{own}:{os.defpath}"


def test_snakemake_finds_the_display_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = str(REPOSITORY / "workflow/plugins")
    assert (Path(plugins) / "snakemake_logger_plugin_tagmask/__init__.py").is_file()
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert job_environment()["PYTHONPATH"] == plugins
    monkeypatch.setenv("PYTHONPATH", "/own")
    assert job_environment()["PYTHONPATH"] == f"{plugins}{os.pathsep}/own"
