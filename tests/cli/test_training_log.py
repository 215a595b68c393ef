"""What trainings say of the time they still take."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

from stages.cli.progress import Run
from stages.cli.training_log import TAIL, seconds_left

LINE = "11/28 00:49:07 - mmengine - INFO - Epoch(train) [1][9/20]  lr: 6.2500e-05  eta: {}  time: 74.1586  loss: 3.7\n"


def write(path: Path, text: str, at: float) -> Path:
    path.write_text(text)
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("0:01:14", 74), ("12:00:05", 43205), ("1 day, 0:00:10", 86410), ("3 days, 2:03:04", 3 * 86400 + 7384)],
)
def test_the_last_estimate_less_the_time_since(tmp_path: Path, told: str, seconds: int) -> None:
    text = LINE.format("9 days, 9:09:09") + LINE.format(told) + "Saving checkpoint\n"
    log = write(tmp_path / "train.log", text, 1000)
    assert seconds_left(log, 1000) == seconds
    assert seconds_left(log, 1030) == seconds - 30
    assert seconds_left(log, 1e9) == 0
    assert seconds_left(log, 990) == seconds  # a clock that is behind that of the files


def test_a_log_without_an_estimate_says_nothing(tmp_path: Path) -> None:
    assert seconds_left(tmp_path / "none.log", 0) is None
    assert seconds_left(write(tmp_path / "a.log", "", 0), 0) is None
    assert seconds_left(write(tmp_path / "b.log", "meta: 0:01:14, eta: soon\n", 0), 0) is None
    long_ago = LINE.format("0:01:14") + "x" * TAIL
    assert seconds_left(write(tmp_path / "c.log", long_ago, 0), 0) is None


class Squares(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, numbers: Tensor, mode: str) -> dict[str, Tensor]:
        return {"loss": (self.weight * numbers).square().sum()}


def test_mmengine_writes_its_estimate_so(tmp_path: Path) -> None:
    runner = Runner(
        Squares(),
        work_dir=str(tmp_path),
        train_dataloader=DataLoader([{"numbers": torch.ones(1)}] * 4, batch_size=2),
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 1}, "checkpoint": None},
        experiment_name="estimate",
    )
    runner.train()
    log = next(tmp_path.glob("*/*.log"))
    assert seconds_left(log, log.stat().st_mtime) == 0  # the last line's; the network takes no second


def test_a_training_has_an_estimate_before_it_is_finished(tmp_path: Path) -> None:
    run = Run({"train_localizer": "localize"}, began=100.0)
    run.plan({"train_localizer": 1})
    log = tmp_path / "train.log"
    run.begin(1, "train_localizer", (), 100, [log])

    def left(now: float) -> tuple[float | None, float | None]:
        row = next(row for row in run.rows(now) if row.stage == "localize")
        return row.left, row.running[0].left

    assert left(101) == (None, None)
    write(log, LINE.format("0:05:00"), 120)
    assert left(130) == (290, 290)


def test_one_of_several_jobs_says_nothing_of_the_step(tmp_path: Path) -> None:
    run = Run({"train_localizer": "localize"}, began=100.0)
    run.plan({"train_localizer": 2})
    run.begin(1, "train_localizer", (), 100, [write(tmp_path / "a.log", LINE.format("0:05:00"), 100)])
    row = next(row for row in run.rows(110) if row.stage == "localize")
    assert (row.left, row.running[0].left) == (None, 290)
    run.begin(2, "train_localizer", (), 110, [write(tmp_path / "b.log", LINE.format("0:09:00"), 110)])
    assert next(row for row in run.rows(120) if row.stage == "localize").running[0].left is None
