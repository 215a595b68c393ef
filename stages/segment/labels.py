"""From class probabilities to the mask of an image, after a CRF if there is one.

Nothing here needs torch: the processes that run the CRF import only this module.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.dense_crf import ImageCrf
from stages.images import write_mask
from stages.settings import CrfSettings


def mask_of(image: NDArray[np.uint8], probabilities: NDArray[np.float32], crf: CrfSettings | None) -> NDArray[np.uint8]:
    """Each pixel's best label [rows, columns] uint8 of probabilities [labels, rows, columns], after the CRF if any.

    image: [rows, columns, 3] uint8. The CRF is over the labels that are best at some pixel: the others, most of 21 or
    81 classes, cost time and hardly ever win a pixel.
    """
    best = probabilities.argmax(axis=0).astype(np.uint8)
    labels = np.unique(best)
    if crf is None or len(labels) < 2:
        return best
    chosen = probabilities[labels]
    (mask,) = ImageCrf(image, crf).labels([chosen / chosen.sum(axis=0)])
    return labels[mask]


def write_labels(
    image: NDArray[np.uint8], probabilities: NDArray[np.float32], crf: CrfSettings | None, path: Path
) -> None:
    """Writes the mask of one image."""
    write_mask(path, mask_of(image, probabilities, crf))
