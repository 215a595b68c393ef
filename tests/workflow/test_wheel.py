"""The package that pip installs: built, unpacked into a folder that is then all of tagmask, and used elsewhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.workflow.tiny import REPOSITORY, TINY, environment, jobs_of, write_dataset

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    return Path(next(WheelBuilder(str(REPOSITORY)).build(directory=str(folder), versions=["standard"])))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like pip's for packages, with nothing but the wheel in it."""
    folder = tmp_path_factory.mktemp("packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A folder of a user's: the tiny experiment's images and weights and a config, and nothing of tagmask's."""
    folder = tmp_path_factory.mktemp("photos")
    write_dataset(folder / "set")
    (folder / "weights").symlink_to(weights)
    (folder / "mine.yaml").write_text(TINY.read_text())
    return folder


def tagmask(*words: str, folder: Path, installed: Path) -> subprocess.CompletedProcess[str]:
    """`tagmask` of the wheel, by the full path of its Python: nobody has activated its environment."""
    named = environment() | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.defpath}
    command = [sys.executable, "-m", "stages.cli", *words]
    return subprocess.run(command, cwd=folder, env=named, capture_output=True, text=True, check=False)


def files_of(folder: Path) -> dict[str, int]:
    """Files below a folder with the time of their last change."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_wheel_has_the_program_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    program = "stages/cli/program"
    for name in ("Snakefile", "environment.yml", *(f"workflow/{part}" for part in ("rules", "report", "schemas"))):
        own = REPOSITORY / name
        expected = [own] if own.is_file() else [path for path in own.rglob("*") if path.is_file()]
        assert {f"{program}/{path.relative_to(REPOSITORY)}" for path in expected} <= names
    configs = [path for path in (REPOSITORY / "configs").rglob("*") if path.suffix in (".py", ".yaml")]
    assert {f"{program}/{path.relative_to(REPOSITORY)}" for path in configs} <= names
    assert {f"{program}/profiles/{name}/config.yaml" for name in ("default", "slurm", "cluster-generic")} <= names
    assert f"{program}/workflow/plugins/snakemake_logger_plugin_tagmask/__init__.py" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/")) or "__pycache__" in name]


def test_an_experiment_is_planned_in_any_folder(photos: Path, installed: Path) -> None:
    before = files_of(installed)
    done = tagmask("run", "-n", "-c", "mine.yaml", folder=photos, installed=installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs_of(done.stdout)["train_localizer"] == 1
    # The installed profile: without it, `gpu=1` in the rules would mean nothing.
    assert f"Using workflow specific profile {installed}/stages/cli/program/profiles/default" in done.stderr
    assert files_of(installed) == before
    assert not (photos / "Snakefile").exists()


def test_configs_that_come_along_are_found_by_name(installed: Path, tmp_path: Path) -> None:
    for name in ("demo", "configs/demo.yaml"):
        done = tagmask("run", "-n", "-c", name, folder=tmp_path, installed=installed)
        assert jobs_of(done.stdout)["compose"] == 1, done.stdout + done.stderr
    missing = tagmask("run", "-n", "-c", "dome", folder=tmp_path, installed=installed)
    assert missing.returncode == 1
    assert "take one of tagmask's own: coco14, coco14-clip-es, custom, demo," in missing.stderr


def test_it_says_where_it_is(installed: Path, tmp_path: Path) -> None:
    done = tagmask("where", folder=tmp_path, installed=installed)
    assert done.stdout.strip() == str(installed / "stages/cli/program")
