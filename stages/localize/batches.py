"""Images for maps in batches: which run together, and how they are read and resized.

The images of a part have the same size on the patch grid. A localizer that mixes sizes runs several parts at once.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from stages.images import image_size, read_image, working_size
from stages.index import Record
from stages.localize.map_features import MapFeatures
from stages.settings import MapSettings

Size = tuple[int, int]  # rows, columns
Sizes = tuple[Size, ...]  # an image's on the patch grid, pixels, one for each scale
Parts = list[list[int]]  # rows of the index
Grouping = Callable[[Sequence[Sizes], int], list[Parts]]

# The longer side of an image is at most so many times its shorter side, or the image is made smaller. Those of VOC and
# COCO, but for a few, are not as thin.
THINNEST = 4
# Images are filled up to the longest of their batch: more than this is not worth it.
LONGEST = 1.2


@dataclass(frozen=True)
class Batch:
    """Images that run together.

    parts: rows of the index.  sizes: of the images themselves, part by part.  scales: the localizer's input at each
    scale, one for each part: images, uint8 [b, 3, H, W], or the levels of their `MapFeatures`.  longest_side: of larger
    images, at which they will be labelled (`working_size`).
    """

    parts: Parts
    sizes: list[Size]
    scales: list[list[Tensor | list[Tensor]]]
    longest_side: int | None = None

    @property
    def working_sizes(self) -> list[Size]:
        """The sizes at which the images are labelled, part by part."""
        return [working_size(size, self.longest_side) for size in self.sizes]

    @property
    def positions(self) -> list[int]:
        """Rows of the index, part by part."""
        return [position for part in self.parts for position in part]


def group_by_size(grids: Sequence[Sizes], length: int) -> list[Parts]:
    """Batches of up to `length` images, each of one part.

    >>> group_by_size([((64, 96),), ((96, 64),), ((64, 96),)], 8)
    [[[0, 2]], [[1]]]
    """
    groups: defaultdict[Sizes, list[int]] = defaultdict(list)
    for position, sizes in enumerate(grids):
        groups[sizes].append(position)
    return [[group[start : start + length]] for group in groups.values() for start in range(0, len(group), length)]


def group_by_area(grids: Sequence[Sizes], length: int) -> list[Parts]:
    """Batches of up to `length` images of nearly the same number of patches, whatever their sizes.

    >>> group_by_area([((64, 96),), ((96, 64),), ((64, 96),), ((64, 320),)], 8)
    [[[0, 2], [1]], [[3]]]
    """

    def area(position: int) -> int:
        return sum(rows * columns for rows, columns in grids[position])

    batches: list[list[int]] = []
    for position in sorted(range(len(grids)), key=lambda position: (area(position), grids[position])):
        last = batches[-1] if batches else []
        if last and len(last) < length and area(position) <= LONGEST * area(last[0]):
            last.append(position)
        else:
            batches.append([position])
    return [_parts(batch, grids) for batch in batches]


def _parts(batch: Sequence[int], grids: Sequence[Sizes]) -> Parts:
    parts: defaultdict[Sizes, list[int]] = defaultdict(list)
    for position in batch:
        parts[grids[position]].append(position)
    return list(parts.values())


def sizes_on_grid(records: Sequence[Record], root: Path, stride: int, settings: MapSettings) -> list[Sizes]:
    """Each image's size on the patch grid at every scale, from the files' headers."""
    sizes = [image_size(root / record.image) for record in records]
    return [
        tuple(size_on_grid(size, shorter_side(size, settings, scale), stride) for scale in settings.scales)
        for size in sizes
    ]


def read_batch(parts: Parts, records: Sequence[Record], root: Path, stride: int, settings: MapSettings) -> Batch:
    """Decodes the images and resizes them to every scale."""
    images = [[read_image(root / records[position].image) for position in part] for part in parts]
    scaled: list[list[Tensor | list[Tensor]]] = [
        [_stacked(part, settings, scale, stride) for part in images] for scale in settings.scales
    ]
    return Batch(parts, [(image.height, image.width) for part in images for image in part], scaled)


def _stacked(images: Sequence[Image.Image], settings: MapSettings, scale: float, stride: int) -> Tensor:
    shorter = [shorter_side((image.height, image.width), settings, scale) for image in images]
    return torch.stack(
        [
            transforms.pil_to_tensor(resize_to_grid(image, side, stride))
            for image, side in zip(images, shorter, strict=True)
        ]
    )


def frozen_batch(
    parts: Parts, records: Sequence[Record], root: Path, features: MapFeatures, settings: MapSettings
) -> Batch:
    """The same batch, with features instead of images."""
    sizes = [image_size(root / records[position].image) for part in parts for position in part]
    scales: list[list[Tensor | list[Tensor]]] = [
        [list(features.read(part, scale, mirrored=settings.flip)) for part in parts]
        for scale in range(len(settings.scales))
    ]
    return Batch(parts, sizes, scales)


def shorter_side(size: Size, settings: MapSettings, scale: float = 1.0) -> int:
    """The shorter side, in pixels, at which maps of an image of this size are made.

    >>> shorter_side((200, 300), MapSettings(size=64), 0.5), shorter_side((200, 300), MapSettings(size=None), 0.5)
    (32, 100)
    """
    return max(1, round((settings.size or min(size)) * scale))


def size_on_grid(size: Size, shorter: int, stride: int) -> Size:
    """The size scaled so that its shorter side is near `shorter`, both sides rounded to multiples of `stride`.

    An image thinner than `THINNEST` is scaled to the area of one that is as thin: a transformer's time and memory grow
    with the square of that area. One whose shorter side would be less than a patch is pressed lengthwise.

    >>> size_on_grid((200, 300), 64, 16), size_on_grid((100, 2000), 64, 16), size_on_grid((1, 2000), 64, 16)
    ((64, 96), (32, 576), (16, 1024))
    """
    most = THINNEST * shorter**2
    factor = min(shorter / min(size), math.sqrt(most / (size[0] * size[1])))
    # Of a single row or column of patches.
    longest = max(1, round(most / stride**2), round(THINNEST * shorter / stride)) * stride
    rows, columns = (min(longest, max(stride, round(side * factor / stride) * stride)) for side in size)
    return rows, columns


def resize_to_grid(image: Image.Image, shorter: int, stride: int) -> Image.Image:
    """The image resized to its `size_on_grid`."""
    rows, columns = size_on_grid((image.height, image.width), shorter, stride)
    return image.resize((columns, rows), Image.Resampling.BILINEAR)
