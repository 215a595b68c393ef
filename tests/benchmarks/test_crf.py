"""The command compares our CRF with pydensecrf on an experiment's maps, and writes the ratios."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.crf import run
from stages.images import write_mask
from stages.index import Record, write_index
from stages.shards import ImageMaps, write_shard


def test_the_command_writes_the_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, root = tmp_path / "results", tmp_path / "set"
    root.mkdir()
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(root / "a.png")
    write_mask(root / "a-mask.png", np.ones((40, 50), dtype=np.uint8))
    write_index(results / "data" / "train.csv", [Record("a", "a.png", "a-mask.png", ("cat",), "train")])
    maps = ImageMaps("a", random.random((1, 10, 13), dtype=np.float32), np.array([0]), (40, 50))
    (results / "localize" / "maps" / "train").mkdir(parents=True)
    write_shard(results / "localize" / "maps" / "train" / "0.safetensors", [maps])
    config = {
        "experiment": "tiny",
        "data": {"format": "csv", "root": str(root), "classes": ["cat", "dog"]},
        "segment": {"network": {"backbone": "test_efficientnet"}},
        "encode": {"weights": {"test_efficientnet": "timm", "vit_base_patch16_224.dino": "timm"}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    options = ["--results", str(results), "--config", str(tmp_path / "config.yaml"), "--pairs", "1"]
    run([*options, "--json", str(tmp_path / "ratios.json")])
    ratios = json.loads((tmp_path / "ratios.json").read_text())
    assert set(ratios) == {"pydensecrf", "pydensecrf_19_thresholds", "pydensecrf_processes"}
    assert all(ratio > 0 for ratio in ratios.values())
    assert "labels alike in 100.0000 %" in capsys.readouterr().out
