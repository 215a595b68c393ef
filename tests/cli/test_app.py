"""`tagmask`: the command lines that it builds, its help, and its errors."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli import app as cli
from stages.cli.app import app
from tests.workflow.tiny import REPOSITORY, environment

Calls = list[list[str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What would be run."""
    made: Calls = []
    monkeypatch.setattr(cli, "call", lambda *words, folder: made.append([*map(str, words), f"in {folder}"]))
    return made


def invoke(*words: str):
    return CliRunner().invoke(app, [*words, "--directory", str(REPOSITORY)])


def test_run_is_snakemake_with_the_targets_after_the_config(calls: Calls) -> None:
    done = invoke("run", "-c", "configs/voc12.yaml", "--cores", "4", "--target", "upper_bound", "-n", "--forcerun", "a")
    assert done.exit_code == 0, done.output
    expected = "snakemake --cores 4 --dry-run --forcerun a --configfile configs/voc12.yaml -- upper_bound"
    assert calls == [[*expected.split(), f"in {REPOSITORY}"]]
    invoke("run")
    assert calls[1][:6] == ["snakemake", "--cores", "all", "--configfile", "configs/demo.yaml", "--"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check", "-c", "p.yaml", "--sheets", "s"], "stages.data.check --config p.yaml --sheets s"),
        (["show", "/a.jpg", "--classes", "bird,cat"], "stages.localize.show --image /a.jpg --classes bird,cat"),
        (
            ["predict", "/photos", "-o", "/out", "-c", "c.yaml"],
            "stages.segment.predict --images /photos --output /out --config c.yaml",
        ),
    ],
)
def test_the_others_are_commands_of_stages(calls: Calls, words: list[str], expected: str) -> None:
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    assert calls == [[*expected.split(), f"in {REPOSITORY}"]]


def test_the_report_is_made_and_its_place_printed(calls: Calls) -> None:
    done = invoke("report", "-c", "tests/configs/tiny.yaml")
    assert calls[0][-2] == "results/tiny/report/index.html"
    assert done.output.strip() == str(REPOSITORY / "results/tiny/report/index.html")


@pytest.mark.parametrize("name", ["run", "check", "status", "show", "predict", "report"])
def test_every_command_teaches_by_example(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert f"tagmask {name}" in done.output


def tagmask(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_errors_are_one_line(tmp_path: Path) -> None:
    nowhere = tagmask("status", folder=tmp_path)
    assert nowhere.returncode == 1
    assert nowhere.stderr.startswith(f"error: {tmp_path}: no Snakefile here; go to your clone of tagmask")
    missing = tagmask("status", "-c", "configs/vco12.yaml", folder=REPOSITORY)
    assert "configs/vco12.yaml: cannot be read as a config" in missing.stderr
    assert "Traceback" not in nowhere.stderr + missing.stderr


def test_help_needs_no_model_library(tmp_path: Path) -> None:
    code = "import sys, stages.cli.app; print([name for name in ('torch', 'timm', 'snakemake') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
