"""Job times grouped by stage and step, with images a second."""

from pathlib import Path

import pytest

from stages.evaluate.scores import read_score
from stages.report.timings import Timing, Workload, images_of, read_timings, read_workload, step_of, sum_by_stage
from tests.report.conftest import write_benchmark

NOTHING = Workload({}, 2, None, {}, {})


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
    timings = read_timings(results / "benchmarks", NOTHING)
    assert timings == [
        Timing("localize", "maps", jobs=2, seconds=62, longest=42, peak_mb=1024),
        Timing("localize", "train", jobs=1, seconds=3600, longest=3600, peak_mb=2048),
    ]
    assert sum_by_stage(timings) == [Timing("localize", "", jobs=3, seconds=3662, longest=3600, peak_mb=2048)]
    assert read_timings(results / "nothing", NOTHING) == []


def test_images_a_second_are_of_the_images_that_jobs_go_through(tmp_path: Path) -> None:
    """Ten val images in three shards of 4, 3 and 3; two shards took 2 s each, one 1 s."""
    for shard, seconds in enumerate((2, 2, 1)):
        write_benchmark(tmp_path / f"localize/maps/val/{shard}.tsv", seconds, "-")
    write_benchmark(tmp_path / "data/index/val.tsv", 4, "-")
    write_benchmark(tmp_path / "evaluate/maps-val.tsv", 20, "-")
    write_benchmark(tmp_path / "encode/text.tsv", 9, "-")
    work = Workload({"val": 10, "train": 99}, 3, 109, {}, {})
    speeds = {timing.step: timing.images_per_second for timing in read_timings(tmp_path, work)}
    assert speeds == {"maps": 2.0, "index / val": 2.5, "maps-val": 0.5, "text": None}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("localize/maps/val/0.tsv", 4),
        ("localize/maps/val/2.tsv", 3),
        ("refine/regions/060460b7/1.tsv", 33),
        ("refine/banded/0.tsv", 33),
        ("localize/features/efficientnet-1234.tsv", 109),  # learned from train and val
        ("encode/image_embeddings.tsv", 109),
        ("encode/weights/resnet50.tsv", None),
        ("data/masks/val.tsv", 10),
        ("data/fetch.tsv", None),
        ("evaluate/maps-train.tsv", 14),  # of a list of training images, as VOC's own 1,464
        ("evaluate/segmenter-val.tsv", 10),
        ("report/gallery.tsv", 10),
        ("report/index.tsv", None),
        ("localize/train.tsv", 80),  # 40 images a second
        ("segment/true_masks/train.tsv", None),
    ],
)
def test_every_job_knows_its_images(place: str, expected: int | None) -> None:
    work = Workload({"val": 10, "train": 99}, 3, 109, {"maps-train": 14}, {"localize/train.tsv": 40.0})
    assert images_of(Path(place), 2.0, work) == expected


def test_trainings_get_their_speed_from_their_curves(results: Path) -> None:
    """A step of 6 images took 0.5 s, so an hour of it is 43,200 images, however often it was resumed."""
    scores = [read_score(path) for path in sorted((results / "evaluate").glob("*.json"))]
    config = {"localize": {"training": {"batch_size": 6}}}
    work = read_workload(results, {"val": 3}, scores, config, shards=2)
    assert work.speeds == {"localize/train.tsv": 12.0}
    assert work.scored == {"maps-val": 3, "segmenter-val": 3}
    timings = {timing.step: timing.images_per_second for timing in read_timings(results / "benchmarks", work)}
    assert timings["train"] == 12.0


def test_shards_of_an_earlier_run_that_had_more_are_left_out(results: Path) -> None:
    write_benchmark(results / "benchmarks/localize/maps/val/7.tsv", 999, "-")
    assert read_timings(results / "benchmarks", NOTHING)[0].seconds == 62
