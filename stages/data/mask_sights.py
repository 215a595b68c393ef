"""What a true mask shows, in a few numbers: enough to compare the masks of a split with its tags."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.images import BACKGROUND, IGNORE

LEAST_AREA = 0.05  # share of the image: smaller holes within a class are holes

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class MaskSight:
    """A mask at a glance.

    values: those that it shows, ascending.  colours: their colours in its palette; empty if it is grey, or if the
    palette has none for one of them.  around: the class that surrounds all of the background, along every border; 0 if
    none does.  inward: whether background has a smaller share of the borders than of the whole.
    """

    path: Path
    values: tuple[int, ...]
    colours: tuple[Colour, ...]
    around: int
    inward: bool


def sight_of(mask: NDArray[np.uint8], palette: NDArray[np.uint8] | None, path: Path) -> MaskSight:
    """A mask [rows, columns] uint8 at a glance; palette: [colours, 3] uint8, None if it is grey."""
    counts = np.bincount(mask.ravel(), minlength=256)
    values = np.flatnonzero(counts)
    colours: tuple[Colour, ...] = ()
    if palette is not None and values.size and values[-1] < len(palette):
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in palette[values])
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]) if mask.size else mask.ravel()
    share = counts[BACKGROUND] / max(mask.size, 1)
    edge = np.count_nonzero(border == BACKGROUND) / max(border.size, 1)
    around = set(np.unique(border).tolist()) - {IGNORE}
    single = around.pop() if edge == 0 and share >= LEAST_AREA and len(around) == 1 else BACKGROUND
    return MaskSight(path, tuple(values.tolist()), colours, single, edge < share)
