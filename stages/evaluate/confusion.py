"""Confusion matrices and the rates computed from them: IoU per class, mIoU, false positives and negatives."""

import numpy as np
from numpy.typing import NDArray

from stages.errors import DataError
from stages.images import IGNORE


def confusion_matrix(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Pixel counts [1 + classes, 1 + classes] int64: row = true mask value, column = predicted mask value.

    truth, predicted: uint8 mask values, same shape. Pixels whose truth is 255 (ignore) are not counted.

    >>> truth = np.array([0, 0, 1, 1, 255], dtype=np.uint8)
    >>> confusion_matrix(truth, np.array([0, 1, 1, 1, 0], dtype=np.uint8), classes=1)
    array([[1, 1],
           [0, 2]])
    """
    labels = classes + 1
    counted = truth != IGNORE
    pairs = truth[counted].astype(np.int64) * labels + predicted[counted]
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


def unions(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pixels that are a label in truth or prediction. confusion [..., labels, labels] -> [..., labels].

    >>> unions(np.array([[1, 1], [0, 2]]))
    array([2, 3])
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return confusion.sum(axis=-1) + confusion.sum(axis=-2) - hits


def class_ious(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each label in percent. confusion [..., labels, labels] -> [..., labels].

    The measure of PASCAL VOC (Everingham et al., IJCV 2015, section 4.1.3), over the pixels of all images together. A
    label that is in neither the truth nor the prediction has no IoU: nan. One that is only predicted has 0.

    The last of the three labels does not occur:

    >>> class_ious(np.array([[1, 1, 0], [0, 3, 0], [0, 0, 0]])).tolist()
    [50.0, 75.0, nan]
    """
    union = unions(confusion)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 100 * np.divide(hits, union, out=np.full(union.shape, np.nan), where=union > 0)


def mean_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """mIoU in percent over background and the classes that have an IoU. [..., labels, labels] -> [...].

    Raises DataError for a confusion matrix without pixels.

    >>> float(mean_iou(np.array([[1, 1, 0], [0, 3, 0], [0, 0, 0]])))
    62.5
    """
    if not confusion.sum(axis=(-2, -1)).all():
        raise DataError("no pixel to score: the true masks are 255 (ignore) everywhere; check the dataset's masks")
    return np.nanmean(class_ious(confusion), axis=-1)


def error_rates(confusion: NDArray[np.int64]) -> tuple[float, float]:
    """False positives and false negatives in percent of the union, averaged as mIoU is; the three sum to 100.

    SEAM (Wang et al., CVPR 2020) and MCTformer use these rates to tell over-activation from under-activation.

    The unions are 2 and 4. One background pixel is predicted as the class:

    >>> error_rates(np.array([[1, 1], [0, 3]]))
    (12.5, 25.0)
    """
    hits = np.diagonal(confusion)
    union = unions(confusion)
    there = union > 0
    false_positives = (confusion.sum(axis=0) - hits)[there] / union[there]
    false_negatives = (confusion.sum(axis=1) - hits)[there] / union[there]
    return 100 * float(false_positives.mean()), 100 * float(false_negatives.mean())
