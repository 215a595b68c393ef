"""Outlines: one polygon a region, whatever its holes."""

import cv2
import numpy as np
import pytest

from stages.mask_formats.outlines import outline_of
from stages.mask_formats.regions import regions_of
from tests.mask_formats.drawn import blobs, rings


def shoelace(points: np.ndarray) -> float:
    """The area of a polygon by its corners; a hole that is cut out counts as none."""
    x, y = points.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def test_a_square_is_four_corners_a_quarter_of_a_pixel_inside() -> None:
    square = np.ones((3, 5), dtype=bool)
    outline = outline_of(square)
    assert sorted(map(tuple, outline.tolist())) == [(0.25, 0.25), (0.25, 2.75), (4.75, 0.25), (4.75, 2.75)]


def test_a_single_pixel_has_an_area() -> None:
    assert shoelace(outline_of(np.ones((1, 1), dtype=bool))) == 0.25


def test_a_hole_is_cut_out_by_a_bridge_of_no_width() -> None:
    ring = np.ones((9, 9), dtype=bool)
    ring[3:6, 3:6] = False
    outline = outline_of(ring)
    # 8.5 x 8.5 without 3.5 x 3.5, whose four corners are cut; the way to the hole and back encloses nothing.
    assert shoelace(outline) == pytest.approx(8.5**2 - (3.5**2 - 4 * 0.125))
    steps = [
        tuple(sorted(map(tuple, pair)))
        for pair in zip(outline.tolist(), np.roll(outline, -1, axis=0).tolist(), strict=True)
    ]
    assert sum(steps.count(step) == 2 for step in set(steps)) == 1


def test_many_holes_are_cut_out() -> None:
    sieve = np.ones((31, 41), dtype=bool)
    sieve[2:-2:3, 2:-2:3] = False
    count = int((~sieve).sum())
    # A hole of one pixel is 1.5 x 1.5 without its cut corners: its contour runs through the pixels around it.
    drawn = np.zeros(sieve.shape, dtype=np.uint8)
    cv2.fillPoly(drawn, [np.floor(outline_of(sieve)).astype(np.int32)], 1)
    np.testing.assert_array_equal(drawn == 1, sieve)
    assert count > 100


@pytest.mark.parametrize("tolerance", [0.3, 0.5, 1.0, 5.0])
def test_corners_move_no_farther_than_the_tolerance(tolerance: float) -> None:
    """Every point of the fine outline is that near to the coarse one."""
    for region in regions_of(blobs(3, smooth=4)):
        fine, coarse = region.outline(), region.outline(tolerance)
        assert len(coarse) <= len(fine)
        line = coarse.astype(np.float32)[:, None]
        farthest = max(abs(cv2.pointPolygonTest(line, tuple(map(float, point)), True)) for point in fine)
        assert farthest <= tolerance + 1e-4


def test_a_region_of_few_pixels_stays_a_polygon() -> None:
    for region in regions_of(rings()):
        assert len(region.outline(100.0)) >= 3


def test_regions_know_their_holes_and_places() -> None:
    found = {(region.value, region.area): region for region in regions_of(rings())}
    assert found[1, 456].has_hole
    assert not found[2, 10].has_hole
    np.testing.assert_array_equal(found[1, 456].in_image((40, 60)).sum(), 456)
    areas = [region.area for region in regions_of(rings())]
    assert areas == sorted(areas, reverse=True)
