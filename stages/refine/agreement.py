"""How well seeds agree with their own CRF masks, at every threshold: a criterion without true masks.

At a threshold that cuts through objects or spills over them, the CRF moves many pixels to the colour edges; if the seed
ends at those edges it moves few. A threshold only decides what is background, so only that is compared, and both sides
count equally: if nearly everything is object, or nearly nothing, the smaller side is the unstable one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.images import BACKGROUND
from stages.labelling import enlarge_maps
from stages.refine.background import add_threshold, best_labels
from stages.refine.pseudo_masks import Labeller, read_scored_image
from stages.settings import CrfSettings
from stages.shards import ImageMaps


def agreement_counts(path: Path, image: ImageMaps, thresholds: Sequence[float], crf: CrfSettings) -> NDArray[np.int64]:
    """Pixels of background and of objects in an image, at the size it is labelled at, [thresholds, 3, 2] int64: in both
    seed and CRF mask, in the seed, in the CRF mask."""
    pixels = read_scored_image(path, image)
    maps, own = enlarge_maps(image.maps, image.label_size), image.classes.tolist()
    masks = Labeller(pixels, own, crf)(add_threshold(maps, threshold) for threshold in thresholds)
    counts = np.zeros((len(thresholds), 3, 2), dtype=np.int64)
    for row, threshold, labels in zip(counts, thresholds, masks, strict=True):
        seed, mask = best_labels(add_threshold(maps, threshold), own) == BACKGROUND, labels == BACKGROUND
        row[0] = (seed & mask).sum(), (~seed & ~mask).sum()
        row[1] = seed.sum(), (~seed).sum()
        row[2] = mask.sum(), (~mask).sum()
    return counts


def agreement(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of the IoUs of background and of objects, percent, at each threshold of counts [thresholds, 3, 2] as above.

    A side that is in neither counts as 0: without objects there is no agreement about them.
    """
    both, first, second = counts[:, 0], counts[:, 1], counts[:, 2]
    union = first + second - both
    ious = np.divide(both, union, out=np.zeros(union.shape), where=union > 0)
    return 100 * ious.mean(axis=1)
