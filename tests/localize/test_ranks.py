"""Two processes train as one: the contrastive loss over both batches, and the weights of a whole training."""

import json
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file

from stages.errors import SettingsError
from stages.localize import train
from stages.localize.mmcst import over_all_ranks
from stages.localize.tokens import contrastive_loss
from stages.runtime.launch import batch_share
from tests.localize.conftest import arguments

TEMPERATURE = 0.2


def batches() -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and embeddings of a batch of six, [6, 4]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 4, generator=generator), torch.randn(6, 4, generator=generator)


def loss_of_rank(rank: int, folder: Path) -> None:
    """One of two processes with half of the batch; leaves its loss and its gradient, averaged as DDP does."""
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    predicted, embeddings = (part[3 * rank : 3 * rank + 3] for part in batches())
    weight = torch.eye(4, requires_grad=True)
    loss = contrastive_loss(over_all_ranks(predicted @ weight), over_all_ranks(embeddings), TEMPERATURE)
    loss.backward()
    torch.distributed.all_reduce(weight.grad)
    torch.save({"loss": loss.detach(), "gradient": weight.grad / 2}, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_contrastive_loss_and_gradient_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(loss_of_rank, (tmp_path,), nprocs=2)
    predicted, embeddings = batches()
    weight = torch.eye(4, requires_grad=True)
    loss = contrastive_loss(predicted @ weight, embeddings, TEMPERATURE)
    loss.backward()
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found["loss"], loss.detach())
        torch.testing.assert_close(found["gradient"], weight.grad)


def test_one_process_has_the_batch_itself() -> None:
    predicted, _ = batches()
    assert over_all_ranks(predicted) is predicted


def test_two_processes_train_the_weights_of_one(dataset: Path, weight_files: dict[str, Path]) -> None:
    """Frozen features of one view leave nothing to chance: the same images make up each step, in two halves."""
    given = arguments(dataset, weight_files["hybrid"], views=1)
    settings = json.loads(given[1]) | {"training": {"crop": 64, "epochs": 2, "batch_size": 2, "warmup_epochs": 0}}
    given[1] = json.dumps(settings)
    train.run(given)
    alone = load_file(dataset / "localizer.safetensors")
    (dataset / "work").rename(dataset / "work of one")
    train.run([*given, "--gpus", "2"])
    log = "".join(path.read_text() for path in (dataset / "work").glob("*/*.log"))
    assert "Distributed launcher: pytorch" in log
    assert "GPU number: 2" in log
    together = load_file(dataset / "localizer.safetensors")
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_a_batch_that_does_not_divide_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("stages.runtime.launch.ranks", lambda: 3)
    with pytest.raises(SettingsError, match=r"localize.training.batch_size: 64 images cannot be divided among 3 GPUs"):
        batch_share(64, "localize.training.batch_size")
