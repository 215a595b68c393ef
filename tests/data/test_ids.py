"""Ids name the files of later stages."""

from pathlib import Path

import pytest

from stages.data.ids import LONGEST_ID, id_fault, id_of
from stages.data.make_truth import write_true_mask
from stages.data.sbd_masks import SbdMask
from stages.files import atomic_path


def test_an_id_is_the_path_without_extension() -> None:
    assert id_of("a/b.c.jpg") == "a_b.c"


@pytest.mark.parametrize("letter", ["a", "ü", "写"])
def test_a_long_path_is_cut_and_stays_unlike_others(tmp_path: Path, letter: str) -> None:
    names = [id_of(f"{letter * 100}/{letter * 150}/{end}.jpg") for end in "pq"]
    assert names[0] != names[1]
    assert all(name.startswith(f"{letter * 70}") and id_fault(name) == "" for name in names)
    assert id_of(f"{letter * 100}/{letter * 150}/p.jpg") == names[0]


@pytest.mark.parametrize("letter", ["a", "ü"])
def test_the_longest_id_can_be_written_and_a_longer_one_is_refused(tmp_path: Path, letter: str) -> None:
    longest = letter * (LONGEST_ID // len(letter.encode()))
    assert id_fault(longest) == ""
    with atomic_path(tmp_path / f"{longest}.png") as temporary:
        temporary.write_text("mask")
    assert (tmp_path / f"{longest}.png").is_file()
    assert "more than 241 bytes" in id_fault(longest + letter)
    assert id_of(f"{longest}.jpg") == longest


@pytest.mark.parametrize(
    "name", ["", ".", "..", "2007/one", "one\0", "one\ntwo", "tab\t", "\x7f", "\ud800", "a\u2028b"]
)
def test_what_cannot_be_a_file_is_told(name: str) -> None:
    assert "an id names files, so it must not" in id_fault(name)


@pytest.mark.parametrize("name", ["...", ".one", "am Strand_Früh 1", "Früh", "a.b", "100%", "写真", "👩‍🚀"])
def test_names_of_files_are_ids(name: str) -> None:
    assert id_fault(name) == ""


def test_no_mask_is_made_for_an_id_that_cannot_name_it(tmp_path: Path) -> None:
    name, fault = write_true_mask(SbdMask("a" * 250, tmp_path / "missing.mat"), tmp_path)
    assert (name, fault) == ("a" * 250, id_fault("a" * 250))
