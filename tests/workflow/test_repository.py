"""What must agree: style, schema and settings, the lists of versions."""

import re
import shutil
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import jsonschema
import pytest
import yaml

from stages.schema import SCHEMA, schema_text
from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import REPOSITORY, environment

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CONFIGS = [*sorted((REPOSITORY / "configs").glob("*.yaml")), *sorted((REPOSITORY / "tests/configs").glob("*.yaml"))]


def versions(requirements: list[str]) -> dict[str, str]:
    """Version by package name, in the one spelling that PyPI knows for it."""
    pairs = (line.split("==") for line in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def test_the_rules_are_clean(snakemake: Snakemake, tmp_path: Path) -> None:
    result = snakemake(tmp_path, "--lint", config=REPOSITORY / "configs/demo.yaml")
    assert result.returncode == 0, result.stdout
    assert "good condition" in result.stdout


def test_the_rules_are_formatted() -> None:
    result = subprocess.run(
        ["snakefmt", "--check", "Snakefile", "workflow"],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_schema_is_that_of_the_settings() -> None:
    assert (REPOSITORY / SCHEMA).read_text() == schema_text(), "run `python -m stages.schema`"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_fits_the_schema(path: Path) -> None:
    schema = yaml.safe_load((REPOSITORY / SCHEMA).read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_conda_users_get_the_same_versions() -> None:
    dependencies = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    (by_pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert versions(by_pip) == versions(PROJECT["dependencies"])


def test_the_constraints_have_the_versions_asked_for() -> None:
    lines = (REPOSITORY / ".constraints.txt").read_text().splitlines()
    constraints = versions([line for line in lines if not line.startswith("#")])
    asked = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    assert versions(asked).items() <= constraints.items()


def test_make_says_in_one_line_that_python_is_missing(tmp_path: Path) -> None:
    result = subprocess.run(
        ["make", "environment", f"VENV={tmp_path / 'venv'}", "PYTHON=python3.11-not-there"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert result.stderr.startswith("error: no python3.11-not-there; install Python 3.11, 3.12 or 3.13")
    assert not (tmp_path / "venv").exists()


def test_a_commit_is_checked_once_pre_commit_is_installed(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)

    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    run("git", "init", "--quiet")
    assert run("pre-commit", "install").returncode == 0
    (tmp_path / "module.py").write_text("import os\nvalue=1\n")
    run("git", "add", "--all")
    refused = run("git", *identity, "commit", "--message", "unformatted")
    assert refused.returncode != 0
    assert (tmp_path / "module.py").read_text() == "value = 1\n"  # the unused import removed, and formatted
    run("git", "add", "--all")
    done = run("git", *identity, "commit", "--message", "formatted")
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_demo_is_the_workflow_on_the_demos_config() -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "demo", "CORES=3"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert "snakemake --cores 3 --configfile configs/demo.yaml -- all\n" in recipe
