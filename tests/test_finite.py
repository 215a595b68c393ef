"""Numbers that are not finite: no file holds them, nothing scores them, and no training goes on with them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import nn

from stages.checkpoints import CheckpointFormat
from stages.errors import DataError
from stages.evaluate.pixel_precision import count_pixels, normalise
from stages.evaluate.threshold_sweep import Sample, sweep_confusions, threshold_grid
from stages.finite import check_finite, is_finite
from stages.finite_losses import check_losses
from stages.localize.map_features import MapFeatures
from stages.refine.pseudo_masks import ImageScores
from stages.shards import ImageMaps, read_shard, write_shard
from stages.tensors import read_tensors, write_tensors

WRONG = pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])


@WRONG
@pytest.mark.parametrize("kind", [np.float16, np.float32, torch.float16, torch.bfloat16, torch.float32])
def test_one_number_is_enough(wrong: float, kind: np.dtype | torch.dtype) -> None:
    values = [0.0, 1.0, wrong, -2.0]
    array = torch.tensor(values, dtype=kind) if isinstance(kind, torch.dtype) else np.array(values, dtype=kind)
    assert not is_finite(array)
    assert is_finite(array[:2])
    with pytest.raises(DataError, match=r"^a.npy: b has numbers that are not .*: 1 of 4, and 1 more like it; c$"):
        check_finite("a.npy", {"a": array[:2], "b": array, "d": array}, "c")


def test_whole_numbers_and_nothing_are_finite() -> None:
    assert is_finite(np.zeros((0, 2)))
    assert is_finite(torch.arange(3))


@WRONG
def test_tensors_are_not_written(wrong: float, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"text.safetensors: text has numbers that are not finite.*; another"):
        write_tensors(tmp_path / "text.safetensors", {"text": torch.tensor([[1.0, wrong]])}, cure="another")
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.bias[1] = wrong
    with pytest.raises(DataError, match=r"net.safetensors: bias has numbers.*the net is not written; lower"):
        CheckpointFormat("net", "net", "refine").save(tmp_path / "net.safetensors", network, {})
    assert list(tmp_path.iterdir()) == []


@WRONG
def test_maps_and_probabilities_are_neither_written_nor_read(wrong: float, tmp_path: Path) -> None:
    path, classes = tmp_path / "0.safetensors", np.array([0])
    good = ImageMaps("a", np.zeros((1, 2, 2), np.float32), classes, (4, 4), np.array([0.5, 0.5], np.float32))
    with pytest.raises(DataError, match="^b: localization maps: a map has numbers"):
        write_shard(path, iter([good, ImageMaps("b", np.full((1, 2, 2), wrong, np.float32), classes, (4, 4))]))
    with pytest.raises(DataError, match="^b: localization maps: a probability has numbers"):
        ImageMaps("b", good.maps, classes, (4, 4), np.array([wrong, 0], np.float32))
    write_shard(path, [good])
    with safe_open(path, framework="numpy") as shard:
        metadata, tensors = shard.metadata(), {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118
    save_file(tensors | {"a/maps": np.full((1, 2, 2), wrong, np.float32)}, path, metadata=metadata)
    with pytest.raises(DataError, match=r"0\.safetensors: a: localization maps: a map has numbers"):
        list(read_shard(path))


@WRONG
def test_nothing_is_scored_or_labelled_by_them(wrong: float, tmp_path: Path) -> None:
    scores, mask = np.zeros((224, 224), np.float32), np.zeros((224, 224), np.uint8)
    scores[3, 5] = abs(wrong)  # -inf in one of several maps loses against the others
    for score in (lambda: normalise(scores), lambda: count_pixels([(scores, mask)])):
        with pytest.raises(DataError, match="maps to score: a map has numbers that are not finite"):
            score()
    sample = Sample(scores[None], np.array([0]), mask)
    with pytest.raises(DataError, match="maps to score"):
        sweep_confusions([sample], threshold_grid(10), 1)
    with pytest.raises(DataError, match="im: scores to label: score 1 has numbers"):
        ImageScores("im", (mask.astype(np.float32), scores), (0,), (224, 224), (224, 224))


def test_features_that_float16_does_not_hold_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a feature has numbers that are not finite.*float16 does not hold them"):
        MapFeatures(tmp_path).write([0], 0, [torch.full((1, 2, 3, 3), 70000.0)])
    assert list(tmp_path.iterdir()) == []


def test_losses_are_told_by_name_with_step_and_rate() -> None:
    check_losses("localize.training", 1, {"loss": torch.tensor(2.0), "loss_a": 1.0}, rate=0.1)
    with pytest.raises(DataError, match=r"localize.training: .* step 7, .*loss nan, loss_a 1, loss_b inf"):
        check_losses(
            "localize.training", 7, {"loss": torch.tensor(torch.nan), "loss_a": 1.0, "loss_b": torch.inf}, rate=0.1
        )


@WRONG
def test_a_file_of_tensors_is_read_whole_and_finite(tmp_path: Path, wrong: float) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"text": torch.ones(3)}, cure="")
    assert torch.equal(read_tensors(path, stage="encode")["text"], torch.ones(3))
    save_file({"text": np.array([0, wrong], dtype=np.float32)}, path)
    with pytest.raises(DataError, match=r"a\.safetensors: text has numbers .* 1 of 2; delete it and rerun `encode`"):
        read_tensors(path, stage="encode")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"cannot be read as tensors .*; delete it and rerun `encode`"):
        read_tensors(path, stage="encode")
