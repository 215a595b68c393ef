"""Indexed PNGs with the VOC palette: 0 background, 1 to C the classes, 255 ignored."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.images import read_mask_and_palette, write_mask

CLASSES = "classes.txt"


def write_png(path: Path, mask: NDArray[np.uint8]) -> None:
    """Writes a mask [rows, columns] uint8 as it is."""
    write_mask(path, mask)


def read_png(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """A mask [rows, columns] uint8 and its palette [colours, 3], None if it is grey. Raises DataError as `read_mask`
    does."""
    return read_mask_and_palette(path)
