"""A small experiment as the stages leave it: three val images, scores, curves, benchmarks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.evaluate.image_scores import write_image_scores
from stages.evaluate.score_masks import count_masks
from stages.evaluate.scores import FixedScore, Score, write_score
from stages.files import write_text
from stages.images import BACKGROUND_NAME, write_mask
from stages.index import Record, write_classes, write_index
from stages.shards import ImageMaps, write_shard

CLASSES = ("cat", "<b>dog</b>")


@pytest.fixture
def make_score():
    """Makes a score of two classes, the second of which is nowhere."""

    def make(stage, split, miou, **more):
        fields = {"threshold": None, "threshold_source": None, "seed": 3, "images": 3} | more
        return Score(
            stage=stage,
            split=split,
            miou=miou,
            per_class={"background": miou, CLASSES[0]: miou, CLASSES[1]: None},
            false_positives=(100 - miou) / 2,
            false_negatives=(100 - miou) / 2,
            **fields,
        )

    return make


def write_benchmark(path: Path, seconds: float, peak: str) -> None:
    """A benchmark file with the columns that the report reads among others."""
    write_text(path, f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:01\t{peak}\t1\n")


@pytest.fixture
def results(tmp_path, make_score):
    """results/<experiment> below tmp_path in two shards, the dataset in tmp_path itself. The later an image, the worse
    its prediction."""
    folder = tmp_path / "results"
    truth = np.zeros((30, 40), dtype=np.uint8)
    truth[:, :20] = 1
    for number, name in enumerate("abc"):
        Image.new("RGB", (40, 30), (90, 120, 40 * number)).save(tmp_path / f"{name}.jpg")
        write_mask(tmp_path / f"{name}.png", truth)
        write_mask(folder / f"refine/masks/val/{number % 2}/{name}.png", truth)
        write_mask(
            folder / f"segment/pseudo_masks/predictions/val/{number % 2}/{name}.png", np.roll(truth, 4 * number, axis=1)
        )
    write_index(folder / "data/val.csv", [Record(x, f"{x}.jpg", f"{x}.png", (CLASSES[0],), "val") for x in "abc"])
    write_classes(folder / "data/classes.txt", CLASSES)
    maps = np.linspace(0, 1, 80, dtype=np.float32).reshape(1, 8, 10)
    for shard, names in enumerate(("ac", "b")):
        images = [ImageMaps(name, maps, np.array([0]), (30, 40)) for name in names]
        write_shard(folder / f"localize/maps/val/{shard}.safetensors", images)
    sweep = tuple((step / 10, 40.0 - step) for step in range(11))
    best = {"threshold": 0.0, "threshold_source": "oracle", "sweep": sweep}
    score = make_score("maps", "val", 40, fixed=FixedScore(threshold=0.4, miou=36), **best)
    write_score(folder / "evaluate/maps-val.json", score)
    write_score(folder / "evaluate/segmenter-val.json", make_score("segmenter", "val", 43.21))
    pairs = [
        (tmp_path / f"{name}.png", folder / f"segment/pseudo_masks/predictions/val/{number % 2}/{name}.png")
        for number, name in enumerate("abc")
    ]
    images = folder / "evaluate/segmenter-val-images.csv"
    write_image_scores(images, "abc", count_masks(pairs, len(CLASSES)).images, (BACKGROUND_NAME, *CLASSES))
    curves = "step,name,value\n10,loss,2.5\n20,loss,1.5\n10,lr,0.1\n20,lr,0.05\n20,time,0.5\n"
    curves += "10,entropy_text,0.9\n20,entropy_text,0.8\n"
    write_text(folder / "localize/training.csv", curves)
    write_text(folder / "segment/pseudo_masks/training.csv", curves)
    write_benchmark(folder / "benchmarks/localize/train.tsv", 3600, "2048.0")
    write_benchmark(folder / "benchmarks/localize/maps/val/0.tsv", 20, "1024.0")
    write_benchmark(folder / "benchmarks/localize/maps/train/1.tsv", 42, "-")
    return folder
