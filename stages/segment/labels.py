"""From class probabilities to the mask of an image, after a CRF if there is one.

Nothing here needs torch: the processes that run the CRF import only this module.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.dense_crf import ImageCrf
from stages.images import write_mask
from stages.labelling import best_enlarged, enlarge_labels
from stages.settings import CrfSettings

Labels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


def mask_of(image: NDArray[np.uint8], probabilities: Probabilities, crf: CrfSettings | None) -> NDArray[np.uint8]:
    """Each pixel's best label [rows, columns] uint8 of probabilities [labels, rows, columns], after the CRF if any.

    image: [rows, columns, 3] uint8. The CRF is over the labels that are best at some pixel: the others, most of 21 or
    81 classes, cost time and hardly ever win a pixel.
    """
    return refined(image, *winners(probabilities), crf)


def winners(probabilities: Probabilities) -> tuple[Labels, Probabilities]:
    """The K labels that are best at some pixel, ascending, and their probabilities [K, rows, columns]: all that
    `refined` needs, and usually a small part of all labels."""
    labels = np.unique(probabilities.argmax(axis=0)).astype(np.uint8)
    return labels, probabilities[labels]


def refined(
    image: NDArray[np.uint8], labels: Labels, probabilities: Probabilities, crf: CrfSettings | None
) -> NDArray[np.uint8]:
    """Each pixel's label [rows, columns] uint8, one of `labels` [K] with probabilities [K, rows, columns]."""
    if crf is None or len(labels) < 2:
        return labels[probabilities.argmax(axis=0)]
    (mask,) = ImageCrf(image, crf).labels([probabilities / probabilities.sum(axis=0)])
    return labels[mask]


def write_labels(
    image: NDArray[np.uint8],
    labels: Labels,
    probabilities: Probabilities,
    crf: CrfSettings | None,
    path: Path,
    size: tuple[int, int],
) -> None:
    """Writes the mask of one image at `size` (rows, columns), its own; it may have been predicted at a smaller one."""
    if crf is None and image.shape[:2] != size:
        write_mask(path, labels[best_enlarged(probabilities, size)])
    else:
        write_mask(path, enlarge_labels(refined(image, labels, probabilities, crf), size))
