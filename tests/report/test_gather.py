"""What is read from disk: scores and curves."""

import pytest

from stages.errors import DataError
from stages.report.gather import Curve, find_scores, read_curves


def test_curves_by_name(results):
    curves = read_curves(results / "localize/training.csv")
    assert curves["loss"] == Curve((10, 20), (2.5, 1.5))
    assert set(curves) == {"loss", "lr", "time", "entropy_text"}


def test_what_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(DataError, match=r"training\.csv: no training curves"):
        read_curves(tmp_path / "training.csv")
    with pytest.raises(DataError, match="evaluate: no scores"):
        find_scores(tmp_path / "evaluate")
    (tmp_path / "training.csv").write_text("step,name,value\nten,loss,1\n")
    with pytest.raises(DataError, match=r"training\.csv: not a table"):
        read_curves(tmp_path / "training.csv")
