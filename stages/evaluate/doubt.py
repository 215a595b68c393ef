"""Reasons to doubt a pseudo mask, found without true masks.

A weaker CRF and the segmenter each label the image once more: where they give a class another region, or where that CRF
is undecided, the mask may be wrong.

Nothing here needs torch: the processes that run the CRF import only this module.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.dense_crf import dense_crf
from stages.errors import DataError
from stages.evaluate.doubt_table import Doubt, Reasons
from stages.images import BACKGROUND, read_mask
from stages.refine.background import mask_values
from stages.refine.pseudo_masks import ImageScores, enlarge_scores, label_probabilities, read_scored_image
from stages.settings import CRF_SETS, CrfSettings

Mask = NDArray[np.uint8]

# The second CRF's weights as a share of the first one's; chosen on the demo's training images (docs/method.md).
WEAKER = 0.25


def doubt_image(
    image_path: Path,
    image: ImageScores,
    names: Sequence[str],
    crf: CrfSettings,
    mask_path: Path,
    prediction_path: Path,
) -> Doubt:
    """The doubt of a pseudo mask, from its file, the scores that it was made of and the segmenter's prediction.

    names: of the image's classes.  crf: of the pseudo mask. Masks are compared at the size at which it was made.

    Raises DataError when a file cannot be read, or a mask has another size than the image.
    """
    pixels = read_scored_image(image_path, image)
    mask = _read_fitted(mask_path, image)
    prediction = _read_fitted(prediction_path, image)
    probabilities = label_probabilities(enlarge_scores(image.scores[0], image))
    if len(image.classes):
        probabilities = dense_crf(pixels, probabilities, second_crf(crf))
    whole, classes = doubt_mask(mask, prediction, probabilities, image.classes)
    return Doubt(image.id, whole, dict(zip(names, classes, strict=True)))


def doubt_mask(
    mask: Mask, prediction: Mask, probabilities: NDArray[np.float32], classes: Sequence[int]
) -> tuple[Reasons, list[Reasons]]:
    """The reasons to doubt a whole mask, and those of each of its K classes.

    mask, prediction: [rows, columns], the pseudo mask and the segmenter's.
    probabilities: [1 + K, rows, columns] of background and the classes, by the weaker CRF.
    classes: [K] positions in the class list from 0.

    A mask without classes is all background: there is no region to doubt, but the segmenter may have found something,
    and the share of the image that it takes for a class is its reason.
    """
    if not len(classes):
        return Reasons(0.0, float((prediction != BACKGROUND).mean()), 0.0), []
    other = mask_values(classes)[probabilities.argmax(axis=0)]
    closeness = 1 - margins(probabilities)
    found = []
    for value in (int(position) + 1 for position in classes):
        region = mask == value
        found.append(
            Reasons(
                crf=disagreement(mask, other, value),
                segmenter=disagreement(mask, prediction, value),
                margin=float(closeness[region].mean()) if region.any() else 1.0,
            )
        )
    return Reasons.mean(found), found


def disagreement(first: Mask, second: Mask, value: int) -> float:
    """1 - IoU of a mask value in two masks of one size. 1 if it is in neither: the tag says that it is there.

    >>> first, second = np.array([[1, 1, 0, 0]], dtype=np.uint8), np.array([[0, 1, 1, 1]], dtype=np.uint8)
    >>> disagreement(first, first, 1), disagreement(first, second, 1), disagreement(first, second, 2)
    (0.0, 0.75, 1.0)
    """
    one, other = first == value, second == value
    union = int((one | other).sum())
    return 1 - int((one & other).sum()) / union if union else 1.0


def margins(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The best minus the second best of probabilities [labels, rows, columns], two labels at least: [rows, columns].

    >>> margins(np.array([[[0.2, 0.0]], [[0.2, 0.5]], [[0.6, 0.5]]], dtype=np.float32)).round(3).tolist()
    [[0.4000000059604645, 0.0]]
    """
    second, best = np.partition(probabilities, -2, axis=0)[-2:]
    return best - second


def second_crf(crf: CrfSettings) -> CrfSettings:
    """The CRF that labels the image once more: weaker than the mask's own; IRN's if the mask was made without one."""
    if not crf.iterations:
        return CRF_SETS["irn"]
    weights = {name: WEAKER * getattr(crf, name) for name in ("bilateral_weight", "gaussian_weight")}
    return crf.model_copy(update=weights)


def _read_fitted(path: Path, image: ImageScores) -> Mask:
    """A mask of the image, at the size at which it is labelled."""
    mask = read_mask(path)
    if mask.shape != image.size:
        raise DataError(
            f"{path}: mask is {mask.shape} (rows, columns), its maps were made for an image of {image.size}; delete it"
            " and rerun the stage that makes it"
        )
    if image.label_size == image.size:
        return mask
    rows, columns = image.label_size
    return np.asarray(Image.fromarray(mask).resize((columns, rows), Image.Resampling.NEAREST))
