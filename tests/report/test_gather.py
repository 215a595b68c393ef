"""What is read from disk: curves, and job times grouped by stage and step."""

from pathlib import Path

import pytest

from stages.errors import DataError
from stages.report.gather import Curve, Timing, find_scores, images_of, read_curves, read_timings, step_of, sum_by_stage
from tests.report.conftest import write_benchmark


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


def test_images_a_second_are_of_jobs_that_go_through_a_split(tmp_path):
    """Ten val images in three shards of 4, 3 and 3; two shards took 2 s each, one 1 s."""
    for shard, seconds in enumerate((2, 2, 1)):
        write_benchmark(tmp_path / f"localize/maps/val/{shard}.tsv", seconds, "-")
    write_benchmark(tmp_path / "data/index/val.tsv", 4, "-")
    write_benchmark(tmp_path / "evaluate/maps-val.tsv", 20, "-")
    write_benchmark(tmp_path / "localize/train.tsv", 9, "-")
    speeds = {timing.step: timing.images_per_second for timing in read_timings(tmp_path, {"val": 10, "train": 99})}
    assert speeds == {"maps": 2.0, "index / val": 2.5, "maps-val": 0.5, "train": None}
    assert [images_of(tmp_path / f"localize/maps/val/{shard}.tsv", {"val": 10}) for shard in range(3)] == [4, 3, 3]
    assert images_of(tmp_path / "localize/train.tsv", {"train": 5}) is None
