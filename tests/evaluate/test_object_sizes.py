"""IoU by object size against a slow direct count and numbers by hand."""

import numpy as np
import pytest

from stages.evaluate.object_sizes import SIZES, ObjectIous, size_group
from stages.evaluate.threshold_sweep import Sample, sweep_confusions, threshold_grid
from stages.images import IGNORE
from stages.labelling import threshold_maps

CLASSES = 3


def test_groups_end_where_they_say() -> None:
    assert [size_group(share) for share in (0.01, 0.05, 0.06, 0.15, 0.2, 1.0)] == [
        "small", "small", "medium", "medium", "large", "large",
    ]  # fmt: skip


def test_one_object_by_hand() -> None:
    # Ten pixels, two of class 0 (20 %: large). The map claims three at 0.5, two of them right: IoU 2 / 3.
    truth = np.array([[1, 1, 0, 0, 0, 0, 0, 0, 0, 0]], dtype=np.uint8)
    maps = np.array([[[0.9, 0.6, 0.5, 0.1, 0, 0, 0, 0, 0, 0]]], dtype=np.float32)
    objects = ObjectIous(3)
    sweep_confusions([Sample(maps, np.array([0]), truth)], np.float32([0, 0.5, 0.7]), CLASSES, objects=objects)
    found = {name: (count, iou) for name, count, iou in objects.means(1)}
    assert found == {"small": (0, None), "medium": (0, None), "large": (1, pytest.approx(200 / 3))}
    assert {name: iou for name, _, iou in objects.means(2)}["large"] == pytest.approx(50)


def test_objects_without_a_map_count_as_missed() -> None:
    objects = ObjectIous(1)
    truth = np.array([[1, 0]], dtype=np.uint8)
    nothing = Sample(np.zeros((0, 1, 2), np.float32), np.zeros(0, np.int64), truth)
    other = Sample(np.ones((1, 1, 2), np.float32), np.array([2]), truth)
    sweep_confusions([nothing, other], np.float32([0]), CLASSES, objects=objects)
    assert [(count, iou) for _, count, iou in objects.means(0)] == [(0, None), (0, None), (2, 0)]


def random_sample(random: np.random.Generator) -> Sample:
    truth = random.choice([0, 0, 0, 0, 1, 2, 3, IGNORE], size=(12, 15)).astype(np.uint8)
    classes = np.sort(random.choice(CLASSES, size=2, replace=False))
    return Sample(random.random((2, 12, 15), dtype=np.float32), classes, truth)


def test_every_threshold_equals_a_direct_count() -> None:
    random = np.random.default_rng(4)
    samples = [random_sample(random) for _ in range(5)]
    thresholds = threshold_grid(10)
    objects = ObjectIous(len(thresholds))
    sweep_confusions(samples, thresholds, CLASSES, objects=objects)
    for position, threshold in enumerate(thresholds):
        ious: dict[str, list[float]] = {name: [] for name in SIZES}
        for sample in samples:
            counted = sample.truth != IGNORE
            seed = threshold_maps(sample.maps, sample.classes.tolist(), threshold)
            for value in range(1, CLASSES + 1):
                true, claimed = (sample.truth == value) & counted, (seed == value) & counted
                if true.any():
                    group = size_group(true.sum() / counted.sum())
                    ious[group].append(100 * (true & claimed).sum() / (true | claimed).sum())
        expected = [(name, len(own), pytest.approx(np.mean(own)) if own else None) for name, own in ious.items()]
        assert list(objects.means(position)) == expected
