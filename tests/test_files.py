"""Files appear whole or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from stages.errors import DataError
from stages.files import atomic_folder, atomic_path, read_json, remove_leftovers, sha256_of, write_json, write_text


def write_half_a_file(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError


def write_half_a_folder(path: Path) -> None:
    with atomic_folder(path) as temporary:
        (temporary / "new.png").touch()
        raise RuntimeError


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == target.parent  # so that the rename stays on one file system
        assert temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError):
        write_half_a_file(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "masks"
    target.mkdir()
    (target / "old.png").touch()
    with atomic_folder(target) as temporary:
        (temporary / "new.png").touch()
        assert [path.name for path in target.iterdir()] == ["old.png"]
    assert [path.name for path in target.iterdir()] == ["new.png"]
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "masks"
    target.mkdir()
    (target / "old.png").touch()
    with pytest.raises(RuntimeError):
        write_half_a_folder(target)
    assert [path.name for path in target.iterdir()] == ["old.png"]
    assert list(tmp_path.iterdir()) == [target]


def test_json_is_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"miou": 12.5, "name": "Vögel"})
    assert read_json(tmp_path / "a.json") == {"miou": 12.5, "name": "Vögel"}


def test_json_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json: no such file"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json: not JSON .*rerun"):
        read_json(tmp_path / "a.json")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # The first test vector of FIPS 180-2.
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [".mask-1.png", ".mask-01-abcdefgh.png", "mask-abcdefgh.png", ".mask-abcdefgh.jpg", ".other-abcdefgh.png"]
    for name in (*kept, ".mask-abcd_123.png"):
        (tmp_path / name).write_text("")
    (tmp_path / ".0-k1z9x_ab").mkdir()
    (tmp_path / ".0-k1z9x_ab/a.png").write_text("")
    remove_leftovers(tmp_path / "mask.png")
    remove_leftovers(tmp_path / "0")
    remove_leftovers(tmp_path / "nowhere/mask.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_killed_writer_of_a_file_or_folder_leaves_what_is_recognised(tmp_path: Path) -> None:
    """The temporaries' names, from inside the blocks that make them."""
    with atomic_path(tmp_path / "a.b.csv") as file, atomic_folder(tmp_path / "masks.v1") as folder:
        assert file.exists()
        assert folder.exists()
        remove_leftovers(tmp_path / "a.b.csv")
        remove_leftovers(tmp_path / "masks.v1")
        assert not file.exists()
        assert not folder.exists()
        file.write_text("")
        folder.mkdir()
