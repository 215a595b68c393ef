"""Masks are found over several folders, and what is missing is named."""

import pytest

from stages.errors import DataError
from stages.mask_folders import find_masks


@pytest.fixture
def folders(tmp_path):
    for name in ("0/a.png", "0/c.png", "1/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return [tmp_path / "0", tmp_path / "1"]


def test_masks_come_in_the_order_of_the_ids(folders):
    assert find_masks(folders, ["b", "a"]) == {"b": folders[1] / "b.png", "a": folders[0] / "a.png"}
    assert list(find_masks(folders, ["b", "a"])) == ["b", "a"]


def test_missing_mask_and_folder_are_named(folders):
    with pytest.raises(DataError, match=r"d\.png: no such mask"):
        find_masks(folders, ["a", "d"])
    with pytest.raises(DataError, match="2: no such folder"):
        find_masks([*folders, folders[0].parent / "2"], ["a"])


def test_a_mask_in_two_folders_is_refused(folders):
    (folders[1] / "a.png").touch()
    with pytest.raises(DataError, match="same image"):
        find_masks(folders, ["a"])
