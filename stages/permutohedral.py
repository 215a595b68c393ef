"""Gaussian filter for values at points in any number of dimensions, in time linear in the number of points.

Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010: values are
spread over the vertices of the simplex around each point (splat), blurred along the lattice's d + 1 directions, and
read at the points again (slice). What is spread where depends on the points alone, so it is found out once.

The lattice lies in the plane of d + 1 coordinates with sum 0. Its vertices are the points whose coordinates are whole
numbers with the same remainder r when divided by d + 1, and every simplex has one vertex of each remainder. So a vertex
is its remainder and the whole quotients of its first d coordinates, which are packed into one number, its key.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from stages.errors import SettingsError

Floats = NDArray[np.float32]
Keys = NDArray[np.int64]
Places = NDArray[np.intp]


class Lattice:
    """Filters values at n points with k(i, j) = exp(-|f_i - f_j|^2 / 2), divided by sqrt(sum_j k(i, j)) on both sides,
    as the program of Kraehenbuehl and Koltun does.

    features: [d, n] float32, in units of the kernel's standard deviation. Raises SettingsError if they span too many
    standard deviations to be numbered.
    """

    def __init__(self, features: Floats) -> None:
        points = features.shape[1]
        quotients, ranks, weights = _simplices(_elevated(features))
        places = np.empty(weights.shape, dtype=np.int32)
        keys, steps = _keys(quotients, ranks)
        vertices: list[Keys] = []
        count = 0
        for remainder, of_remainder in enumerate(keys):
            distinct, numbers = _numbered(of_remainder)
            places[:, remainder] = numbers + count
            vertices.append(distinct)
            count += len(distinct)
        rows = np.arange(0, places.size + 1, len(vertices), dtype=np.int32)
        # One vertex more, always 0, stands for neighbours that are not there.
        self._slice = csr_array((weights.ravel(), places.ravel(), rows), shape=(points, count + 1))
        self._splat = self._slice.T  # shares the weights
        self._neighbours = _neighbours(vertices, steps)
        norm = 1 / np.sqrt(self(np.ones(points, dtype=np.float32)) + np.float32(1e-20))
        self._slice.data *= np.repeat(norm, len(vertices))

    def __call__(self, values: Floats) -> Floats:
        """Filtered values, [n] or [n, columns] float32. Fastest with 1, 2, 4 or 8 columns."""
        at_vertices = self._splat @ values
        for below, above in self._neighbours:
            # 1/2, 1, 1/2 up to a factor that cancels in the normalisation.
            blurred = at_vertices.take(below, axis=0)
            blurred += at_vertices.take(above, axis=0)
            blurred *= np.float32(0.5)
            at_vertices[:-1] += blurred
        return self._slice @ at_vertices


def _elevated(features: Floats) -> Floats:
    """The points in the plane of the lattice, [d + 1, n]; page 5 of the paper, scaled for a filter of deviation 1."""
    dimensions, points = features.shape
    axes = np.arange(1, dimensions + 1)
    scales = (np.sqrt(2 / 3) * (dimensions + 1) / np.sqrt(axes * (axes + 1))).astype(np.float32)
    elevated = np.empty((dimensions + 1, points), dtype=np.float32)
    total = np.zeros(points, dtype=np.float32)
    for axis in range(dimensions, 0, -1):
        scaled = features[axis - 1] * scales[axis - 1]
        elevated[axis] = total - np.float32(axis) * scaled
        total += scaled
    elevated[0] = total
    return elevated


def _simplices(elevated: Floats) -> tuple[Floats, NDArray[np.int8], Floats]:
    """The simplex around each point: quotients of its vertex with remainder 0 [d + 1, n], the rank of each coordinate's
    distance from there, largest first [d + 1, n], and the weight of each remainder's vertex [n, d + 1]."""
    sides = len(elevated)
    quotients = np.rint(elevated * np.float32(1 / sides))
    distances = elevated - quotients * np.float32(sides)
    ranks = np.zeros(elevated.shape, dtype=np.int8)
    for first in range(sides):
        for second in range(first + 1, sides):
            less = (distances[first] < distances[second]).view(np.int8)
            ranks[first] += less
            ranks[second] += 1 - less
    # Rounding can leave the plane: coordinates then go to their next multiple, those first that are nearest to it.
    ranks += quotients.sum(axis=0).astype(np.int8)
    back = (ranks < 0).view(np.int8) - (ranks >= sides).view(np.int8)
    ranks += np.int8(sides) * back
    quotients += back
    ascending = _sorted_rows((distances - np.float32(sides) * back) * np.float32(1 / sides))
    weights = np.empty(elevated.shape[::-1], dtype=np.float32)
    weights[:, 0] = 1 + ascending[0] - ascending[-1]
    for remainder in range(1, sides):
        weights[:, remainder] = ascending[remainder] - ascending[remainder - 1]
    return quotients, ranks, weights


def _sorted_rows(values: Floats) -> list[Floats]:
    """The rows of [rows, n], each column in ascending order: `np.sort` along the short axis takes ten times as long."""
    rows = list(values)
    for end in range(len(rows) - 1, 0, -1):
        for row in range(end):
            rows[row], rows[row + 1] = np.minimum(rows[row], rows[row + 1]), np.maximum(rows[row], rows[row + 1])
    return rows


def _keys(quotients: Floats, ranks: NDArray[np.int8]) -> tuple[Iterator[Keys], list[int]]:
    """For each remainder the keys [n] of the points' vertices, and what a step of 1 in each quotient adds to a key."""
    dimensions, points = len(quotients) - 1, quotients.shape[1]
    lowest = quotients[:-1].min(axis=1) - 2
    spans = [int(span) for span in quotients[:-1].max(axis=1) + 2 - lowest]
    steps = [1]
    for span in spans:
        steps.append(steps[-1] * span)
    if steps.pop().bit_length() + points.bit_length() > 63:
        raise SettingsError(
            "the CRF's standard deviations are too small for this image; raise bilateral_colour or bilateral_position"
        )
    base = sum(
        step * (row - low).astype(np.int64) for step, row, low in zip(steps, quotients[:-1], lowest, strict=True)
    )
    # The ranks of the first d coordinates in one number, and for each such number what it takes off the key.
    sides = dimensions + 1
    codes = np.ravel_multi_index(tuple(ranks[:-1]), (sides,) * dimensions)
    digits = np.indices((sides,) * dimensions, dtype=np.int8).reshape(dimensions, -1)
    lowered = (np.array(steps) @ (digits > dimensions - remainder) for remainder in range(sides))
    return (base - table.take(codes) for table in lowered), steps


def _numbered(keys: Keys) -> tuple[Keys, NDArray[np.int64]]:
    """The distinct keys in ascending order, and the place of each of `keys` among them. `np.unique` does the same in
    2.5 times the time: it sorts indices where this sorts numbers that hold key and index."""
    bits = len(keys).bit_length()
    both = np.sort(keys << bits | np.arange(len(keys)))
    ordered = both >> bits
    first = np.append(True, ordered[1:] != ordered[:-1])
    numbers = np.empty(len(keys), dtype=np.int64)
    numbers[both & ((1 << bits) - 1)] = np.cumsum(first) - 1
    return ordered[first], numbers


def _neighbours(vertices: list[Keys], steps: list[int]) -> list[tuple[Places, Places]]:
    """For each direction every vertex's neighbour one remainder below and one above, [vertices] each; the number of
    vertices where there is none. A step down takes 1 off all coordinates but one, and adds d to that one."""
    starts = np.cumsum([0, *map(len, vertices)])
    neighbours = []
    for step in (*steps, 0):  # the last coordinate is not in the key
        below, above = np.full((2, starts[-1]), starts[-1])
        for remainder, keys in enumerate(vertices):
            first, others = starts[remainder - 1 if remainder else -2], vertices[remainder - 1]
            wanted = keys + (step - sum(steps) if remainder == 0 else step)
            places = np.searchsorted(others, wanted)
            own = np.flatnonzero(others.take(places, mode="clip") == wanted)
            found = places[own] + first
            own += starts[remainder]
            below[own], above[found] = found, own
        neighbours.append((below, above))
    return neighbours
