"""A folder of photos before there is a config."""

from pathlib import Path

import pytest
from PIL import Image

from stages.data.photo_folder import (
    PhotoFolder,
    find_photos,
    notes_of,
    read_photo_folder,
    write_table_of_folders,
)
from stages.errors import DataError


def photo(path: Path, size: tuple[int, int] = (12, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def folder_of(*tags: str) -> PhotoFolder:
    """As read from a table with these tags, joined by `;`."""
    own = {f"{place}.jpg": frozenset(filter(None, text.split(";"))) for place, text in enumerate(tags)}
    classes = tuple(sorted({tag for found in own.values() for tag in found}))
    return PhotoFolder(Path("photos"), own, classes, len(own), (), ())


def test_a_table_is_read_with_what_lies_beside_it(tmp_path: Path) -> None:
    for name in ("sea/1.jpg", "2.png", "3.JPG", "masks/2.png", ".thumbnails/2.png", "sea/.hidden.jpg"):
        photo(tmp_path / name, (30, 20) if name == "2.png" else (12, 8))
    (tmp_path / "broken.jpg").write_bytes(b"")
    (tmp_path / "tags.csv").write_text(
        "image,tags,split,mask\nsea/1.jpg,boat;Sea,,\n./2.png,,val,masks/2.png\nbroken.jpg,boat,,\n2.png,boat,,\n"
    )
    folder = read_photo_folder(tmp_path)
    assert folder.tags == {"sea/1.jpg": {"boat", "Sea"}, "2.png": {"boat"}, "broken.jpg": {"boat"}}
    assert folder.classes == ("boat", "Sea")  # whatever their case
    assert folder.counts == {"boat": 3, "Sea": 1}
    assert (folder.free, folder.unlisted) == (2, ("3.JPG",))
    assert (folder.sides, folder.usual_side) == ((12, 30), 21)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.jpg,\n", r"tags\.csv: none of 1 photos has a tag, and tags are what is learned from"),
        ("a.jpg,Dog\nb.jpg,dog\nc.jpg,dog\n", r"the tags 'Dog' \(1 photos\) and 'dog' \(2\) differ only in case"),
        ("a.jpg,dog\nb.jpg,Background\n", r"the tag 'Background' must not be given: background is what has no tag"),
    ],
)
def test_tags_that_cannot_be_classes_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "tags.csv").write_text(f"image,tags\n{rows}")
    with pytest.raises(DataError, match=message):
        read_photo_folder(tmp_path)


def test_a_folder_without_photos_is_told(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("image,tags\n")
    with pytest.raises(DataError, match=r"holds no photo \(\.avif, .*\); name the folder with the photos"):
        find_photos(tmp_path)
    with pytest.raises(DataError, match=r"tags\.csv: is no folder"):
        find_photos(tmp_path / "tags.csv")


def test_sub_folders_are_the_tags(tmp_path: Path) -> None:
    for name in ("dog/1.jpg", "dog/old/2.jpg", "cat, small/1.jpg", "Background/1.jpg", "stray.jpg"):
        photo(tmp_path / name)
    assert write_table_of_folders(tmp_path) == ["stray.jpg"]
    folder = read_photo_folder(tmp_path)
    assert folder.tags == {
        **{"Background/1.jpg": frozenset(), "cat, small/1.jpg": {"cat, small"}},
        **{"dog/1.jpg": {"dog"}, "dog/old/2.jpg": {"dog"}},
    }
    assert folder.unlisted == ("stray.jpg",)
    before = (tmp_path / "tags.csv").read_text()
    with pytest.raises(DataError, match=r"tags\.csv: exists already; it is not replaced"):
        write_table_of_folders(tmp_path)
    assert (tmp_path / "tags.csv").read_text() == before


def test_folders_that_are_no_tags_are_refused(tmp_path: Path) -> None:
    photo(tmp_path / "stray.jpg")
    with pytest.raises(DataError, match=r"has neither a table tags\.csv nor sub-folders named as the tags"):
        write_table_of_folders(tmp_path)
    photo(tmp_path / "cat;dog/1.jpg")
    with pytest.raises(DataError, match=r"cat;dog: a tag must not contain `;`"):
        write_table_of_folders(tmp_path)
    assert not (tmp_path / "tags.csv").exists()


def test_few_photos_and_classes_that_come_together_are_told() -> None:
    folder = folder_of(*["face;body"] * 30, *["body"] * 4, *["cup;plate"] * 21, *["cat"] * 5, "")
    assert list(notes_of(folder)) == [
        "fewer than 20 photos: cat 5; little is learned from so few, fifty are a good start",
        "cup and plate: always together (21 photos); tags cannot tell them apart there: add photos that show one"
        " without the other",
        "face is never without body (30 photos; body in 34); tags cannot tell them apart there: add photos that show"
        " one without the other",
    ]


def test_a_class_in_every_photo_is_told() -> None:
    notes = list(notes_of(folder_of(*["sky;boat"] * 20, *["sky"] * 30)))
    assert notes[0].startswith("boat is never without sky (20 photos; sky in 50)")
    assert notes[1].startswith("sky: in all 50 photos; a class is learned from photos with its tag against photos")
    assert not list(notes_of(folder_of(*["boat"] * 20, *["sky"] * 30)))
