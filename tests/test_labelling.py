"""Maps at the image's size and their thresholds."""

import numpy as np
import pytest
import torch

from stages.labelling import best_class, enlarge_maps, threshold_maps


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
