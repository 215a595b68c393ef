"""Boundary IoU: how well masks agree along their borders, which hardly count in mIoU."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

from stages.images import IGNORE

# Width of the compared band as a share of the image's diagonal (Cheng et al., section 4).
BAND = 0.02


def band_width(size: tuple[int, int]) -> int:
    """Pixels of the band in an image of `size` (rows, columns): 2 % of the diagonal, at least 1."""
    return max(1, round(BAND * float(np.hypot(*size))))


def boundary_of(region: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The pixels of a region [rows, columns] at most `width` from its border; the image's edge is a border too.

    The same pixels that `width` erosions by a 3 x 3 square remove, as in the published program.
    """
    inside = distance_transform_cdt(np.pad(region, 1), metric="chessboard")[1:-1, 1:-1]
    return region & (inside <= width)


def boundary_counts(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Pixels of intersection and union of the bands of each label: [2, 1 + classes] int64.

    truth, predicted: mask values, same shape. Where the truth is 255 the prediction is ignored too, before its border
    is computed: so a mask that matches the truth everywhere else scores 100.
    Cheng et al., "Boundary IoU", CVPR 2021, equation 3, summed over images as in mIoU.
    """
    width = band_width(truth.shape)
    counts = np.zeros((2, classes + 1), dtype=np.int64)
    seen = np.where(truth == IGNORE, np.uint8(IGNORE), predicted)
    for label in np.union1d(truth, seen):
        if label == IGNORE:
            continue
        true_band = boundary_of(truth == label, width)
        own_band = boundary_of(seen == label, width)
        counts[:, label] = (true_band & own_band).sum(), (true_band | own_band).sum()
    return counts


def boundary_ious(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Boundary IoU of each label in percent, from summed counts [2, labels]; nan if neither mask has the label."""
    shared, union = counts
    return 100 * np.divide(shared, union, out=np.full(union.shape, np.nan), where=union > 0)
