"""Lists of ids."""

from pathlib import Path

import pytest

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
