"""From class probabilities to masks."""

import numpy as np

from stages.dense_crf import dense_crf
from stages.segment.labels import mask_of, winners
from stages.settings import CrfSettings


def test_crf_is_over_the_labels_that_win_pixels() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    probabilities = np.full((4, 20, 30), 0.01, dtype=np.float32)
    probabilities[0], probabilities[3, :, 10:] = 0.4, 0.6
    probabilities /= probabilities.sum(axis=0)
    np.testing.assert_array_equal(mask_of(image, probabilities, None), probabilities.argmax(axis=0))
    crf = CrfSettings(iterations=3)
    chosen = probabilities[[0, 3]] / probabilities[[0, 3]].sum(axis=0)
    expected = np.array([0, 3], dtype=np.uint8)[dense_crf(image, chosen, crf).argmax(axis=0)]
    refined = mask_of(image, probabilities, crf)
    np.testing.assert_array_equal(refined, expected)
    assert refined.dtype == np.uint8
    assert set(np.unique(refined)) <= {0, 3}
    labels, kept = winners(probabilities)
    assert labels.tolist() == [0, 3]
    np.testing.assert_array_equal(kept, probabilities[[0, 3]])
    one = np.zeros((4, 20, 30), dtype=np.float32)
    one[2] = 1
    assert (mask_of(image, one, crf) == 2).all()  # alone, it needs no CRF
