"""Outlines of regions as single polygons, which every tool reads: holes are cut by bridges of no width.

A polygon runs a quarter of a pixel inside of the region's pixels. Readers differ in which pixels a polygon covers:
pycocotools takes those whose centre is inside, labelme and YOLO's tools all that it touches. Here both are the region's
own, so with tolerance 0 each of them gets the region back (`tests/mask_formats/`).

Coordinates are (x, y) in pixels, from the outer edge of the image's first pixel, as the tools' windows show them.
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Points = NDArray[np.float64]  # [points, 2], x and y
ROUNDING = 1e-9  # of distances of points that are on one line
LEAST = 3  # points of a polygon


def outline_of(area: NDArray[np.bool_], tolerance: float = 0.0) -> Points:
    """The outline [points, 2] float64 of one region: `area` [rows, columns] is True in its pixels, which touch each
    other along sides or at corners.

    tolerance: pixels by which corners may be cut to have fewer points (Douglas and Peucker, 1973).
    """
    # Twice as large: the centres of its boundary pixels are then a quarter of a pixel inside of the region.
    doubled = area.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    loops = [contour[:, 0].astype(np.float64) for contour in contours]
    holes = [loop for loop, (_, _, _, parent) in zip(loops, hierarchy[0], strict=True) if parent >= 0]
    (outer,) = [loop for loop, (_, _, _, parent) in zip(loops, hierarchy[0], strict=True) if parent < 0]
    merged, fixed = _cut_holes(outer, holes)
    outline = _simplified(merged, fixed, 2 * tolerance)
    if len(outline) < LEAST:  # a region of few pixels, of which the tolerance leaves a line
        outline = _simplified(merged, fixed, 0)
    return (outline + 0.5) / 2


def _cut_holes(outer: Points, holes: Sequence[Points]) -> tuple[Points, NDArray[np.bool_]]:
    """One loop through the outer contour and all holes, and which of its points are ends of bridges.

    Each bridge joins the nearest points of the loop so far and of a hole, the nearest hole first: so no bridge crosses
    another hole or leaves the region. Contours of holes run in the opposite direction (OpenCV), so both rules of what
    is inside a polygon, even-odd and non-zero, leave them out.
    """
    loop, fixed = outer, np.zeros(len(outer), dtype=bool)
    # Of each hole: its distance to the loop, its own nearest point and the loop's.
    tree = KDTree(outer)
    nearest = [_nearest(tree, hole) for hole in holes]
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
        tree = KDTree(holes[chosen])
        for number in waiting:
            nearest[number] = min(nearest[number], _nearest(tree, holes[number]), key=lambda found: found[0])
    return loop, fixed


def _nearest(tree: KDTree, hole: Points) -> tuple[float, int, Points]:
    """The distance of a hole to the points of a tree, the place of its nearest point, and the tree's nearest one."""
    distances, places = tree.query(hole)
    inner = int(distances.argmin())
    return float(distances[inner]), inner, tree.data[places[inner]]


def _simplified(loop: Points, fixed: NDArray[np.bool_], tolerance: float) -> Points:
    """The loop with fewer points; ends of bridges stay, so that both ways across a bridge are one line."""
    stops = np.flatnonzero(fixed).tolist()
    if not stops:  # the first point is the topmost: a corner
        stops = [0]
    loop = np.roll(loop, -stops[0], axis=0)
    closed = np.concatenate([loop, loop[:1]])
    ends = [*(stop - stops[0] for stop in stops), len(loop)]
    kept = np.zeros(len(closed), dtype=bool)
    for start, end in pairwise(ends):
        kept[start : end + 1] |= _corners(closed[start : end + 1], tolerance)
    fewer = loop[kept[:-1]]
    # A bridge to a hole that touches the outline at a corner has no length.
    return fewer[(fewer != np.roll(fewer, 1, axis=0)).any(axis=1)]


def _corners(line: Points, tolerance: float) -> NDArray[np.bool_]:
    """Which points of a line stay so that none is farther than the tolerance from the line through those (Douglas and
    Peucker, 1973). OpenCV's `approxPolyDP` refuses a line that comes to one point twice, as contours do at corners
    where two parts of a region touch."""
    kept = np.zeros(len(line), dtype=bool)
    kept[[0, -1]] = True
    waiting = [(0, len(line) - 1)]
    while waiting:
        start, end = waiting.pop()
        if end - start < 2:
            continue
        distances = _distances(line[start + 1 : end], line[start], line[end])
        farthest = start + 1 + int(distances.argmax())
        # A line that comes back to where it began keeps a point, so that it does not vanish.
        if distances.max() > tolerance + ROUNDING or (line[start] == line[end]).all():
            kept[farthest] = True
            waiting += [(start, farthest), (farthest, end)]
    return kept


def _distances(points: Points, start: Points, end: Points) -> NDArray[np.float64]:
    """Distances of points from the segment between two."""
    along = end - start
    length = float(along @ along)
    shares = np.clip((points - start) @ along / length, 0, 1) if length else np.zeros(len(points))
    return np.hypot(*(points - start - shares[:, None] * along).T)
