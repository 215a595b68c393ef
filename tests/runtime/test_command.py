"""What every stage command does with its options and its errors."""

from pathlib import Path

import pytest

from stages.errors import DataError, SettingsError
from stages.files import atomic_folder, atomic_path
from stages.runtime.command import main, output_path, parse_settings, parser
from stages.settings import RefineSettings


def test_paths_and_lists_of_paths() -> None:
    args = parser("Does it.\n\nMore.", "index", many=("masks",), outputs=("output",)).parse_args(
        ["--settings", "{}", "--index", "a.csv", "--output", "b", "--masks", "m/0", "m/1"]
    )
    assert args.index == Path("a.csv")
    assert args.masks == [Path("m/0"), Path("m/1")]


def test_a_missing_path_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser("Does it.", "index").parse_args(["--settings", "{}"])
    assert "--index" in capsys.readouterr().err


def test_what_killed_runs_left_beside_the_outputs_is_removed(tmp_path: Path) -> None:
    left = [tmp_path / ".masks-abcdefg1", tmp_path / ".scores-abcdefg1.json", tmp_path / ".index-abcdefg1.csv"]
    left[0].mkdir()
    for path in left[1:]:
        path.touch()
    command = parser("Does it.", "index", outputs=("masks", "output"), settings=False)
    paths = {"index": "index.csv", "masks": "masks", "output": "scores.json"}
    command.parse_args([word for name, file in paths.items() for word in (f"--{name}", str(tmp_path / file))])
    assert list(tmp_path.iterdir()) == [left[2]]  # an input is another command's output


def test_settings_fill_their_defaults() -> None:
    settings = parse_settings(RefineSettings, '{"crf":{"iterations":3}}')
    assert settings.crf.iterations == 3
    assert settings.crf.gaussian_weight == 3.0


def test_wrong_settings_are_named_with_path_and_value() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(RefineSettings, '{"crf":{"iterations":-1},"background_threshold":"high"}')
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert any(line.startswith("crf.iterations: ") and "(given: -1)" in line for line in lines)
    assert any(line.startswith("background_threshold: ") and "(given: 'high')" in line for line in lines)


def test_settings_that_are_no_json() -> None:
    with pytest.raises(SettingsError, match="Invalid JSON"):
        parse_settings(RefineSettings, "{")


def test_an_error_of_the_user_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    def run(arguments: list[str] | None = None) -> None:
        raise DataError("a.png: no such mask")

    with pytest.raises(SystemExit) as caught:
        main(run)
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: a.png: no such mask\n"


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    def run(arguments: list[str] | None = None) -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        main(run)


def test_an_output_below_a_file_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to("nothing")
    (tmp_path / "folder").mkdir()
    for name, kind in (("file", "a file"), ("gone", "a link to nothing")):
        with pytest.raises(DataError, match=f"{name} is {kind}; choose another path"):
            output_path(str(tmp_path / name / "deep/er.png"))
    assert output_path(str(tmp_path / "folder/deep/er.png")) == tmp_path / "folder/deep/er.png"
    with pytest.raises(DataError, match="folder: is a folder, in place of a file"), atomic_path(tmp_path / "folder"):
        pytest.fail("ran")
    with pytest.raises(DataError, match="file: is a file, in place of a folder"), atomic_folder(tmp_path / "file"):
        pytest.fail("ran")


@pytest.mark.parametrize("name", ["file/x", "folder", "n" * 300])
def test_a_path_of_another_kind_is_no_traceback(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SystemExit):
        main(lambda arguments: (tmp_path / name).write_text("") and None)
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / name}: ")
