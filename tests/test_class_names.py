"""Background is mask value 0 and has no name: it is neither a class nor a tag."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from stages.data.problems import find_record_problems
from stages.errors import DataError
from stages.index import Record, read_classes
from stages.settings import DataSettings


@pytest.mark.parametrize("name", ["background", "Background", "BACKGROUND", "_background_", " Background ", "bg", "BG"])
@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("layout", ["voc", "coco", "csv", "folder", "openimages", "demo"])
def test_background_is_no_class_in_any_format(name: str, place: int, layout: str) -> None:
    classes = ["red disc", "blue square"]
    classes.insert(place, name)
    with pytest.raises(ValidationError, match=r"must not be listed.*remove it, so that 'red disc' is mask value 1"):
        DataSettings(format=layout, root=Path("anywhere"), classes=classes)


@pytest.mark.parametrize("name", ["0 background", "background (0)", "0: BG", "ｂａｃｋｇｒｏｕｎｄ", "[0]_background"])
def test_background_with_its_value_or_in_wide_letters_is_no_class(name: str) -> None:
    with pytest.raises(ValidationError, match="must not be listed"):
        DataSettings(format="csv", root=Path("anywhere"), classes=("cat", "dog", name))


def test_names_that_contain_the_word_are_classes() -> None:
    classes = ("background noise", "backgrounds", "bgs", "foreground", "background 1", "bg2")
    assert DataSettings(format="csv", root=Path("anywhere"), classes=classes).classes == classes


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "no class is listed"),
        (["cat"], "only 'cat' is listed, but two classes are the least in format 'voc'"),
        (["bg", "cat"], "'bg' must not be listed"),
    ],
)
def test_too_few_classes_are_told_why(classes: list[str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataSettings(format="voc", root=Path("anywhere"), classes=classes)


@pytest.mark.parametrize("name", ["folder", "csv"])
def test_one_class_is_enough_where_images_without_tags_show_none(name: str) -> None:
    assert DataSettings(format=name, root=Path("anywhere"), classes=["cat"]).classes == ("cat",)


def test_a_tag_that_is_the_background_is_to_be_removed_not_listed() -> None:
    record = Record("one", "one.jpg", "", ("cat", "Background"), "val")
    first, *_ = find_record_problems(record, ("cat", "dog"))
    assert first == "one: tag 'Background' must not be given: background is what has no tag; remove it"


def test_a_class_list_that_names_it_is_not_scored_with(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("background\nred disc\nblue square\n")
    with pytest.raises(DataError, match=r"classes\.txt: 'background' must not be listed.*'red disc' is mask value 1"):
        read_classes(tmp_path / "classes.txt")
