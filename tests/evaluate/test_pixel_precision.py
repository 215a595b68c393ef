"""PxAP and pIoU: by hand, against a slow direct version, and maps resized by another library."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.errors import DataError
from stages.evaluate import score_localization
from stages.evaluate.pixel_precision import (
    count_pixels,
    iou_at,
    last_threshold,
    normalise,
    peak_iou,
    pixel_average_precision,
)
from stages.images import write_mask
from stages.index import Record, write_index
from stages.shards import ImageMaps, write_shard


def image(scores: list[float], labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([scores], dtype=np.float32), np.array([labels], dtype=np.uint8)


def test_by_hand() -> None:
    """Two images of four and three pixels; objects' pixels score 0.9, 0.6 and 0.2, the background's 0.7, 0.2, 0.1, and
    one pixel of 0.95 is ignored. Falling thresholds: at 0.9 one of one is right (recall 1/3); at 0.7 one of two; at 0.6
    two of three (recall 2/3); at 0.2 three of five (recall 1); at 0.1 three of six.
    PxAP = 1/3 x 1 + 1/3 x 2/3 + 1/3 x 3/5. IoU: 1/3, 1/4, 2/4, 3/5, 3/6."""
    counts = count_pixels([image([0.9, 0.7, 0.2, 0.95], [1, 0, 1, 255]), image([0.6, 0.2, 0.1], [1, 0, 0])])
    assert counts.objects.sum() == counts.background.sum() == 3
    assert pixel_average_precision(counts) == pytest.approx(100 * (1 + 2 / 3 + 3 / 5) / 3)
    peak, threshold = peak_iou(counts)
    assert peak == pytest.approx(60)
    assert iou_at(counts, threshold) == peak
    assert 0.1 < threshold <= 0.2
    assert iou_at(counts, 0.65) == pytest.approx(25)
    assert iou_at(counts, 0.8) == pytest.approx(100 / 3)
    assert iou_at(counts, 0) == pytest.approx(50)


def test_perfect_maps_and_flat_ones() -> None:
    perfect = count_pixels([image([1, 0, 0], [1, 0, 0])])
    assert pixel_average_precision(perfect) == pytest.approx(100)
    assert peak_iou(perfect)[0] == pytest.approx(100)
    flat = count_pixels([image([0, 0, 0, 0], [1, 0, 0, 0])])
    assert pixel_average_precision(flat) == pytest.approx(25)  # the share of the object's pixels
    assert peak_iou(flat) == (pytest.approx(25), 0.0)


def slow(images: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """PxAP and pIoU by comparing every pixel with each of the thresholds 0, 0.001, ..., 1."""
    scores = np.concatenate([own.ravel() for own, _ in images]).astype(np.float64)
    labels = np.concatenate([own.ravel() for _, own in images])
    area = recall_before = 0.0
    ious = []
    for step in range(1000, -1, -1):
        found = scores >= step / 1000
        true, false = (found & (labels == 1)).sum(), (found & (labels == 0)).sum()
        missed = (~found & (labels == 1)).sum()
        ious.append(true / (true + false + missed))
        recall = true / (true + missed)
        if true + false:
            area += true / (true + false) * (recall - recall_before)
        recall_before = recall
    return 100 * area, 100 * max(ious)


def test_as_the_slow_direct_version() -> None:
    random = np.random.default_rng(0)
    images = []
    for _ in range(5):
        labels = random.choice([0, 1, 255], (40, 30), p=[0.6, 0.3, 0.1]).astype(np.uint8)
        scores = np.clip(0.4 * (labels == 1) + random.random((40, 30)) * 0.7, 0, 1).astype(np.float32)
        scores.flat[:3] = (0.0, 1.0, 0.5)
        images.append((scores, labels))
    counts = count_pixels(images)
    area, peak = slow(images)
    assert pixel_average_precision(counts) == pytest.approx(area, abs=1e-9)
    assert peak_iou(counts)[0] == pytest.approx(peak, abs=1e-9)


@pytest.mark.parametrize("size", [(14, 14), (60, 80), (224, 224), (256, 171)])
def test_maps_are_brought_to_224_by_bicubic_interpolation(size: tuple[int, int]) -> None:
    """torch's, whose coefficients are OpenCV's, then `normalize_scoremap` of wsolevaluation."""
    scores = np.random.default_rng(1).random(size).astype(np.float32)
    batch = torch.from_numpy(scores)[None, None]
    resized = torch.nn.functional.interpolate(batch, (224, 224), mode="bicubic")[0, 0].numpy()
    expected = (resized - resized.min()) / (resized - resized.min()).max()
    np.testing.assert_allclose(normalise(scores), expected, atol=2e-5)
    assert (normalise(np.full(size, 0.3, dtype=np.float32)) == 0).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images a split; the object is the left half, the maps of test fall off where those of val do not."""
    for split, power in (("val", 1.0), ("test", 3.0)):
        records, maps = [], []
        for number in range(2):
            name = f"{split}{number}"
            ramp = (np.linspace(1, 0, 56, dtype=np.float32) ** power)[None].repeat(56, axis=0)
            maps.append(ImageMaps(name, ramp[None], np.array([number]), (224, 224)))
            mask = np.zeros((224, 224), dtype=np.uint8)
            mask[:, :112] = 1
            mask[:4] = 255
            write_mask(tmp_path / f"masks/{split}/{name}.png", mask)
            records.append(Record(name, f"{name}.jpg", "", (f"class {number}",), split))
        write_index(tmp_path / f"{split}.csv", records)
        write_shard(tmp_path / f"{split}.safetensors", maps)
    return tmp_path


def score(folder: Path, split: str, *options: str) -> dict:
    paths = ["--index", f"{split}.csv", "--masks", f"masks/{split}", "--maps", f"{split}.safetensors"]
    places = [place if place.startswith("--") else str(folder / place) for place in paths]
    output = folder / f"localization-{split}.json"
    score_localization.run(["--split", split, "--seed", "0", *places, *options, "--output", str(output)])
    return json.loads(output.read_text())


def test_the_threshold_of_val_is_used_on_test(folder: Path) -> None:
    val = score(folder, "val")
    assert val["iou"] == val["piou"] > 98
    assert val["threshold"] == val["peak_threshold"] == pytest.approx(0.5, abs=0.02)
    assert val["pxap"] > 99
    test = score(folder, "test", "--chosen", str(folder / "localization-val.json"))
    assert test["threshold"] == val["threshold"]
    assert test["peak_threshold"] == pytest.approx(0.5**3, abs=0.02)
    assert test["piou"] > 98
    # (1 - x)^3 is 0.5 at x = 0.206, so 0.206 of 0.5 of the width is found.
    assert test["iou"] == pytest.approx(100 * 0.206 / 0.5, abs=2)


def test_images_of_several_tags_are_refused(folder: Path) -> None:
    maps = np.zeros((2, 8, 8), dtype=np.float32)
    write_shard(folder / "val.safetensors", [ImageMaps("val0", maps, np.array([0, 1]), (32, 32))])
    with pytest.raises(DataError, match="val0: has 2 tags, but PxAP needs images with one"):
        score(folder, "val")


def test_scores_are_counted_as_by_numpys_histogram() -> None:
    """Also next to the thresholds, where a product with 1000 is rounded to the wrong side."""
    edges = np.arange(1001) / 1000
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 2)]).astype(np.float32)
    scores = np.concatenate([near, np.random.default_rng(0).random(5000, dtype=np.float32)]).clip(0, 1)
    expected = np.histogram(scores.astype(np.float64), bins=np.append(edges, np.inf))[0]
    assert np.bincount(last_threshold(scores), minlength=1001).tolist() == expected.tolist()
