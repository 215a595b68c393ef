"""What is read from disk: curves, and job times grouped by stage and step."""

from pathlib import Path

import pytest

from stages.errors import DataError
from stages.report.gather import Curve, Timing, find_scores, read_curves, read_timings, step_of, sum_by_stage


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("localize/train.tsv", ("localize", "train")),
        ("localize/maps/val/3.tsv", ("localize", "maps")),
        ("segment/pseudo_masks/predict/test/0.tsv", ("segment", "pseudo_masks / predict")),
        ("data/index/train.tsv", ("data", "index / train")),
        ("report.tsv", ("report", "")),
    ],
)
def test_shard_and_split_are_jobs_of_one_step(path, expected):
    assert step_of(Path(path)) == expected


def test_timings_are_summed(results):
    timings = read_timings(results / "benchmarks")
    assert timings == [
        Timing("localize", "maps", jobs=2, seconds=62, longest=42, peak_mb=1024),
        Timing("localize", "train", jobs=1, seconds=3600, longest=3600, peak_mb=2048),
    ]
    assert sum_by_stage(timings) == [Timing("localize", "", jobs=3, seconds=3662, longest=3600, peak_mb=2048)]
    assert read_timings(results / "nothing") == []


def test_curves_by_name(results):
    curves = read_curves(results / "localize/training.csv")
    assert curves["loss"] == Curve((10, 20), (2.5, 1.5))
    assert set(curves) == {"loss", "lr", "time"}


def test_what_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(DataError, match=r"training\.csv: no training curves"):
        read_curves(tmp_path / "training.csv")
    with pytest.raises(DataError, match="evaluate: no scores"):
        find_scores(tmp_path / "evaluate")
    (tmp_path / "training.csv").write_text("step,name,value\nten,loss,1\n")
    with pytest.raises(DataError, match=r"training\.csv: not a table"):
        read_curves(tmp_path / "training.csv")
