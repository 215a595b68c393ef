"""Lists of ids."""

from pathlib import Path

import pytest

from stages.data.id_lines import readings
from stages.data.id_lists import read_ids, read_stems
from stages.errors import DataError


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("2007_000027\n\n2007_000032\r\n", ["2007_000027", "2007_000032"]),
        ("my image\n  Früh am Meer \n", ["my image", "Früh am Meer"]),
        ("2008_000008 -1\n2008_000015  1\n2008_000019  0\n", ["2008_000008", "2008_000015", "2008_000019"]),
        ("my image -1\nyour image 1\n", ["my image", "your image"]),
        ("photo 1\nphoto 2\n", ["photo 1", "photo 2"]),  # no list of flags: one line has none
        ("1\n0\n", ["1", "0"]),
        ("", []),
    ],
)
def test_a_line_is_an_id_without_the_flag_of_vocs_main_lists(tmp_path: Path, text: str, ids: list[str]) -> None:
    (tmp_path / "list.txt").write_bytes(text.encode())
    assert read_ids(tmp_path / "list.txt", missing="") == ids


def test_a_missing_list_and_another_encoding_are_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with pytest.raises(DataError, match=r"list\.txt: no such list of ids; look elsewhere"):
        read_ids(path, missing="look elsewhere")
    path.write_bytes("Früh".encode("latin-1"))
    with pytest.raises(DataError, match=r"list\.txt: not UTF-8 \(byte 2\)"):
        read_ids(path, missing="")


@pytest.mark.parametrize(
    "text",
    [
        "/JPEGImages/2007_01.jpg /SegmentationClassAug/2007_01.png\n/JPEGImages/a b.jpg /Masks/a b.png\n",
        "JPEGImages/2007_01.jpg\r\nJPEGImages/a b.JPG\r\n",
        "/home/me/VOC2012/JPEGImages/2007_01.jpg\t/home/me/VOC2012/Masks/2007_01.png\n\na b\n",
        "JPEGImages\\2007_01.jpg SegmentationClass\\2007_01.png\nJPEGImages\\a b.jpg\n",
        "/JPEGImages/2007_01.jpg,/Masks/2007_01.png\na b\n",
    ],
)
def test_lines_of_paths_are_read_as_psa_publishes_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_bytes(text.encode())
    assert read_ids(tmp_path / "list.txt") == ["2007_01", "a b"]


def test_extensions_are_no_part_of_vocs_ids_if_all_have_one(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a.jpg\nb.c.jpg\n")
    assert read_stems(path) == ["a", "b.c"]
    assert read_ids(path) == ["a.jpg", "b.c.jpg"]
    path.write_text("a.jpg\nb\n")
    assert read_stems(path) == ["a.jpg", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "/JPEGImages/a.jpg /Masks/b.png",
            "names the image 'a' with the mask 'b'; correct the line",
        ),
        ("/JPEGImages/a.jpg /Masks/a.txt", "contain `/`; rename it; write an id a line, or `/JPEGImages/<id>.jpg"),
        ("<!DOCTYPE html><a href='/list'>", "an id names files"),
        ("<a href='/'>" * 100_000, "an id names files"),
        ("2007/one", "an id names files"),
        ("one\0", "control characters"),
        ("a" * 300, "more than 241 bytes"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(f"2007_01\n\n{line}\n")
    with pytest.raises(DataError) as error:
        read_ids(tmp_path / "list.txt")
    assert str(error.value).startswith(f"{tmp_path}/list.txt:3: ")
    assert message in str(error.value)
    assert len(str(error.value)) < 600


IMAGES = {"2007_01", "2007_02", "2007_03", "a b", "img 1", "img"}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("2007_01 1\n2007_02\n2007_03 -1\n", ["2007_01", "2007_02", "2007_03"]),
        ("2007_01.jpg\na b\n2007_03.PNG\n", ["2007_01", "a b", "2007_03"]),
        ("2007_01.jpg 0 14\na b.jpg 3\n", ["2007_01", "a b"]),
        ("2007_01 0 14\na b 3\n2007_09 4\n", ["2007_01", "a b", "2007_09"]),
        ("2007_01 0 0 1 0\n2007_02,1,0,0,0\n", ["2007_01", "2007_02"]),
        ("/JPEGImages/2007_01.jpg 0 14\n/JPEGImages/a b.jpg 3\n", ["2007_01", "a b"]),
        ("2007_01.jpg 2007_01.png\na b.jpg,a b.png\n", ["2007_01", "a b"]),
        ("2007_01,\n\"2007_02\"\n'a b',\n", ["2007_01", "2007_02", "a b"]),
        ("2007_01\u200b\n\ufeff2007_02\n", ["2007_01", "2007_02"]),
        # What is an image's as it stands is not read otherwise, nor are missing images of such ids.
        ("img 1\nimg\n", ["img 1", "img"]),
        ("img 1\nimg 2\n", ["img 1", "img 2"]),
        ("2007_01\n2007_09\n", ["2007_01", "2007_09"]),
        # No image is there.
        ("2008_01 1\n2008_02 -1\n", ["2008_01", "2008_02"]),
        ("2008_01.jpg\n2008_02.jpg\n", ["2008_01", "2008_02"]),
        ("id\nimage\n", ["id", "image"]),
    ],
)
def test_a_line_is_read_as_the_image_that_it_names(tmp_path: Path, text: str, ids: list[str]) -> None:
    (tmp_path / "list.txt").write_text(text)
    assert read_stems(tmp_path / "list.txt", known=IMAGES.__contains__) == ids


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# VOC train\n2007_01\n", "1: '# VOC train' is no image's id; remove the line"),
        ("id\n2007_01\n", "1: 'id' is a header, not an image's id; remove the line"),
        ("2007_01\n2007_02,2007_03\n", "2: '2007_02,2007_03' is no image's id, but '2007_02' within it is"),
        ('["2007_01", "2007_02"]', "1: '[\"2007_01\", \"2007_02\"]' is no image's id, but '2007_01' within"),
        ("2007_01.jpg 2007_02.png\n", "1: '2007_01.jpg 2007_02.png' is no image's id, but '2007_01' within"),
        ("/JPEGImages/2007_01.jpg /Masks/2007_02.png\n", "1: names the image '2007_01' with the mask '2007_02'"),
        ("2007_01\n2007_02\na b 2\n", "3: no image 'a b 2', but 'a b', and most lines have no number after"),
    ],
)
def test_a_line_that_names_no_image_is_a_fault_of_the_list(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DataError) as error:
        read_ids(tmp_path / "list.txt", known=IMAGES.__contains__)
    assert str(error.value).startswith(f"{tmp_path}/list.txt:{message}")


def test_labels_are_taken_away_one_by_one() -> None:
    names = list(dict.fromkeys(name for name, _ in readings("a 1.jpg 0 14")))
    assert names == ["a 1.jpg 0 14", "a 1.jpg 0", "a 1.jpg", "a 1"]
