"""Masks that are drawn for made-up tags, and what is said of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stages.data.contradictions import find_contradiction
from stages.data.mask_sights import MaskSight, sight_of
from stages.images import voc_palette
from stages.index import Record

PALETTE = np.array(voc_palette(), dtype=np.uint8).reshape(256, 3)


CLASSES = ("disc", "square", "star")


# The tags of twelve images: singles and pairs.
TAGS = [(1,), (2,), (3,), (1, 2), (2,), (3,), (1,), (2, 3), (3,), (1,), (2,), (3,)]


Change = Callable[[np.ndarray], np.ndarray]


def draw(tags: Sequence[int], ring: bool = True) -> np.ndarray:
    """An object a tag, within the image, with the ignored ring of VOC's masks."""
    mask = np.zeros((24, 40), dtype=np.uint8)
    for place, value in enumerate(tags):
        left = 4 + 16 * place
        mask[4:18, left : left + 12] = 255 if ring else 0
        mask[5:17, left + 1 : left + 11] = value
    return mask


def renumbered(**values: int) -> Change:
    """What writes other values: v1=2 for 1 that becomes 2."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in values.items():
        table[int(old[1:])] = new
    return lambda mask: table[mask]


def found(
    change: Change | None = None,
    *,
    tags: Sequence[Sequence[int]] = TAGS,
    own: Sequence[Sequence[int]] | None = None,
    palette: np.ndarray | None = None,
    ring: bool = True,
    classes: Sequence[str] = CLASSES,
) -> str:
    """What is said of masks that show `own` (the tags, if omitted), changed, in images of these tags."""
    return find_contradiction(*split_of(tags, change, own=own, palette=palette, ring=ring, classes=classes), classes)


def split_of(
    tags: Sequence[Sequence[int]],
    change: Change | None = None,
    *,
    own: Sequence[Sequence[int]] | None = None,
    palette: np.ndarray | None = None,
    ring: bool = True,
    classes: Sequence[str] = CLASSES,
) -> tuple[list[Record], dict[int, MaskSight]]:
    """The records and masks of images of these tags whose masks show `own`, or the tags, changed."""
    records, sights = [], {}
    for place, values in enumerate(tags):
        mask = draw((own or tags)[place], ring)
        labels = tuple(classes[value - 1] for value in values)
        records.append(Record(f"{place}", f"{place}.jpg", f"masks/{place}.png", labels, "val"))
        sights[place] = sight_of(change(mask) if change else mask, palette, Path(f"masks/{place}.png"))
    return records, sights
