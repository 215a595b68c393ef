"""Counts, speeds and estimates of a run, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from stages.cli.progress import Failure, Row, Run, images_in, rules_by_stage
from stages.report.timings import STAGES
from stages.shards import ImageMaps, write_shard
from tests.workflow.tiny import REPOSITORY

RULES = {"make_index": "data", "train_localizer": "localize", "make_maps": "localize", "make_page": "report"}


def row_of(run: Run, stage: str, now: float) -> Row:
    return next(row for row in run.rows(now) if row.stage == stage)


def masks(folder: Path, count: int) -> Path:
    """The output of a job over a shard of so many images."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.png").touch()
    return folder


@pytest.fixture
def run() -> Run:
    """One index, one training, four jobs of maps, and a target."""
    run = Run(RULES, began=100.0)
    run.plan({"make_index": 1, "train_localizer": 1, "make_maps": 4, "all": 1, "total": 7})
    return run


def test_jobs_are_counted_by_stage_and_targets_are_not(run: Run) -> None:
    run.begin(1, "make_index", (), 100)
    run.finish(1, 103)
    run.begin(7, "all", (), 103)
    run.finish(7, 103)
    rows = run.rows(103)
    assert [row.stage for row in rows] == [*STAGES, "all"]
    assert {row.stage: (row.done, row.total) for row in rows if row.total} == {
        "data": (1, 1),
        "localize": (0, 5),
        "all": (1, 6),
    }
    assert row_of(run, "data", 150).took == 3
    assert row_of(run, "all", 150).took == 50


def test_there_is_no_estimate_until_each_step_to_come_has_a_finished_job(run: Run) -> None:
    assert row_of(run, "localize", 100).left is None
    run.begin(2, "train_localizer", (), 100)
    run.finish(2, 140)
    run.begin(3, "make_maps", (), 140)
    assert row_of(run, "localize", 145).left is None
    run.finish(3, 150)
    # Ten seconds for one job, and three are to come.
    assert row_of(run, "localize", 150).left == 30
    run.begin(4, "make_maps", (), 150)
    assert row_of(run, "localize", 154).left == 26
    assert row_of(run, "localize", 999).left == 0
    run.begin(1, "make_index", (), 154)
    assert row_of(run, "all", 154).left is None


def test_jobs_side_by_side_share_their_time(run: Run, tmp_path: Path) -> None:
    for job, began in ((3, 100), (4, 102)):
        run.begin(job, "make_maps", [masks(tmp_path / str(job), 30)], began)
    assert row_of(run, "localize", 108).images_per_second is None
    assert row_of(run, "localize", 108).running == [("make_maps", 2, 8, None)]
    run.finish(3, 110)
    run.finish(4, 112)
    row = row_of(run, "localize", 112)
    assert row.images_per_second == 60 / 12
    run.begin(2, "train_localizer", (), 112)
    run.finish(2, 212)
    # Two jobs in 12 s: two more take 12. The pause and the training do not slow them down.
    assert row_of(run, "localize", 212).left == 12
    assert row_of(run, "localize", 212).images_per_second == 60 / 12
    assert row_of(run, "localize", 212).took == 112


def test_a_failed_job_that_begins_again_has_not_failed(run: Run) -> None:
    run.begin(2, "train_localizer", (), 100)
    run.fail(2, "train_localizer", [], 110)
    row = row_of(run, "localize", 120)
    assert (row.failed, row.running, row.took, row.done) == (["train_localizer"], [], 10, 0)
    run.begin(2, "train_localizer", (), 120)
    run.finish(2, 130)
    row = row_of(run, "localize", 130)
    assert (row.failed, row.took, row.done) == ([], 20, 1)
    assert not run.failures


def test_the_last_line_of_a_log_is_its_error(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_bytes(b"  3%|#   \r 5%|#  \nerror: caf\xe9.jpg: cannot be read as an image; replace it\n\n")
    assert (
        Failure("x", (log,)).last_line
        == "error: caf\N{REPLACEMENT CHARACTER}.jpg: cannot be read as an image; replace it"
    )
    assert Failure("x", (tmp_path / "none.log",)).last_line == ""


def test_images_are_counted_in_what_jobs_write(tmp_path: Path) -> None:
    folder = masks(tmp_path / "0", 3)
    (folder / ".snakemake_timestamp").touch()
    assert images_in(folder) == 3
    maps = [ImageMaps(str(number), np.ones((2, 3, 4), np.float32), np.array([0, 1]), (12, 16)) for number in range(5)]
    write_shard(tmp_path / "0.safetensors", maps)
    assert images_in(tmp_path / "0.safetensors") == 5
    assert images_in(tmp_path / "none.safetensors") == 0


def test_rules_are_of_the_stage_whose_file_they_are_in() -> None:
    stages = rules_by_stage(REPOSITORY)
    assert set(stages.values()) == set(STAGES)
    known = ("fetch_test", "embed_text", "make_maps", "make_banded_masks", "predict", "score_masks", "make_page")
    assert [stages[rule] for rule in known] == list(STAGES)
    assert "all" not in stages
