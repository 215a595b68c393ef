"""Seeds: localization maps at the image's size, turned into labels by a background threshold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.images import BACKGROUND

BAND = 64  # rows that are enlarged at once


def enlarge_maps(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Maps [K, rows, columns] float32 in [0, 1], at `size` (rows, columns), bilinear: [K, *size] float32 in [0, 1]."""
    rows, columns = size
    enlarged = np.empty((len(maps), rows, columns), dtype=np.float32)
    for position, scores in enumerate(maps):
        image = Image.fromarray(np.ascontiguousarray(scores, dtype=np.float32))
        enlarged[position] = np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR))
    # Interpolation rounds, and the threshold sweep would miss a score outside [0, 1].
    return np.clip(enlarged, 0, 1, out=enlarged)


def enlarge_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Labels [rows, columns] uint8 at `size` (rows, columns): each pixel's nearest ones vote, weighted as in bilinear
    interpolation, so that borders are smooth where `nearest` would leave stairs."""
    if labels.shape == size:
        return labels
    values = np.unique(labels)
    return values[best_enlarged(labels == values[:, None, None], size)]


def best_enlarged(scores: NDArray[np.float32] | NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The best [rows, columns] uint8 of scores [labels, rows, columns] after they are enlarged to `size`, bilinear; the
    first of equal ones. By bands of rows: all 81 of a photo of 12 megapixels would need 4 GB."""
    rows, columns = size
    wide = np.empty((*scores.shape[:2], columns), dtype=np.float32)
    for label, own in enumerate(scores):
        image = Image.fromarray(np.ascontiguousarray(own, dtype=np.float32))
        wide[label] = np.asarray(image.resize((columns, own.shape[0]), Image.Resampling.BILINEAR))
    # Where each row lies among those of the scores, from centre to centre.
    places = np.clip((np.arange(rows) + 0.5) * scores.shape[1] / rows - 0.5, 0, scores.shape[1] - 1)
    above = places.astype(np.int64)
    below = np.minimum(above + 1, scores.shape[1] - 1)
    shares = (places - above).astype(np.float32)[:, None]
    best = np.empty(size, dtype=np.uint8)
    for start in range(0, rows, BAND):
        band = slice(start, start + BAND)
        best[band] = (wide[:, above[band]] * (1 - shares[band]) + wide[:, below[band]] * shares[band]).argmax(axis=0)
    return best


def best_class(maps: NDArray[np.float32], classes: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Each pixel's best class as mask value (position in the class list + 1) and its score.

    maps [K, rows, columns] float32, K >= 1, `classes` [K] positions in the class list from 0. Returns two arrays
    [rows, columns], uint8 and float32. On a tie, the class that comes first in `classes` wins.
    """
    values = (np.asarray(classes) + 1).astype(np.uint8)
    return values[maps.argmax(axis=0)], maps.max(axis=0)


def threshold_maps(maps: NDArray[np.float32], classes: Sequence[int], threshold: float) -> NDArray[np.uint8]:
    """Seed [rows, columns] uint8 of maps [K, rows, columns]: background where the best score is below `threshold`."""
    if len(classes) == 0:
        return np.full(maps.shape[1:], BACKGROUND, dtype=np.uint8)
    values, scores = best_class(maps, classes)
    return np.where(scores < np.float32(threshold), np.uint8(BACKGROUND), values)
