"""Lists of ids."""

from pathlib import Path

import pytest

from stages.data.id_lists import read_ids
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
