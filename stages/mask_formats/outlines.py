"""Outlines of regions as single polygons, which every tool reads: holes are cut by bridges of no width.

A polygon runs a quarter of a pixel inside of the region's pixels. Readers differ in which pixels a polygon covers:
pycocotools takes those whose centre is inside, labelme and YOLO's tools all that it touches. Here both are the region's
own, so with tolerance 0 each of them gets the region back (`tests/mask_formats/`).

Coordinates are (x, y) in pixels, from the outer edge of the image's first pixel, as the tools' windows show them.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Points = NDArray[np.float64]  # [points, 2], x and y


def outline_of(area: NDArray[np.bool_], tolerance: float = 0.0) -> Points:
    """The outline [points, 2] float64 of one region: `area` [rows, columns] is True in its pixels, which touch each other
    along sides or at corners.

    tolerance: pixels by which corners may be cut to have fewer points (Douglas and Peucker, 1973).
    """
    # Twice as large: the centres of its boundary pixels are then a quarter of a pixel inside of the region.
    doubled = area.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    loops = [contour[:, 0].astype(np.float64) for contour in contours]
    holes = [loop for loop, (_, _, _, parent) in zip(loops, hierarchy[0], strict=True) if parent >= 0]
    (outer,) = [loop for loop, (_, _, _, parent) in zip(loops, hierarchy[0], strict=True) if parent < 0]
    merged, fixed = _cut_holes(outer, holes)
    return (_simplified(merged, fixed, 2 * tolerance) + 0.5) / 2


def _cut_holes(outer: Points, holes: Sequence[Points]) -> tuple[Points, NDArray[np.bool_]]:
    """One loop through the outer contour and all holes, and which of its points are ends of bridges.

    Each bridge joins the nearest points of the loop so far and of a hole, the nearest hole first: so no bridge crosses
    another hole or leaves the region. Contours of holes run in the opposite direction (OpenCV), so both rules of what is
    inside a polygon, even-odd and non-zero, leave them out.
    """
    loop, fixed = outer, np.zeros(len(outer), dtype=bool)
    # Of each hole: its distance to the loop, its own nearest point and the loop's.
    nearest = [_nearest(outer, hole) for hole in holes]
    waiting = list(range(len(holes)))
    while waiting:
        chosen = min(waiting, key=lambda number: nearest[number][0])
        waiting.remove(chosen)
        _, inner, target = nearest[chosen]
        hole = np.concatenate([holes[chosen][inner:], holes[chosen][: inner + 1]])
        at = int(np.flatnonzero((loop == target).all(axis=1))[0])
        ends = np.zeros(len(hole), dtype=bool)
        ends[[0, -1]] = True
        loop = np.concatenate([loop[: at + 1], hole, loop[at:]])
        fixed = np.concatenate([fixed[:at], [True], ends, [True], fixed[at + 1 :]])
        for number in waiting:
            found = _nearest(holes[chosen], holes[number])
            nearest[number] = min(nearest[number], found, key=lambda pair: pair[0])
    return loop, fixed


def _nearest(loop: Points, hole: Points) -> tuple[float, int, Points]:
    """The distance between two contours, the place of the nearest point in `hole`, and the nearest point of `loop`."""
    distances, places = KDTree(loop).query(hole)
    inner = int(distances.argmin())
    return float(distances[inner]), inner, loop[places[inner]]


def _simplified(loop: Points, fixed: NDArray[np.bool_], tolerance: float) -> Points:
    """The loop with fewer points; ends of bridges stay, so that both ways across a bridge are one line."""
    places = np.flatnonzero(fixed)
    if not len(places):
        return _fewer(loop, tolerance, closed=True)
    loop = np.roll(loop, -places[0], axis=0)
    stops = [*(places - places[0]).tolist(), len(loop)]
    closed = np.concatenate([loop, loop[:1]])
    parts = [_fewer(closed[start : end + 1], tolerance, closed=False)[:-1] for start, end in zip(stops, stops[1:], strict=False)]
    return np.concatenate(parts)


def _fewer(points: Points, tolerance: float, *, closed: bool) -> Points:
    fewer = cv2.approxPolyDP(points.astype(np.float32)[:, None], tolerance, closed)[:, 0].astype(np.float64)
    # Of a region of few pixels a tolerance may leave a line, which is no polygon.
    return fewer if len(fewer) >= (3 if closed else 2) else points
