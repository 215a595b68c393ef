"""Boundary IoU."""

import cv2
import numpy as np
import pytest

from stages.evaluate.boundary import band_width, boundary_counts, boundary_ious, boundary_of
from stages.images import IGNORE


def eroded_band(region: np.ndarray, width: int) -> np.ndarray:
    """The published way: erosions by 3 x 3, the image's edge being a border (Boundary IoU's `mask_to_boundary`)."""
    padded = cv2.copyMakeBorder(region.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((3, 3), dtype=np.uint8), iterations=width)[1:-1, 1:-1]
    return region & (inner == 0)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_band_is_what_erosion_takes_away(width: int) -> None:
    random = np.random.default_rng(0)
    region = cv2.GaussianBlur(random.random((60, 80)), (0, 0), 4) > 0.5
    np.testing.assert_array_equal(boundary_of(region, width), eroded_band(region, width))


def test_width_is_two_percent_of_the_diagonal() -> None:
    assert band_width((300, 400)) == 10
    assert band_width((3, 4)) == 1


def test_a_square_moved_by_one_pixel_by_hand() -> None:
    # 40 x 30 has a diagonal of 50: a band of one pixel. Squares of 5: rings of 16 pixels.
    truth, predicted = np.zeros((2, 30, 40), dtype=np.uint8)
    truth[10:15, 10:15] = 1
    predicted[10:15, 11:16] = 1
    counts = boundary_counts(truth, predicted, 1)
    # The rings share the upper and lower sides but for one pixel each at both ends: 4 + 4, and nothing upright.
    assert counts[:, 1].tolist() == [8, 24]
    assert boundary_ious(counts)[1] == pytest.approx(100 / 3)


def test_equal_masks_have_100_and_absent_classes_none() -> None:
    mask = np.zeros((50, 60), dtype=np.uint8)
    mask[10:30, 10:40] = 2
    ious = boundary_ious(boundary_counts(mask, mask, 3))
    assert ious[[0, 2]].tolist() == [100, 100]
    assert np.isnan(ious[[1, 3]]).all()


def test_where_the_truth_is_ignored_the_prediction_may_be_anything() -> None:
    truth = np.zeros((50, 60), dtype=np.uint8)
    truth[8:32, 8:42] = IGNORE
    truth[10:30, 10:40] = 1
    predicted = np.zeros_like(truth)
    predicted[9:31, 9:41] = 1  # a border within the ignored ring
    assert boundary_ious(boundary_counts(truth, predicted, 1)).tolist() == [100, 100]
