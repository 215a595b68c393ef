"""The sweep from one pass: exactly the confusion of each threshold taken alone."""

import numpy as np
import pytest

from stages.evaluate.confusion import confusion_matrix, mean_iou
from stages.evaluate.threshold_sweep import Sample, sweep_confusions, threshold_grid
from stages.labelling import threshold_maps


def made_up_samples(count=6, classes=5):
    random = np.random.default_rng(3)
    for number in range(count):
        tagged = random.permutation(classes)[: number % 4]  # the first and the fifth have no tag
        # Scores in 255ths and in 100ths: many stand exactly on a threshold or one rounding beside it.
        steps = 255 if number % 2 else 100
        maps = (random.integers(0, steps + 1, (len(tagged), 20, 30)) / steps).astype(np.float32)
        truth = random.choice([*range(classes + 1), 255], (20, 30)).astype(np.uint8)
        yield Sample(maps, tagged, truth)


@pytest.mark.parametrize("steps", [10, 64, 100, 255])
def test_equals_brute_force(steps):
    thresholds = threshold_grid(steps, 0.4321)
    confusions = sweep_confusions(made_up_samples(), thresholds, 5)
    assert confusions.dtype == np.int64
    for threshold, confusion in zip(thresholds, confusions, strict=True):
        expected = sum(
            confusion_matrix(sample.truth, threshold_maps(sample.maps, sample.classes, threshold), 5)
            for sample in made_up_samples()
        )
        np.testing.assert_array_equal(confusion, expected)


def test_worked_by_hand():
    # Scores 0.9, 0.5, 0.2 of class 2 over truth 2, 0, 2. At 0: all class 2, IoU of background 0, of class 2 2/3.
    # At 0.5 (its own score is not below): class 2 has 1 of 3. At 1: background alone, 1/3 and 0.
    sample = Sample(
        np.array([[[0.9, 0.5, 0.2]]], dtype=np.float32), np.array([1]), np.array([[2, 0, 2]], dtype=np.uint8)
    )
    confusions = sweep_confusions([sample], np.array([0, 0.5, 0.6, 1], dtype=np.float32), 2)
    assert confusions[0].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 2]]
    assert confusions[1].tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert confusions[2].tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert confusions[3].tolist() == [[1, 0, 0], [0, 0, 0], [2, 0, 0]]
    assert mean_iou(confusions) == pytest.approx([100 / 3, 100 / 6, 50, 100 / 6])


def test_the_grid_holds_the_fixed_threshold_once():
    assert threshold_grid(10, 0.4).tolist() == pytest.approx([i / 10 for i in range(11)])
    assert len(threshold_grid(10, 0.45)) == 12
