"""`tagmask init`: a folder of photos looked at, and a config for it."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from stages.cli import init as command
from stages.cli.app import app
from stages.errors import DataError, SettingsError
from stages.experiment import read_config
from tests.workflow.tiny import REPOSITORY


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with photos in it: of dogs and cats, of both, of neither, and one that is broken."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    rows = []
    for number in range(40):
        Image.new("RGB", (24, 18), (number, 6 * number, 90)).save(f"photos/{number}.jpg")
        rows.append(f"{number}.jpg,{('dog', 'cat', 'dog;cat', '')[number % 4]}")
    Path("photos/7.jpg").write_bytes(b"")
    Path("photos/tags.csv").write_text("\n".join(["image,tags", *rows]) + "\n")
    return tmp_path


def init(*words: str) -> Result:
    return CliRunner().invoke(app, ["init", "photos", *words, "--directory", str(REPOSITORY)])


def test_it_says_what_it_found_and_writes_a_config(here: Path) -> None:
    done = init("--offline")
    assert done.exit_code == 0, done.output
    assert "images by class: cat" in done.output
    assert "learned as negatives: an empty tag says that none of the classes is shown" in done.output
    assert "7.jpg: cannot be read as an image" in done.output
    assert "1 problem, named above; a run would leave these images out" in done.output
    assert "photos.yaml: written, with the preset cpu (nothing is downloaded)" in done.output
    written = read_config(Path("photos.yaml"))
    assert written.data.root == here / "photos"
    assert written.data.classes == ("cat", "dog")
    assert written.data.folder.val == 0.2


def test_a_config_is_replaced_only_when_asked(here: Path) -> None:
    Path("photos.yaml").write_text("mine")
    done = init("--offline")
    assert isinstance(done.exception, SettingsError)
    assert str(done.exception) == (
        "photos.yaml: exists already; name another file with --output, or replace it with --force"
    )
    assert Path("photos.yaml").read_text() == "mine"
    assert init("--offline", "--output", "other.yaml").exit_code == 0
    assert init("--offline", "--force").exit_code == 0
    assert read_config(Path("photos.yaml")) == read_config(Path("other.yaml"))


@pytest.mark.parametrize(
    ("words", "gpu", "expected", "reason"),
    [
        ([], True, "vit", "there is a GPU; the first run downloads the weights"),
        ([], False, "hybrid", "there is no GPU"),
        (["--offline"], True, "hybrid", "nothing is downloaded"),
        (["--preset", "cpu"], True, "hybrid", "asked for"),
        (["--preset", "gpu"], False, "vit", "asked for; the first run downloads"),
    ],
)
def test_the_preset_is_what_the_machine_can_carry(
    here: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], gpu: bool, expected: str, reason: str
) -> None:
    monkeypatch.setattr(command, "has_gpu", lambda: gpu)
    done = init(*words)
    assert done.exit_code == 0, done.output
    assert f"({reason}" in done.output
    assert read_config(Path("photos.yaml")).localize.backbone.kind == expected


def test_downloads_that_are_not_wanted_are_refused(here: Path) -> None:
    done = init("--preset", "gpu", "--offline")
    assert isinstance(done.exception, SettingsError)
    assert str(done.exception).startswith("--preset gpu: the first run downloads the weights")
    assert not Path("photos.yaml").exists()


def test_sub_folders_are_the_tags_where_there_is_no_table(here: Path) -> None:
    Path("photos/tags.csv").unlink()
    for number in range(40):
        place = Path("photos", ("dog", "cat", "background")[number % 3], f"{number}.jpg")
        place.parent.mkdir(exist_ok=True)
        if number != 5:
            Path(f"photos/{number}.jpg").rename(place)
    done = init("--offline")
    assert done.exit_code == 0, done.output
    assert "photos/tags.csv: written, the sub-folders are the tags\n  1 photos are in no sub-folder" in done.output
    assert read_config(Path("photos.yaml")).data.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image;tags\n1.jpg;dog\n", "photos/tags.csv: columns are image;tags; they seem to be separated by `;`"),
        ("image,tags\n1.jpg,\n2.jpg,\n", "photos/tags.csv: none of 2 photos has a tag"),
        ("image,tags\n1.jpg,dog\n2.jpg,dog\n", "photos/tags.csv: train: every image is tagged 'dog', the only class"),
        ("image,tags\n1.jpg,Dog\n2.jpg,dog\n", "photos/tags.csv: the tags 'Dog' (1 photos) and 'dog' (1) differ only"),
        ("image,tags\n1.jpg,a\tb\n2.jpg,dog\n", "photos.yaml: data: `classes`: 'a\\tb' contains a tab"),
    ],
)
def test_what_cannot_be_learned_from_is_one_error(here: Path, table: str, message: str) -> None:
    Path("photos/tags.csv").write_text(table)
    done = init("--offline")
    assert isinstance(done.exception, DataError | SettingsError)
    assert str(done.exception).startswith(message)
    assert not Path("photos.yaml").exists()


def test_a_folder_without_photos_is_one_error(here: Path) -> None:
    done = CliRunner().invoke(app, ["init", "nowhere", "--directory", str(REPOSITORY)])
    assert str(done.exception) == "nowhere: is no folder; name the one with the photos"
    Path("empty").mkdir()
    done = CliRunner().invoke(app, ["init", "empty", "--directory", str(REPOSITORY)])
    assert str(done.exception).startswith("empty: holds no photo (")
