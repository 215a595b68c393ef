"""CNNs that run only on sides of some kind, run on images of any size: the images are filled up, the maps cut back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# A side whose halves are odd at every stride up to 16, rounded up as strided convolutions do, and one of which they are
# rounded down, as pooling does.
TRIAL = (97, 127)
LARGEST_LEAST = 256


@dataclass(frozen=True)
class Filling:
    """What images are filled up to, below and to the right, with zeros: the mean colour of normalised images.

    multiple: of pixels, of both sides.  least: pixels of a side.
    """

    multiple: int = 1
    least: int = 1

    def fill(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W], unchanged if their sides are of the kind."""
        rows, columns = images.shape[-2:]
        if self.multiple > 1:
            images = F.pad(images, (0, -columns % self.multiple, 0, -rows % self.multiple))
        rows, columns = images.shape[-2:]
        if rows < self.least or columns < self.least:
            images = F.pad(images, (0, max(0, self.least - columns), 0, max(0, self.least - rows)))
        return images

    def cut(self, maps: Sequence[Tensor], strides: Sequence[int], size: tuple[int, int]) -> list[Tensor]:
        """Feature maps of filled images cut to what images of `size` have: the sides divided by the stride, rounded
        up."""
        if self == Filling():
            return list(maps)
        rows, columns = size
        return [
            own[..., : -(-rows // stride), : -(-columns // stride)] for own, stride in zip(maps, strides, strict=True)
        ]


def needed_filling(cnn: Callable[[Tensor], Sequence[Tensor]], strides: Sequence[int]) -> Filling:
    """What a CNN in evaluation mode needs to run on every size, found by running it: nothing, for most.

    HRNet adds maps of neighbouring strides, whose sides differ by one unless they are multiples of the largest; VGG,
    DenseNet and ConvNeXt have nothing left of images smaller than that. A CNN that runs on neither needs more than
    filling, and gets none.
    """
    largest = max(strides)
    multiple = 1 if _runs(cnn, *TRIAL) else largest
    if multiple > 1 and not _runs(cnn, 3 * multiple, 5 * multiple):
        return Filling()
    side = multiple
    while not _runs(cnn, side, side):
        side = max(2 * side, largest)
        if side > LARGEST_LEAST:
            return Filling(multiple)
    return Filling(multiple, side)


def _runs(cnn: Callable[[Tensor], Sequence[Tensor]], rows: int, columns: int) -> bool:
    try:
        with torch.no_grad():
            cnn(torch.zeros(1, 3, rows, columns))
    except (RuntimeError, ValueError, AssertionError, IndexError):
        return False
    return True
