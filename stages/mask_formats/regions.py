"""The connected regions of a mask: what tools call objects."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.images import BACKGROUND
from stages.mask_formats.outlines import outline_of


@dataclass(frozen=True)
class Region:
    """Pixels of one value that touch each other along sides or at corners.

    value: class (from 1) or 255.  box: left, top, width and height in pixels.  pixels: [height, width], True in the
    region.  area: pixels.
    """

    value: int
    box: tuple[int, int, int, int]
    pixels: NDArray[np.bool_]
    area: int

    def outline(self, tolerance: float = 0.0) -> NDArray[np.float64]:
        """Its outline [points, 2], x and y in the image (`stages.mask_formats.outlines`)."""
        return outline_of(self.pixels, tolerance) + np.array(self.box[:2])

    def in_image(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """[rows, columns] uint8 of an image of `size`: 1 in the region, 0 elsewhere."""
        left, top, width, height = self.box
        whole = np.zeros(size, dtype=np.uint8)
        whole[top : top + height, left : left + width] = self.pixels
        return whole

    @property
    def has_hole(self) -> bool:
        """Whether it surrounds pixels of another value."""
        outside = np.pad(~self.pixels, 1, constant_values=True).astype(np.uint8)
        return (
            cv2.connectedComponents(outside, connectivity=4)[0] > 2
        )  # one is the region itself, one what is around it


def regions_of(mask: NDArray[np.uint8]) -> Iterator[Region]:
    """The regions of a mask [rows, columns] uint8, without background: large ones first, so that what is drawn later
    stays on top."""
    found = [region for value in np.unique(mask) if value != BACKGROUND for region in _regions(mask, int(value))]
    yield from sorted(found, key=lambda region: -region.area)


def _regions(mask: NDArray[np.uint8], value: int) -> Iterator[Region]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=8)
    for number in range(1, count):
        left, top, width, height, area = stats[number].tolist()
        own = labels[top : top + height, left : left + width] == number
        yield Region(value, (left, top, width, height), own, area)
