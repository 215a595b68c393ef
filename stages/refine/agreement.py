"""How well seeds agree with their own CRF masks, at every threshold: a criterion that no true mask has seen.

At a threshold that cuts through objects or spills over them the CRF moves many pixels to the colours' border; where the
seed ends at that border it moves few.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.refine.background import add_threshold, best_labels
from stages.refine.pseudo_masks import label_image, read_scored_image
from stages.seeds import enlarge_maps
from stages.settings import CrfSettings
from stages.shards import ImageMaps


def agreement_counts(
    path: Path, image: ImageMaps, thresholds: Sequence[float], crf: CrfSettings, classes: int
) -> NDArray[np.int64]:
    """Pixels of each label in an image, [thresholds, 3, 1 + classes] int64: in seed and CRF mask both, in the seed, in
    the CRF mask."""
    pixels = read_scored_image(path, image.size)
    maps, own, labels = enlarge_maps(image.maps, image.size), image.classes.tolist(), 1 + classes
    counts = np.zeros((len(thresholds), 3, labels), dtype=np.int64)
    for row, threshold in zip(counts, thresholds, strict=True):
        scores = add_threshold(maps, threshold)
        seed, mask = best_labels(scores, own), label_image(pixels, scores, own, crf)
        for column, chosen in enumerate((seed[seed == mask], seed, mask)):
            row[column] = np.bincount(chosen.ravel(), minlength=labels)
    return counts


def intersections_over_unions(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean IoU in percent at each threshold of counts [thresholds, 3, labels] as above, over the labels that any
    threshold has: one that is lost at a threshold counts as 0 there, or a threshold without objects would win."""
    both, first, second = counts[:, 0], counts[:, 1], counts[:, 2]
    union = first + second - both
    ious = np.divide(both, union, out=np.zeros(union.shape), where=union > 0)
    return 100 * ious[:, union.max(axis=0) > 0].mean(axis=1)
