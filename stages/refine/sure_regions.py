"""Sure foreground and sure background, from two CRFs, one with strong and one with weak background (PSA, CVPR 2018)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.images import BACKGROUND, IGNORE, write_mask
from stages.labelling import enlarge_maps
from stages.refine.background import add_power
from stages.refine.pseudo_masks import Labeller, read_scored_image
from stages.settings import LearnedAffinity
from stages.shards import ImageMaps


def sure_labels(strong: NDArray[np.uint8], weak: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sure regions from the masks of two CRFs, [rows, columns] uint8: a class where it wins against strong background,
    background where it wins although weak, and 255 elsewhere. If both claim a pixel it is background (PSA)."""
    labels = np.where(strong == BACKGROUND, np.uint8(IGNORE), strong)
    return np.where(weak == BACKGROUND, np.uint8(BACKGROUND), labels)


def sure_regions(
    image: NDArray[np.uint8], maps: NDArray[np.float32], classes: Sequence[int], settings: LearnedAffinity
) -> NDArray[np.uint8]:
    """Sure regions of an image [rows, columns, 3] uint8 with maps [K, rows, columns] float32 at its size."""
    label = Labeller(image, classes, settings.sure_crf)
    strong, weak = label(add_power(maps, power) for power in settings.sure_powers)
    return sure_labels(strong, weak)


def write_sure_regions(image_path: Path, image: ImageMaps, settings: LearnedAffinity, mask_path: Path) -> None:
    """Writes the sure regions of one image, read from its file, as an indexed PNG of the size it is labelled at."""
    pixels = read_scored_image(image_path, image)
    maps = enlarge_maps(image.maps, image.label_size)
    write_mask(mask_path, sure_regions(pixels, maps, image.classes.tolist(), settings))
