"""The command compares the segmenter's ways and writes their ratios."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.segment import run
from stages.images import write_mask
from stages.index import Record, write_index
from stages.segment.architecture import build_model, model_config
from stages.segment.model import save_segmenter
from stages.segment.predict import SEGMENTER
from stages.settings import SegmentSettings


def test_the_command_writes_the_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, root = tmp_path / "results", tmp_path / "set"
    root.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / "a.png")
    write_mask(root / "a-mask.png", np.ones((40, 50), dtype=np.uint8))
    write_index(results / "data" / "val.csv", [Record("a", "a.png", "a-mask.png", ("cat",), "val")])
    network = {"backbone": "test_efficientnet", "decoder_channels": 8}
    segment = {"network": network, "training": {"crop": 32, "batch_size": 2}}
    model = model_config(SegmentSettings.model_validate(segment), ("cat", "dog"))
    save_segmenter(results / SEGMENTER, build_model(model), classes=("cat", "dog"), config=model)
    config = {
        "experiment": "tiny", "segment": segment,
        "data": {"format": "csv", "root": str(root), "classes": ["cat", "dog"]},
        "encode": {"weights": {"test_efficientnet": "timm", "vit_base_patch16_224.dino": "timm"}},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    options = ["--results", str(results), "--config", str(tmp_path / "config.yaml"), "--pairs", "1"]
    run([*options, "--json", str(tmp_path / "ratios.json")])
    ratios = json.loads((tmp_path / "ratios.json").read_text())
    assert set(ratios) == {"crf_all_labels", "step_contiguous", "step_depthwise"}
    assert all(ratio > 0 for ratio in ratios.values())
    assert "labels alike in" in capsys.readouterr().out
