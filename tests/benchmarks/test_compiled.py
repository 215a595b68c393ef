"""The benchmark of torch.compile times both ways. Compiling takes minutes, so here it is left out."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.compiled import run


def test_the_command_writes_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **options: compiled.append(options) or function)
    path = tmp_path / "figures.json"
    options = ["--model", "vit_tiny_patch16_224", "--clip", "ViT-S-32-alt", "--batch-size", "2", "--size", "64"]
    run(["--json", str(path), *options, "--pairs", "1"])
    figures = json.loads(path.read_text())
    assert set(figures) == {"training", "training_first", "maps", "maps_first"}
    assert all(figure > 0 for figure in figures.values())
    assert compiled == [{"dynamic": False}] * 2
    assert len(capsys.readouterr().out.splitlines()) == len(figures)
