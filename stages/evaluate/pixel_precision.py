"""The protocol of wsolevaluation for maps of images with one tag: PxAP, and pIoU on the same histograms.

Source: Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, CVPR 2020 (PxAP); their program
wsolevaluation (`MaskEvaluator`, `normalize_scoremap`) for what the paper leaves open. pIoU: the peak over thresholds of
TP / (TP + FP + FN), over the pixels of all images, as reported by Zhu et al., CVPR 2022.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.finite import check_finite
from stages.images import IGNORE

SIDE = 224  # pixels, of the maps and masks that are compared
THRESHOLDS = 1000  # 0, 0.001, ..., 0.999; a pixel is foreground at thresholds up to its score


@dataclass(frozen=True)
class PixelCounts:
    """Object and background pixels of all images, counted by the last threshold that their score reaches:
    [THRESHOLDS + 1] int64 each, the last bin for scores of 1. Ignored pixels are in neither."""

    objects: NDArray[np.int64]
    background: NDArray[np.int64]


def normalise(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map [rows, columns] resized to (SIDE, SIDE) by OpenCV's bicubic interpolation, as wsolevaluation does, then
    scaled to [0, 1] by its own minimum and maximum; a flat map becomes 0. Raises DataError if it is not finite."""
    check_finite("maps to score", {"a map": scores}, "make the maps again")
    if scores.min() == scores.max():  # checked before interpolation, whose rounding errors would be scaled up
        return np.zeros((SIDE, SIDE), dtype=np.float32)
    enlarged = cv2.resize(scores, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    low, high = enlarged.min(), enlarged.max()
    return (enlarged - low) / (high - low)


def count_pixels(pairs: Iterable[tuple[NDArray[np.float32], NDArray[np.uint8]]]) -> PixelCounts:
    """Counts over images: a map in [0, 1] and its mask, both [SIDE, SIDE]; mask 1 object, 0 background, 255 ignored."""
    counts = np.zeros((2, THRESHOLDS + 1), dtype=np.int64)  # of background, of objects
    for scores, mask in pairs:
        check_finite("maps to score", {"a map": scores}, "make the maps again")
        counted = mask != IGNORE
        places = (mask[counted] > 0) * (THRESHOLDS + 1) + last_threshold(scores[counted])
        counts += np.bincount(places, minlength=counts.size).reshape(counts.shape)
    return PixelCounts(objects=counts[1], background=counts[0])


def last_threshold(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of the last of the thresholds 0, 0.001, ..., 1 that each score in [0, 1] reaches, compared in float64 as
    numpy's histogram does, without its search.

    >>> last_threshold(np.array([0.0, 0.0005, 0.25, 1.0], dtype=np.float32)).tolist()
    [0, 0, 250, 1000]
    """
    exact = scores.astype(np.float64)
    edges = np.append(np.arange(THRESHOLDS + 1) / THRESHOLDS, np.inf)
    numbers = (exact * THRESHOLDS).astype(np.int64)
    # The product is rounded, and may be on the other side of a threshold.
    numbers -= exact < edges[numbers]
    numbers += exact >= edges[numbers + 1]
    return numbers


def pixel_rates(counts: PixelCounts) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and IoU, [THRESHOLDS + 1] each, at falling thresholds 1, 0.999, ..., 0; NaN where 0 / 0."""
    true = counts.objects[::-1].cumsum().astype(np.float64)
    false = counts.background[::-1].cumsum().astype(np.float64)
    with np.errstate(invalid="ignore"):
        return true / (true + false), true / counts.objects.sum(), true / (counts.objects.sum() + false)


def pixel_average_precision(counts: PixelCounts) -> float:
    """PxAP in percent: the area under precision over recall, as the sum of precision times the rise of recall.

    NaN without object pixels.
    """
    precision, recall, _ = pixel_rates(counts)
    rises = np.diff(recall, prepend=0.0)
    return 100 * float(np.sum(precision * rises, where=~np.isnan(precision)))


def iou_at(counts: PixelCounts, threshold: float) -> float:
    """IoU in percent at one of the thresholds 0, 0.001, ..., 1."""
    _, _, ious = pixel_rates(counts)
    return 100 * float(ious[::-1][round(threshold * THRESHOLDS)])


def peak_iou(counts: PixelCounts) -> tuple[float, float]:
    """pIoU in percent, and the threshold at which it is reached, the lowest if several."""
    _, _, ious = pixel_rates(counts)
    best = int(np.nanargmax(ious[::-1]))
    return 100 * float(ious[::-1][best]), best / THRESHOLDS
