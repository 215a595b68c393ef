"""Maps at the image's size and their thresholds."""

import numpy as np
import pytest
import torch

from stages.labelling import best_class, best_enlarged, enlarge_labels, enlarge_maps, threshold_maps


def test_enlarging_is_torch_bilinear():
    maps = np.random.default_rng(0).random((3, 7, 9), dtype=np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(maps)[None], (28, 35), mode="bilinear")[0]
    np.testing.assert_allclose(enlarge_maps(maps, (28, 35)), expected.numpy(), atol=1e-5)


def test_enlarging_keeps_the_range_and_allows_no_classes():
    assert enlarge_maps(np.ones((1, 3, 3), dtype=np.float32), (13, 11)).max() == 1
    assert enlarge_maps(np.ones((0, 3, 3), dtype=np.float32), (13, 11)).shape == (0, 13, 11)


def test_a_score_at_the_threshold_is_foreground():
    maps = np.array([[[0.4, 0.3, 0.1]], [[0.2, 0.3, 0.39]]], dtype=np.float32)
    values, scores = best_class(maps, [4, 1])
    assert values.tolist() == [[5, 5, 2]]  # the tie goes to the class named first
    assert scores[0].tolist() == pytest.approx([0.4, 0.3, 0.39])
    assert threshold_maps(maps, [4, 1], 0.4).tolist() == [[5, 0, 0]]
    assert threshold_maps(maps[:0], [], 0.4).tolist() == [[0, 0, 0]]


def test_the_best_of_enlarged_scores_is_that_of_all_enlarged_at_once():
    scores = np.random.default_rng(0).random((5, 7, 9), dtype=np.float32)
    at_once = torch.nn.functional.interpolate(torch.from_numpy(scores)[None], (31, 40), mode="bilinear")[0]
    np.testing.assert_array_equal(best_enlarged(scores, (31, 40)), at_once.argmax(dim=0).numpy())


def test_enlarged_labels_keep_their_values_and_straight_borders():
    labels = np.array([[0, 0, 7], [0, 0, 7], [255, 255, 255]], dtype=np.uint8)
    assert enlarge_labels(labels, (3, 3)) is labels
    enlarged = enlarge_labels(labels, (12, 12))
    assert (enlarged[:7, :8] == 0).all()  # the corner where three labels meet is round
    assert (enlarged[:7, 8:] == 7).all()
    assert (enlarged[8:] == 255).all()
    assert enlarge_labels(np.zeros((1, 2), dtype=np.uint8), (2, 900)).shape == (2, 900)
