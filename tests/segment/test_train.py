"""Training end to end: outputs, resumption after a break, and that it learns."""

import contextlib
import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from stages.errors import DataError
from stages.images import read_image
from stages.segment import train
from stages.segment.inference import class_probabilities
from stages.segment.model import load_segmenter


class Break(Exception):
    """Stands for the kill of a training."""


class Watch(Hook):
    """Counts the steps of a run, and breaks it before step `stop` (from 0)."""

    def __init__(self, steps: list[int], stop: int) -> None:
        self.steps = steps
        self.stop = stop

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.stop:
            raise Break
        self.steps.append(runner.iter)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch):
    """Runs the training command with a Watch; returns the steps that were taken."""
    build = Runner.from_cfg

    def run(arguments: list[str], stop: int = -1) -> list[int]:
        steps: list[int] = []

        def watched_runner(config: Config) -> Runner:
            runner = build(config)
            runner.register_hook(Watch(steps, stop))
            return runner

        monkeypatch.setattr(Runner, "from_cfg", watched_runner)
        with contextlib.suppress(Break):
            train.run(arguments)
        return steps

    return run


def test_command_leaves_segmenter_and_curves(tiny_set, make_settings, lite0_weights, tmp_path: Path) -> None:
    settings = make_settings(frozen_stages=1)
    work = tmp_path / "out" / "work"
    train.run(tiny_set.options(settings, lite0_weights, work))
    segmenter = load_segmenter(work.parent / "segmenter.safetensors")
    assert segmenter.classes == tiny_set.names
    with (work.parent / "training.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["name"] for row in rows} >= {"loss", "lr", "time"}
    assert list(work.glob("*/vis_data/events.out.tfevents.*"))
    assert list(work.glob("*/*.log"))


def test_broken_training_resumes_and_other_settings_start_afresh(
    tiny_set, make_settings, lite0_weights, tmp_path: Path, watched
) -> None:
    work = tmp_path / "out" / "work"
    arguments = tiny_set.options(make_settings(iterations=4, checkpoint_every=1), lite0_weights, work)
    assert watched(arguments, stop=3) == [0, 1, 2]
    assert not (work.parent / "segmenter.safetensors").exists()
    assert sorted(path.name for path in work.glob("*.pth")) == ["iter_2.pth", "iter_3.pth"]
    assert watched(arguments) == [3]
    # Settings that training does not depend on cost nothing; a mask that changed costs a new training.
    predicts_otherwise = make_settings(iterations=4, checkpoint_every=1, inference={"flip": True})
    assert watched(tiny_set.options(predicts_otherwise, lite0_weights, work)) == []
    other = make_settings(iterations=2, checkpoint_every=1)
    assert watched(tiny_set.options(other, lite0_weights, work)) == [0, 1]
    (tiny_set.root / "0.png").write_bytes((tiny_set.root / "2.png").read_bytes())
    (tiny_set.root / "0.jpg").write_bytes((tiny_set.root / "2.jpg").read_bytes())
    assert watched(tiny_set.options(other, lite0_weights, work)) == [0, 1]


def test_moving_average_of_the_weights(
    tiny_set, make_settings, lite0_weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[torch.Tensor] = []
    name = "decode_head.conv_seg.weight"

    class Record(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
            weights.append(runner.model.state_dict()[name].clone())

    build = Runner.from_cfg

    def recorded(config: Config) -> Runner:
        runner = build(config)
        runner.register_hook(Record())
        return runner

    monkeypatch.setattr(Runner, "from_cfg", recorded)
    work = tmp_path / "out" / "work"
    train.run(tiny_set.options(make_settings(iterations=3, ema_decay=0.75), lite0_weights, work))
    saved = load_segmenter(work.parent / "segmenter.safetensors").model.state_dict()[name]
    first, second, third = weights
    assert not torch.equal(first, third)
    # It starts at the weights after the first step: a quarter of each later step, the rest of what was before.
    torch.testing.assert_close(saved, 0.5625 * first + 0.1875 * second + 0.25 * third)


def test_missing_pseudo_mask_stops_before_training(tiny_set, make_settings, lite0_weights, tmp_path: Path) -> None:
    empty = tmp_path / "masks"
    empty.mkdir()
    work = tmp_path / "out" / "work"
    with pytest.raises(DataError, match=r"im\.0\.png"):
        train.run([*tiny_set.options(make_settings(), lite0_weights, work), "--masks", str(empty)])
    assert not work.exists()


def test_learns_the_colour_of_four_images(tiny_set, make_settings, lite0_weights, tmp_path: Path) -> None:
    settings = make_settings(iterations=25, learning_rate=0.02, backbone_rate=0.3, decoder_channels=32)
    work = tmp_path / "out" / "work"
    train.run(tiny_set.options(settings, lite0_weights, work))
    segmenter = load_segmenter(work.parent / "segmenter.safetensors")
    with (work.parent / "training.csv").open(newline="") as stream:
        losses = [float(row["value"]) for row in csv.DictReader(stream) if row["name"] == "loss"]
    assert losses[-1] < 0.6 * losses[0]
    image = torch.from_numpy(np.array(read_image(tiny_set.root / "1.jpg"))).permute(2, 0, 1)
    scores = class_probabilities(segmenter.model, image, settings.inference)
    assert scores[:, 25, 30].argmax() == 2  # the middle of the red square


def test_a_training_ends_at_the_first_loss_that_is_not_finite(
    tiny_set, make_settings, lite0_weights, tmp_path: Path
) -> None:
    work = tmp_path / "out" / "work"
    settings = make_settings(iterations=8, checkpoint_every=8, learning_rate=1e6)
    with pytest.raises(DataError, match=r"segment.training: the training ends at step \d.*decode.loss_ce nan"):
        train.run(tiny_set.options(settings, lite0_weights, work))
    assert not (work.parent / "segmenter.safetensors").exists()
    assert not list(work.glob("*.pth"))
