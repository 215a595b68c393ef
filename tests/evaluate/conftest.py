"""A small scored dataset: two images with masks, their maps and predictions."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from stages.images import write_mask
from stages.index import Record, write_classes, write_index
from stages.shards import ImageMaps, write_shard


@pytest.fixture
def dataset(tmp_path):
    """Images a and b of 8 x 8: true class 1 in the left half of a, nothing in b. Maps are perfect at (0.4, 0.8]."""
    truth = np.zeros((8, 8), dtype=np.uint8)
    truth[:, :4] = 1
    write_mask(tmp_path / "true/a.png", truth)
    write_mask(tmp_path / "true/b.png", np.zeros_like(truth))
    write_mask(tmp_path / "masks/0/a.png", truth)
    write_mask(tmp_path / "masks/1/b.png", truth)  # wrong in half its pixels
    records = [Record(name, f"{name}.jpg", f"true/{name}.png", ("cat",), "val") for name in "ab"]
    write_index(tmp_path / "val.csv", records)
    write_classes(tmp_path / "classes.txt", ["cat", "dog"])
    maps = np.where(truth == 1, 0.8, 0.4).astype(np.float32)[None]
    write_shard(tmp_path / "0.safetensors", [ImageMaps("a", maps, np.array([0]), (8, 8))])
    write_shard(tmp_path / "1.safetensors", [ImageMaps("b", maps * 0 + 0.2, np.array([0]), (8, 8))])
    common = [
        *("--index", str(tmp_path / "val.csv"), "--root", str(tmp_path)),
        *("--classes", str(tmp_path / "classes.txt"), "--split", "val", "--seed", "7"),
    ]
    maps_files = [str(tmp_path / f"{shard}.safetensors") for shard in (0, 1)]
    settings = ["--settings", json.dumps({"thresholds": 10})]
    return SimpleNamespace(folder=tmp_path, common=common, settings=settings, maps=maps_files, truth=truth)
