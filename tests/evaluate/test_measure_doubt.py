"""The command that measures the doubts of a shard, on masks without a walk."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.evaluate.doubt_table import read_doubts
from stages.evaluate.measure_doubt import run
from stages.images import write_mask
from stages.index import Record, write_classes, write_index
from stages.shards import ImageMaps, write_shard

CLASSES = ("cat", "dog")
SIZE = (16, 24)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Images of one shard: `right`, whose mask is that of its maps; `wrong`, where the segmenter finds nothing of the
    dog; `bare` without a tag, in a quarter of which it finds a cat."""
    halves = np.zeros(SIZE, dtype=np.uint8)
    halves[:, :12], halves[:, 12:] = 1, 2
    quarter = np.zeros(SIZE, dtype=np.uint8)
    quarter[:, :6] = 1
    cat = np.where(halves == 1, halves, 0).astype(np.uint8)
    empty = np.zeros(SIZE, dtype=np.uint8)
    masks = {"right": (halves, halves), "wrong": (halves, cat), "bare": (empty, quarter)}
    maps = np.stack([halves == 1, halves == 2]).astype(np.float32)
    images, records = [], []
    for name, (mask, predicted) in masks.items():
        colours = np.array([[0, 0, 0], [200, 40, 40], [40, 40, 200]], dtype=np.uint8)[mask]
        Image.fromarray(colours).save(tmp_path / f"{name}.png")
        write_mask(tmp_path / f"masks/{name}.png", mask)
        write_mask(tmp_path / f"compared/{name}.png", predicted)
        classes = [] if name == "bare" else [0, 1]
        images.append(ImageMaps(name, maps[classes], np.array(classes, dtype=np.int64), SIZE))
        records.append(Record(name, f"{name}.png", "", tuple(CLASSES[place] for place in classes), "train"))
    write_shard(tmp_path / "0.safetensors", images)
    write_index(tmp_path / "train.csv", records)
    write_classes(tmp_path / "classes.txt", CLASSES)
    return tmp_path


def test_a_shard_from_files_to_table(shard: Path) -> None:
    settings = {"crf": {"iterations": 2, "bilateral_colour": 20}}
    run(
        [
            *("--settings", json.dumps(settings), "--threshold", "0.4", "--processes", "1"),
            *("--index", str(shard / "train.csv"), "--root", str(shard), "--classes", str(shard / "classes.txt")),
            *("--maps", str(shard / "0.safetensors"), "--masks", str(shard / "masks")),
            *("--predictions", str(shard / "compared"), "--output", str(shard / "doubt.csv")),
        ]
    )
    doubts = read_doubts(shard / "doubt.csv")
    assert list(doubts) == ["right", "wrong", "bare"]
    assert {name: list(doubt.classes) for name, doubt in doubts.items()} == {
        "right": ["cat", "dog"],
        "wrong": ["cat", "dog"],
        "bare": [],
    }
    assert doubts["right"].whole.crf == doubts["right"].whole.segmenter == 0
    # Background scores 0.4, the class 1 and the other 0: shares of 0.4 / 1.4 and 1 / 1.4, which the CRF makes surer.
    assert 0 < doubts["right"].whole.margin < 1 - 0.6 / 1.4
    assert doubts["wrong"].classes["dog"].segmenter == 1
    assert doubts["wrong"].whole.segmenter == 0.5
    assert (doubts["bare"].whole.crf, doubts["bare"].whole.segmenter, doubts["bare"].whole.margin) == (0, 0.25, 0)
    assert doubts["wrong"].whole.doubt > doubts["right"].whole.doubt
