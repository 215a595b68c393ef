"""Overlapping windows over an image's patches: where they lie, and the mean of what is found in them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.errors import SettingsError


@dataclass(frozen=True)
class Windows:
    """Square windows over a grid of patches.

    side, step: of a window and from one to the next, patches.  cells: on each side of a patch, the finer grid on which
    what is found is averaged.
    """

    side: int
    step: int
    cells: int = 1

    def places(self, rows: int, columns: int) -> list[tuple[int, int]]:
        """The upper left patch of each window over a grid of patches."""
        return [
            (top, left)
            for top in window_starts(rows, self.side, self.step)
            for left in window_starts(columns, self.side, self.step)
        ]

    def mean_over(self, images: Tensor, stride: int, find: Callable[[Tensor], Tensor]) -> Tensor:
        """The mean over the windows that cover each cell of what `find` makes of them: windows' pixels [W, 3, h, w] to
        [W, C, any rows, any columns], resized to the window's cells. Images [B, 3, H, W], whose sides are multiples of
        the `stride` of a patch -> [B, C, rows * cells, columns * cells].

        As many windows run at once as have about the images' pixels together.
        """
        batch = len(images)
        rows, columns = (length // stride for length in images.shape[-2:])
        height, width = min(self.side, rows), min(self.side, columns)
        total: Tensor | None = None
        count = images.new_zeros(rows * self.cells, columns * self.cells)
        for places in _chunks(self.places(rows, columns), max(1, rows * columns // (height * width))):
            windows = torch.cat([_crop(images, place, height, width, stride) for place in places])
            found = find(windows)
            size = (height * self.cells, width * self.cells)
            if tuple(found.shape[-2:]) != size:
                found = F.interpolate(found, size=size, mode="bilinear", align_corners=False)
            if total is None:
                total = found.new_zeros(batch, found.shape[1], *count.shape)
            for (top, left), own in zip(places, found.split(batch), strict=True):
                _crop(total, (top, left), height, width, self.cells).add_(own)
                _crop(count, (top, left), height, width, self.cells).add_(1)
        if total is None:
            raise ValueError("images without patches have no windows")
        return total / count


def window_starts(length: int, side: int, step: int) -> list[int]:
    """Where windows start along a side: every `step`, the last one where it ends with the side; a side that is not
    longer than a window has one.

    >>> window_starts(21, 14, 7), window_starts(20, 14, 7), window_starts(9, 14, 7)
    ([0, 7], [0, 6], [0])
    """
    return [*range(0, length - side, step), max(0, length - side)]


def windows_of(window: int, step: int | None, stride: int, *, cells: int, place: str) -> Windows:
    """Windows given in pixels. Raises SettingsError, at `place`, unless they begin and end with patches of `stride`
    pixels. step: default, half a window."""
    step = step or window // 2
    for name, pixels in (("window", window), ("step", step)):
        if pixels % stride or not pixels:
            nearest = max(1, round(pixels / stride)) * stride
            raise SettingsError(
                f"{place}.{name}: {pixels} is no multiple of the {stride} pixels of a patch of CLIP's; set {nearest}"
            )
    return Windows(window // stride, step // stride, cells)


def _crop(values: Tensor, place: tuple[int, int], height: int, width: int, stride: int) -> Tensor:
    top, left = place
    return values[..., top * stride : (top + height) * stride, left * stride : (left + width) * stride]


def _chunks(places: Sequence[tuple[int, int]], length: int) -> Iterator[Sequence[tuple[int, int]]]:
    for start in range(0, len(places), length):
        yield places[start : start + length]
