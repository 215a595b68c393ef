"""Turns scores of background and classes into pseudo masks, one image at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.dense_crf import ImageCrf
from stages.errors import DataError
from stages.finite import check_finite
from stages.images import IGNORE, image_size, read_image, write_mask
from stages.labelling import enlarge_labels, enlarge_maps
from stages.refine.background import best_labels, mask_values
from stages.settings import CrfSettings
from stages.shards import ImageMaps


@dataclass(frozen=True)
class ImageScores:
    """Scores of background and the K tagged classes of one image, at low resolution.

    scores: [1 + K, rows, columns] float32 in [0, 1]; several if the mask is to mark where they disagree.
    classes: [K] positions in the class list from 0.
    size: (rows, columns) of the image.
    extent: pixels covered by the scores from the upper left corner, `label_size` or slightly more.
    working: (rows, columns) at which the image is labelled; None for `size`.

    Raises DataError if a score is not finite: labels would be made of it.
    """

    id: str
    scores: tuple[NDArray[np.float32], ...]
    classes: tuple[int, ...]
    size: tuple[int, int]
    extent: tuple[int, int]
    working: tuple[int, int] | None = None

    @property
    def label_size(self) -> tuple[int, int]:
        """(rows, columns) at which the image is labelled."""
        return self.working or self.size

    def __post_init__(self) -> None:
        named = {f"score {number}": own for number, own in enumerate(self.scores)}
        cure = "delete the affinity network, or the localizer whose attention is walked along, and train it again"
        check_finite(f"{self.id}: scores to label", named, cure)


def label_probabilities(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores [1 + K, rows, columns] of background and classes, divided by their sum at each pixel.

    PSA (Ahn and Kwak, CVPR 2018) and MCTformer give the CRF the undivided scores: that is the same CRF, because the
    division adds the same constant to all energies of a pixel. A softmax over scores in [0, 1] would differ: it
    flattens them to at most e:1.
    """
    return scores / np.maximum(scores.sum(axis=0, keepdims=True), np.finfo(np.float32).tiny)


class Labeller:
    """Pseudo masks of one image from scores of background and its classes, by a CRF that is built once.

    image [rows, columns, 3] uint8 RGB; classes [K]. Without classes everything is background; with `crf.iterations`
    0 the best score wins. ignore_below: labels of a lower probability are ignored: that after the CRF, or without one
    the score's share of the sum.
    """

    def __init__(
        self, image: NDArray[np.uint8], classes: Sequence[int], crf: CrfSettings, *, ignore_below: float | None = None
    ) -> None:
        self.classes = classes
        self.ignore_below = ignore_below
        self._crf = ImageCrf(image, crf) if len(classes) and crf.iterations else None

    def __call__(self, scores: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.uint8]]:
        """A pseudo mask [rows, columns] uint8 for each of the scores: 0 and the mask values (position + 1) of the
        classes, and 255 where labels are ignored.

        scores [1 + K, rows, columns] float32 in [0, 1] at the image's size, background first.
        """
        values, below = mask_values(self.classes), self.ignore_below
        if below is not None:
            return (np.where(sure >= below, mask, np.uint8(IGNORE)) for mask, sure in self._confident(scores, values))
        if self._crf is None:
            return (best_labels(own, self.classes) for own in scores)
        return (values[labels] for labels in self._crf.labels(map(label_probabilities, scores)))

    def _confident(
        self, scores: Iterable[NDArray[np.float32]], values: NDArray[np.uint8]
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        """Each mask with the probability of its labels."""
        if self._crf is None:
            return ((best_labels(own, self.classes), label_probabilities(own).max(axis=0)) for own in scores)
        found = self._crf.confident_labels(map(label_probabilities, scores))
        return ((values[labels], sure) for labels, sure in found)


def label_image(
    image: NDArray[np.uint8], scores: NDArray[np.float32], classes: Sequence[int], crf: CrfSettings
) -> NDArray[np.uint8]:
    """The pseudo mask of one image: `Labeller` for a single use."""
    (mask,) = Labeller(image, classes, crf)([scores])
    return mask


def agreed(masks: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The masks' common value where they agree, 255 (ignore) where any two differ."""
    same = np.all([mask == masks[0] for mask in masks], axis=0)
    return np.where(same, masks[0], np.uint8(IGNORE))


def read_scored_image(path: Path, image: ImageMaps | ImageScores) -> NDArray[np.uint8]:
    """The image [rows, columns, 3] uint8 RGB, at the size it is labelled at. Raises DataError when its own size differs
    from the one its maps were made for."""
    size = image_size(path)
    if size != image.size:
        raise DataError(
            f"{path}: image is {size} (rows, columns), its maps were made at {image.size};"
            " delete the maps of this split and rerun `localize`"
        )
    return np.asarray(read_image(path, image.label_size))


def enlarge_scores(scores: NDArray[np.float32], image: ImageScores) -> NDArray[np.float32]:
    """Scores at the size the image is labelled at, bilinear."""
    rows, columns = image.label_size
    return enlarge_maps(scores, image.extent)[:, :rows, :columns]


def write_pseudo_mask(
    image_path: Path, image: ImageScores, crf: CrfSettings, mask_path: Path, ignore_below: float | None = None
) -> None:
    """Labels one image from its file and writes its mask, at the image's size; 255 where several scores give different
    labels, or one of a lower probability than `ignore_below`."""
    pixels = read_scored_image(image_path, image)
    label = Labeller(pixels, image.classes, crf, ignore_below=ignore_below)
    masks = label(enlarge_scores(scores, image) for scores in image.scores)
    write_mask(mask_path, enlarge_labels(agreed(list(masks)), image.size))
