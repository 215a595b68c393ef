"""What a true mask shows, in a few numbers: enough to compare the masks of a split with its tags."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.images import BACKGROUND, IGNORE

LEAST_AREA = 0.05  # share of the image: smaller holes within a class are holes
VOID_EDGE, VOID_AREA = 1 / 2, 1 / 3  # shares of 255, of the borders and of the whole, where it may stand for background

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class MaskSight:
    """A mask at a glance.

    values: those that it shows, ascending.  colours: their colours in its palette; empty if it is grey, or if the
    palette has none for one of them.  around: the class that surrounds all of the background, along every border; 0 if
    none does.  inward: whether background has a smaller share of the borders than of the whole.  thin: values that are
    lines of one or two pixels everywhere.  void: whether 255 fills much of the image and of its borders.  name: what to
    call it in messages.
    """

    path: Path
    values: tuple[int, ...]
    colours: tuple[Colour, ...]
    around: int
    inward: bool
    thin: frozenset[int]
    void: bool
    name: str


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
    void = (border == IGNORE).mean() > VOID_EDGE and counts[IGNORE] > VOID_AREA * mask.size if mask.size else False
    thin = _thin(mask, values)
    return MaskSight(path, tuple(values.tolist()), colours, single, edge < share, thin, bool(void), str(path))


def named_by_image(
    sights: Mapping[int, MaskSight], images: Mapping[int, str], folder: Path | None
) -> dict[int, MaskSight]:
    """The masks of a folder named by their images: those that tagmask made, perhaps for a moment only. images: paths by
    the position of their records."""
    if folder is None:
        return dict(sights)
    return {
        place: dataclasses.replace(sight, name=f"the mask of {images[place]}")
        if sight.path.parent == folder.absolute()
        else sight
        for place, sight in sights.items()
    }


def _thin(mask: NDArray[np.uint8], values: NDArray[np.intp]) -> frozenset[int]:
    """Values without a pixel whose four neighbours have it, too."""
    core = mask[1:-1, 1:-1]
    if not core.size:
        return frozenset()
    same = (core == mask[:-2, 1:-1]) & (core == mask[2:, 1:-1]) & (core == mask[1:-1, :-2]) & (core == mask[1:-1, 2:])
    return frozenset(values.tolist()) - frozenset(np.flatnonzero(np.bincount(core[same], minlength=256)).tolist())
