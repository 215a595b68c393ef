"""Which masks are mended, and what the table says."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.mending import choose_arms, masks_table, miou_with, read_doubts, table


def test_the_most_doubtful_come_first_and_classes_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "doubt.csv").write_text("id,class,doubt\na,,0.2\na,bird,0.9\nb,,0.5\nc,,0.5\n")
    assert read_doubts(tmp_path / "doubt.csv") == ["b", "c", "a"]


def test_arms_of_a_count_have_as_many_masks() -> None:
    doubtful = [f"{number:03d}" for number in range(100)]
    arms = {arm.name: arm.ids for arm in choose_arms(doubtful, [2, 10], seed=0)}
    assert {name: len(ids) for name, ids in arms.items()} == {
        "none": 0,
        **{f"{kind}-{count}": count for kind in ("random", "doubtful") for count in (2, 10)},
    }
    assert arms["doubtful-2"] == ("000", "001")
    assert set(arms["random-2"]) < set(arms["random-10"])
    assert arms["random-10"] != arms["doubtful-10"]


def test_the_table_has_means_and_deviations() -> None:
    figures = {"none": {"pseudo masks, train": [85.0], "segmenter, val": [70.0, 74.0], "segmenter, test": [60.0, 61.0]}}
    lines = table(figures).splitlines()
    assert lines[0] == "| mended | pseudo masks, train | segmenter, val | segmenter, test | seeds |"
    assert lines[2] == "| none | 85.0 | 72.0 ± 2.8 | 60.5 ± 0.7 | 2 |"


def test_mended_masks_are_counted_as_true() -> None:
    """Two images of four pixels: the mask of a is wrong in one pixel, that of b in two."""
    confusions = {"a": np.array([[1, 1], [0, 2]]), "b": np.array([[0, 2], [0, 2]])}
    assert miou_with(confusions, ()) == pytest.approx(100 * (1 / 4 + 4 / 7) / 2)
    assert miou_with(confusions, {"b"}) == pytest.approx(100 * (3 / 4 + 4 / 5) / 2)
    assert miou_with(confusions, {"a", "b"}) == 100
    assert masks_table(90.0, {"1": [95.0, 91.0, 93.0]}).splitlines()[2:] == [
        "| 0 | 90.0 | 90.0 |",
        "| 1 | 95.0 | 92.0 ± 1.4 |",
    ]
