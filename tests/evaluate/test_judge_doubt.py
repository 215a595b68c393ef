"""How well doubts find bad masks, on orders whose figures are known."""

from pathlib import Path

import numpy as np
import pytest

from stages.errors import DataError
from stages.evaluate.doubt_table import Doubt, Reasons, write_doubts
from stages.evaluate.image_scores import write_image_scores
from stages.evaluate.judge_doubt import judge, run


def test_a_right_and_a_reversed_order() -> None:
    ious = np.linspace(0, 100, 20)
    assert judge(100 - ious, ious) == (pytest.approx(1), 1, 1, 1)
    assert judge(ious, ious) == (pytest.approx(-1), 0, 0, 0)


def test_shares_are_counted_by_hand() -> None:
    # Of 20 images, the two worst are the first and the fifth most doubtful: one in two, one in four, both in six.
    ious = np.arange(20.0, 40)
    doubts = np.array([20, 16, 19, 18, 17, *range(15, 0, -1)], dtype=float)
    assert judge(doubts, ious)[1:] == (0.5, 0.5, 1)


def test_ties_have_equal_ranks() -> None:
    # Ranks 1.5, 1.5, 3 and 1, 2, 3: Pearson's correlation of these is 1.5 / sqrt(1.5 * 2).
    assert judge([2.0, 2.0, 1.0], [1.0, 2.0, 3.0])[0] == pytest.approx(1.5 / 3**0.5)


def test_the_tables_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    names = [f"i{number}" for number in range(10)]
    doubts = [
        Doubt(name, Reasons(number / 10, 1 - number / 10, 0.0), {"cat": Reasons(number / 10, 0.5, 0.0)})
        for number, name in enumerate(names)
    ]
    write_doubts(tmp_path / "doubt.csv", [*doubts, Doubt("unscored", Reasons(1, 1, 1), {})])
    ious = np.stack([np.full(10, 90.0), np.arange(90.0, 0, -9)], axis=1)
    write_image_scores(tmp_path / "images.csv", names, ious, ("background", "cat"))
    run(["--doubt", str(tmp_path / "doubt.csv"), "--images", str(tmp_path / "images.csv")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| images, 10 | rank correlation | worst 10 % in first 10%")
    assert "| crf | 1.00 | 100% | 100% | 100% |" in lines
    assert "| segmenter | -1.00 | 0% | 0% | 0% |" in lines
    assert any(line.startswith("| classes in images, 10 |") for line in lines)
    assert "| margin | - | 0% | 0% | 0% |" in lines  # the same everywhere: in the order of the table


def test_tables_of_different_splits_are_refused(tmp_path: Path) -> None:
    write_doubts(tmp_path / "doubt.csv", [Doubt("a", Reasons(0, 0, 0), {})])
    write_image_scores(tmp_path / "images.csv", ["b"], np.array([[90.0, 10.0]]), ("background", "cat"))
    with pytest.raises(DataError, match="fewer than two images"):
        run(["--doubt", str(tmp_path / "doubt.csv"), "--images", str(tmp_path / "images.csv")])
