"""Confusion matrices and what is read from them: IoU per class, mIoU, false positives and negatives."""

import numpy as np
from numpy.typing import NDArray

from stages.errors import DataError
from stages.images import IGNORE


def confusion_matrix(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Pixel counts [1 + classes, 1 + classes] int64: row = true mask value, column = predicted mask value.

    truth, predicted: uint8 mask values of one shape. Pixels whose truth is 255 (ignore) are not counted.
    """
    labels = classes + 1
    counted = truth != IGNORE
    pairs = truth[counted].astype(np.int64) * labels + predicted[counted]
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


def unions(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pixels that are a label in truth or prediction. confusion [..., labels, labels] -> [..., labels]."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return confusion.sum(axis=-1) + confusion.sum(axis=-2) - hits


def class_ious(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each label in percent. confusion [..., labels, labels] -> [..., labels].

    The measure of PASCAL VOC (Everingham et al., IJCV 2015, section 4.1.3), over the pixels of all images together. A
    label that stands neither in the truth nor in the prediction has no IoU: nan. One that is predicted only has 0.
    """
    union = unions(confusion)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 100 * np.divide(hits, union, out=np.full(union.shape, np.nan), where=union > 0)


def mean_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """mIoU in percent over background and the classes that have an IoU. [..., labels, labels] -> [...].

    Raises DataError for a confusion matrix that counts no pixel.
    """
    if not confusion.sum(axis=(-2, -1)).all():
        raise DataError("no pixel to score: the true masks are 255 (ignore) everywhere; check the dataset's masks")
    return np.nanmean(class_ious(confusion), axis=-1)


def error_rates(confusion: NDArray[np.int64]) -> tuple[float, float]:
    """False positives and false negatives in percent of the union, averaged as mIoU is; mIoU and both sum to 100.

    The rates by which SEAM (Wang et al., CVPR 2020) and MCTformer tell over-activation from under-activation.
    """
    hits = np.diagonal(confusion)
    union = unions(confusion)
    there = union > 0
    false_positives = (confusion.sum(axis=0) - hits)[there] / union[there]
    false_negatives = (confusion.sum(axis=1) - hits)[there] / union[there]
    return 100 * float(false_positives.mean()), 100 * float(false_negatives.mean())
