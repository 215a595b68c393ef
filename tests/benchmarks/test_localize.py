"""The plain way of the localizer's benchmark gives what ours gives, and the command writes its ratios."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.localize import Bench, build_bench, check_equal, run

NAMES = {
    "training",
    "training_attention",
    "training_embedding",
    "inference",
    "inference_attention",
    "inference_batching",
}


@pytest.fixture
def bench() -> Bench:
    return build_bench(
        "vit_tiny_patch16_224", clip_model="ViT-S-32-alt", batch_size=2, size=64, classes=3, scales=[1.0, 1.5]
    )


def test_both_ways_agree(bench: Bench) -> None:
    check_equal(bench)


def test_other_weights_are_noticed(bench: Bench) -> None:
    with torch.no_grad():
        bench.plain.encoder.blocks[5].attn.qkv.weight.add_(0.05)
    with pytest.raises(AssertionError):
        check_equal(bench)


def test_the_command_writes_the_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ratios.json"
    options = ["--model", "vit_tiny_patch16_224", "--clip", "ViT-S-32-alt", "--batch-size", "2", "--size", "64"]
    run(["--json", str(path), *options, "--classes", "3", "--scales", "1", "--pairs", "2"])
    ratios = json.loads(path.read_text())
    assert set(ratios) == NAMES
    assert all(ratio > 0 for ratio in ratios.values())
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + len(NAMES)
