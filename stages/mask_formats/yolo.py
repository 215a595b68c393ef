"""YOLO's segmentation labels: a text file an image, a line a region: class from 0, then x and y as shares of the sides.

The format has no holes (they are cut by bridges of no width), no ignored pixels (they become background) and no word
for background.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from stages.errors import DataError
from stages.files import write_text
from stages.images import BACKGROUND, IGNORE
from stages.mask_formats.regions import Region

DECIMALS = 6


def write_yolo(path: Path, regions: Sequence[Region], size: tuple[int, int], *, tolerance: float) -> int:
    """Writes the labels of an image of `size` (rows, columns), without ignored regions; returns the number of
    points."""
    lines, points = [], 0
    for region in regions:
        if region.value == IGNORE:
            continue
        outline = region.outline(tolerance) / np.array(size[::-1])
        points += len(outline)
        lines.append(" ".join([str(region.value - 1), *(f"{number:.{DECIMALS}f}" for number in outline.ravel())]))
    write_text(path, "".join(f"{line}\n" for line in lines))
    return points


def write_description(path: Path, splits: Sequence[str], classes: Sequence[str]) -> None:
    """Writes data.yaml: the lists of images, next to it, and the names of the classes."""
    content = {**{split: f"{split}.txt" for split in splits}, "names": dict(enumerate(classes))}
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read_yolo(path: Path, size: tuple[int, int], classes: int) -> NDArray[np.uint8]:
    """The mask [rows, columns] uint8 of an image of `size`: later lines cover earlier ones, and a polygon covers all
    pixels that it touches. Raises DataError, with file and line, for anything but regions of the classes."""
    mask = np.full(size, BACKGROUND, dtype=np.uint8)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            label, *shares = line.split()
            value, corners = int(label), np.array(shares, dtype=np.float64).reshape(-1, 2)
        except ValueError as error:
            raise DataError(f"{path}:{number}: no class with x and y in pairs ({error}); export it again") from error
        if not 0 <= value < classes or len(corners) < 3 or not np.isfinite(corners).all():
            raise DataError(f"{path}:{number}: no region of a class from 0 to {classes - 1}; export it again")
        cv2.fillPoly(mask, [np.floor(corners * np.array(size[::-1])).astype(np.int32)], value + 1)
    return mask
