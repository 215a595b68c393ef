"""Maps scored at every background threshold in one pass over the files."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from einops import rearrange
from numpy.typing import NDArray

from stages.evaluate.object_sizes import ObjectIous
from stages.finite import check_finite
from stages.images import IGNORE


@dataclass(frozen=True)
class Sample:
    """Maps of one image with its true mask.

    maps: [K, rows, columns] float32 in [0, 1] at the image's size.
    classes: [K] int64, positions in the class list from 0, without duplicates.
    truth: [rows, columns] uint8 mask values; 255 is not counted.
    """

    maps: NDArray[np.float32]
    classes: NDArray[np.int64]
    truth: NDArray[np.uint8]


def threshold_grid(steps: int, *more: float) -> NDArray[np.float32]:
    """The thresholds 0, 1/steps, ..., 1 and the given ones, ascending, without duplicates: float32.

    >>> threshold_grid(4, 0.625).tolist()
    [0.0, 0.25, 0.5, 0.625, 0.75, 1.0]
    """
    return np.unique(np.concatenate([np.arange(steps + 1) / steps, more]).astype(np.float32))


def sweep_confusions(
    samples: Iterable[Sample], thresholds: NDArray[np.float32], classes: int, *, objects: ObjectIous | None = None
) -> NDArray[np.int64]:
    """Confusion matrices [thresholds, 1 + classes, 1 + classes] int64 (row = truth, column = prediction).

    `thresholds` ascend from 0. A pixel has its best class at thresholds up to its best score, and is background above.
    So one histogram of pixels by best class, truth and last threshold reached covers every threshold: summed from its
    upper end it gives the pixels that are still foreground. Samples are read once and not kept. `objects` is filled
    along the way.

    One class; the pixels are background, class, class, and their scores reach 0, 1/2 and 1/2:

    >>> maps = np.array([[[0.2, 0.6, 0.9]]], dtype=np.float32)
    >>> sample = Sample(maps, np.array([0]), np.array([[0, 1, 1]], dtype=np.uint8))
    >>> sweep_confusions([sample], threshold_grid(2), classes=1).tolist()
    [[[0, 1], [0, 2]], [[1, 0], [0, 2]], [[1, 0], [2, 0]]]
    """
    labels, steps = classes + 1, len(thresholds)
    truths = np.zeros(labels, dtype=np.int64)
    histogram = np.zeros((classes, labels, steps), dtype=np.int64)
    for sample in samples:
        counted = sample.truth != IGNORE
        truth = sample.truth[counted].astype(np.int64)
        own_truths = np.bincount(truth, minlength=labels)
        truths += own_truths
        if len(sample.classes) == 0:  # background at every threshold
            if objects is not None:
                objects.add(np.zeros((0, labels, steps), dtype=np.int64), sample.classes, own_truths)
            continue
        best, highest = sample.maps.argmax(axis=0)[counted], sample.maps.max(axis=0)
        check_finite("maps to score", {"a map": highest}, "make the maps again")
        reached = np.searchsorted(thresholds, highest[counted], side="right") - 1
        # Only the image's own classes: a histogram over all of COCO's would cost more than the image itself.
        counts = np.bincount((best * labels + truth) * steps + reached, minlength=len(sample.classes) * labels * steps)
        own = counts.reshape(-1, labels, steps)
        histogram[sample.classes] += own
        if objects is not None:
            objects.add(from_above(own), sample.classes, own_truths)
    foreground = from_above(histogram)
    confusions = np.empty((steps, labels, labels), dtype=np.int64)
    confusions[..., 1:] = rearrange(foreground, "predicted truth threshold -> threshold truth predicted")
    confusions[..., 0] = truths - confusions[..., 1:].sum(axis=-1)
    return confusions


def from_above(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pixels whose score reaches a threshold, from counts [..., thresholds] by the last threshold reached.

    >>> from_above(np.array([3, 1, 2]))
    array([6, 3, 2])
    """
    return counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
