"""`tagmask`: the command lines that it builds, its help, and its errors."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli import app as cli
from stages.cli.app import app
from stages.errors import SettingsError
from stages.experiment import read_config
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
    done = invoke("run", "-c", "configs/demo.yaml", "--cores", "4", "--target", "upper_bound", "-n", "--forcerun", "a")
    assert done.exit_code == 0, done.output
    expected = "snakemake --cores 4 --dry-run --forcerun a --configfile configs/demo.yaml -- upper_bound"
    assert calls == [[*expected.split(), f"in {REPOSITORY}"]]
    invoke("run")
    assert calls[1][:6] == ["snakemake", "--cores", "all", "--configfile", "configs/demo.yaml", "--"]


def test_a_wrong_setting_is_told_before_snakemake_starts(calls: Calls, tmp_path: Path) -> None:
    text = (REPOSITORY / "configs/demo.yaml").read_text().replace("epochs:", "epohcs:", 1)
    (tmp_path / "wrong.yaml").write_text(text)
    done = invoke("run", "-c", str(tmp_path / "wrong.yaml"))
    assert isinstance(done.exception, SettingsError)
    assert "epohcs: no such setting" in str(done.exception)
    assert calls == []
    done = invoke("run", "-c", "configs/msrc.yaml")
    assert isinstance(done.exception, SettingsError)
    assert "configs/msrc.yaml: data.root: no folder datasets/msrc; put the dataset there" in str(done.exception)
    assert calls == []
    # What another config or option makes of it, is Snakemake's to say.
    assert invoke("run", "-c", str(tmp_path / "wrong.yaml"), "-C", "seed=1").exit_code == 0
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["check", "-c", "configs/msrc.yaml", "--sheets", "s"],
            "stages.data.check --config configs/msrc.yaml --sheets s",
        ),
        (["show", "/a.jpg", "--classes", "bird,cat"], "stages.localize.show --image /a.jpg --classes bird,cat"),
        (
            ["predict", "/photos", "-o", "/out", "-c", "configs/demo.yaml"],
            "stages.segment.predict --images /photos --output /out --config configs/demo.yaml",
        ),
        (
            ["export", "configs", "--format", "labelme", "-o", "/out", "--splits", "train,val"],  # stands for results
            "stages.report.export_masks --results configs --output /out --format labelme --masks pseudo_masks"
            " --splits train,val",
        ),
    ],
)
def test_the_others_are_commands_of_stages(calls: Calls, words: list[str], expected: str) -> None:
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    assert calls == [[*expected.split(), f"in {REPOSITORY}"]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run -c my.yaml -n", "snakemake --cores all --dry-run --configfile {here}/my.yaml -- all"),
        ("run -n --profile p", "snakemake --dry-run --profile p --configfile configs/demo.yaml -- all"),
        ("run -n", "snakemake --cores all --dry-run --configfile configs/demo.yaml -- all"),
        ("check -c my.yaml --sheets s", "stages.data.check --config {here}/my.yaml --sheets {here}/s"),
        ("check -c configs/msrc.yaml", "stages.data.check --config configs/msrc.yaml"),
        (
            "show a.jpg --results mine --output a.png",
            "stages.localize.show --image {here}/a.jpg --results {here}/mine --output {here}/a.png",
        ),
        ("show b/a.jpg", "stages.localize.show --image {here}/b/a.jpg --output {here}/a-maps.png"),
        (
            "predict photos -c my.yaml --segmenter s.safetensors",
            "stages.segment.predict --images {here}/photos --output {here}/masks --config {here}/my.yaml"
            " --segmenter {here}/s.safetensors",
        ),
        (
            "predict . -o out --segmenter configs/demo.yaml",  # stands for a result of the clone
            "stages.segment.predict --images {here} --output {here}/out --segmenter {clone}/configs/demo.yaml",
        ),
    ],
)
def test_paths_are_relative_to_the_callers_folder(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, expected: str
) -> None:
    (tmp_path / "my.yaml").write_text((REPOSITORY / "configs/demo.yaml").read_text())
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    done = invoke(*words.split())
    assert done.exit_code == 0, done.output
    places = expected.format(here=tmp_path, clone=REPOSITORY)
    assert calls == [[*places.split(), f"in {REPOSITORY}"]]


@pytest.mark.parametrize("command", ["run -n -c", "check -c", "status -c", "report -c", "predict photos -c"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "my.yaml: cannot be read as a config: no such file in {here} or {clone}; correct the path,"),
        (b"experiment: caf\xe9", "my.yaml: cannot be read as a config: not UTF-8; save it in UTF-8"),
        (b"", "my.yaml: a config has settings by name (`experiment: birds`), but it is empty"),
    ],
)
def test_a_config_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, content: bytes | None, message: str
) -> None:
    monkeypatch.setattr(cli, "call", lambda *words, folder: read_config(Path(words[words.index("--config") + 1])))
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("my.yaml").write_bytes(content)
    done = invoke(*command.split(), "my.yaml")
    assert isinstance(done.exception, SettingsError)
    assert message.format(here=tmp_path, clone=REPOSITORY) in str(done.exception)
    assert "\n" not in str(done.exception)


def test_the_report_is_made_and_its_place_printed(calls: Calls) -> None:
    done = invoke("report", "-c", "tests/configs/tiny.yaml")
    assert calls[0][-2] == "results/tiny/report/index.html"
    assert done.output.strip() == str(REPOSITORY / "results/tiny/report/index.html")


@pytest.mark.parametrize("name", ["init", "run", "check", "status", "show", "predict", "report", "where", "export"])
def test_every_command_teaches_by_example(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert f"tagmask {name}" in done.output


def tagmask(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_errors_are_one_line(tmp_path: Path) -> None:
    nowhere = tagmask("status", "--directory", f"{tmp_path}/none", folder=tmp_path)
    assert nowhere.returncode == 1
    assert nowhere.stderr.startswith(f"error: {tmp_path}/none: no such folder; make it, or correct --directory")
    missing = tagmask("status", "-c", "configs/vco12.yaml", folder=REPOSITORY)
    assert "configs/vco12.yaml: cannot be read as a config" in missing.stderr
    assert "Traceback" not in nowhere.stderr + missing.stderr


def test_help_needs_no_model_library(tmp_path: Path) -> None:
    code = "import sys, stages.cli.app; print([name for name in ('torch', 'timm', 'snakemake') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
