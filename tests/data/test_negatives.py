"""Images without tags: where they show none of the classes, and what is said of them."""

import logging
from pathlib import Path

import pytest

from stages.data import check, make_index
from stages.data.sheet import UNTAGGED, draw_sheet
from stages.errors import DataError
from stages.experiment import read_experiment
from stages.index import Record, read_index
from stages.negatives import learned, learning_fault, negatives_line
from stages.settings import DataSettings
from tests.small_config import change, demo_config


def record(name: str, *labels: str, split: str = "train") -> Record:
    return Record(name, f"{name}.jpg", "", labels, split)


def test_tagged_images_and_negatives_of_the_named_splits_are_learned_from() -> None:
    records = [record("a", "cat"), record("b"), record("c", split="val"), record("d", "dog", split="val")]
    assert [own.id for own in learned(records, ["train"])] == ["a", "b", "d"]
    assert [own.id for own in learned(records, ["train", "val"])] == ["a", "b", "c", "d"]
    assert [own.id for own in learned(records, [])] == ["a", "d"]


@pytest.mark.parametrize(
    ("tags", "classes", "message"),
    [
        ([(), ()], ("cat", "dog"), "none of 2 images has a tag"),
        ([("cat",), ("cat",)], ("cat",), "every image is tagged 'cat', the only class"),
        ([("cat",), ()], ("cat",), ""),
        ([("cat",), ("cat",)], ("cat", "dog"), ""),
    ],
)
def test_what_nothing_can_be_learned_from(tags: list[tuple[str, ...]], classes: tuple[str, ...], message: str) -> None:
    fault = learning_fault([record(str(place), *own) for place, own in enumerate(tags)], classes)
    assert fault.startswith(message)
    assert bool(fault) == bool(message)


def test_a_forgotten_tag_is_not_silent() -> None:
    line = negatives_line([record("a", "cat"), record("b"), record("c")])
    assert line.startswith("2 of 3 images have no tag (the first: 'b') and are learned as negatives: an empty tag says")
    assert negatives_line([record("a", "cat")]) == ""


@pytest.mark.parametrize(
    ("data", "classes", "expected"),
    [
        ({"format": "folder", "root": "photos"}, "tags", ("train", "val", "test")),
        ({"format": "csv", "root": "photos"}, "predicted", ("train",)),
        ({"format": "coco", "root": "coco", "coco": {"untagged": ["train"]}}, "tags", ()),
        ({"format": "voc", "root": "voc"}, "tags", ()),
    ],
)
def test_they_are_of_the_users_own_lists(data: dict, classes: str, expected: tuple[str, ...]) -> None:
    config = change(demo_config(), "localize.classes", classes)
    config["data"] = {"classes": ["cat", "dog"], **data}
    assert read_experiment(config, source="few.yaml").negatives == expected


@pytest.fixture
def photos(make_record, tmp_path: Path) -> Path:
    """Four photos of train in a table, of which two have a tag."""
    for name in ("a", "b", "c", "d"):
        make_record(name)
    rows = "".join(
        f"images/{name}.jpg,{tag},train\n" for name, tag in (("a", "cat"), ("b", ""), ("c", "cat"), ("d", ""))
    )
    (tmp_path / "tags.csv").write_text(f"image,tags,split\n{rows}")
    return tmp_path


def index(photos: Path, *classes: str) -> list[Record]:
    settings = DataSettings(format="folder", root=photos, classes=classes)
    paths = ["--root", str(photos), "--output", str(photos / "out/train.csv")]
    make_index.run(["--settings", settings.model_dump_json(), "--split", "train", *paths])
    return read_index(photos / "out/train.csv")


def test_the_index_keeps_them_and_its_log_counts_them(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    records = index(photos, "cat")
    assert [own.labels for own in records] == [("cat",), (), ("cat",), ()]
    assert "tags.csv: 2 of 4 images have no tag (the first: 'images_b')" in caplog.text


def test_a_table_that_nothing_can_be_learned_from_is_refused(photos: Path) -> None:
    table = (photos / "tags.csv").read_text()
    (photos / "tags.csv").write_text(table.replace(",,", ",cat,"))
    with pytest.raises(DataError, match=r"tags\.csv: every image is tagged 'cat', the only class"):
        index(photos, "cat")
    (photos / "tags.csv").write_text(table.replace(",cat,", ",,"))
    with pytest.raises(DataError, match=r"tags\.csv: none of 4 images has a tag"):
        index(photos, "cat", "dog")


def test_check_says_the_same(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = DataSettings(format="folder", root=photos, classes=("cat",))

    def survey() -> check.Survey:
        return check.check_split("train", photos, data, made=photos / "none", processes=1, sheet=None)

    check.refuse([survey()], Path("photos.yaml"), data)
    printed = capsys.readouterr().out
    assert "train: 4 images, 2 without tags" in printed
    assert "note: 2 of 4 images have no tag (the first: 'images_b') and are learned as negatives" in printed
    (photos / "tags.csv").write_text((photos / "tags.csv").read_text().replace(",,", ",cat,"))
    with pytest.raises(DataError, match=r"photos\.yaml: train: every image is tagged 'cat', the only class"):
        check.refuse([survey()], Path("photos.yaml"), data)


def test_the_sheet_shows_that_there_is_no_tag(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_words = draw_sheet([record("images/a")], photos, ("cat",))
    monkeypatch.setattr("stages.data.sheet.UNTAGGED", "")
    assert UNTAGGED
    assert with_words.tobytes() != draw_sheet([record("images/a")], photos, ("cat",)).tobytes()
