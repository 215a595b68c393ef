"""Maps to pseudo masks. What refines maps (the dense CRF, later an affinity network) has a module of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.errors import DataError
from stages.images import BACKGROUND, read_image, write_mask
from stages.refine.dense_crf import dense_crf
from stages.seeds import enlarge_maps, threshold_maps
from stages.settings import RefineSettings
from stages.shards import ImageMaps


def label_probabilities(maps: NDArray[np.float32], background: float) -> NDArray[np.float32]:
    """Probabilities [1 + K, rows, columns] float32 of background and the K classes, from maps [K, rows, columns].

    Background gets the constant score `background`; each pixel's scores are divided by their sum. PSA (Ahn and Kwak,
    CVPR 2018) and MCTformer hand the CRF the scores as they are: that is the same CRF, because the division adds one
    constant to all energies of a pixel. A softmax over scores in [0, 1] would not be: it flattens them to at most e:1.
    """
    scores = np.concatenate([np.full_like(maps[:1], background), maps])
    return scores / scores.sum(axis=0, keepdims=True)


def refine_image(
    image: NDArray[np.uint8], maps: NDArray[np.float32], classes: Sequence[int], settings: RefineSettings
) -> NDArray[np.uint8]:
    """Pseudo mask [rows, columns] uint8 of one image: 0 and the mask values (position + 1) of `classes`, nothing else.

    image [rows, columns, 3] uint8 RGB; maps [K, rows, columns] float32 in [0, 1] at the image's size; classes [K],
    positions in the class list from 0. Without classes all is background; with `crf.iterations` 0 the maps are
    thresholded and no more.
    """
    if len(classes) == 0 or settings.crf.iterations == 0:
        return threshold_maps(maps, classes, settings.background_threshold)
    probabilities = dense_crf(image, label_probabilities(maps, settings.background_threshold), settings.crf)
    values = np.array([BACKGROUND, *(int(position) + 1 for position in classes)], dtype=np.uint8)
    return values[probabilities.argmax(axis=0)]


def write_pseudo_mask(image_path: Path, image_maps: ImageMaps, settings: RefineSettings, mask_path: Path) -> None:
    """Refines one image from its file and writes its mask. Raises DataError when maps and image differ in size."""
    image = np.asarray(read_image(image_path))
    if image.shape[:2] != image_maps.size:
        raise DataError(
            f"{image_path}: image is {image.shape[:2]} (rows, columns), its maps were made at {image_maps.size};"
            " delete the maps of this split and rerun `localize`"
        )
    maps = enlarge_maps(image_maps.maps, image_maps.size)
    write_mask(mask_path, refine_image(image, maps, image_maps.classes.tolist(), settings))
