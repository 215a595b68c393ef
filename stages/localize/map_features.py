"""Frozen features of whole images for making maps, computed once for all localizers over the same frozen CNN."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.errors import DataError
from stages.finite import check_finite

OVERFLOW = (
    "float16 does not hold them, or the CNN's weights are not whole; set localize.backbone.views: 0, or give others"
)


@dataclass(frozen=True)
class MapFeatures:
    """A folder with one `<image>-<scale>-<level>.npy` per image, scale, and level of the pyramid.

    An array is [1, channels, rows, columns] float16; with `flip` [2, ...], the mirrored copy after the image. An image
    is named by its row of the index, so that any batch can be read, on a GPU others than on a CPU.
    """

    folder: Path

    def write(self, positions: Sequence[int], scale: int, levels: Sequence[Tensor]) -> None:
        """Writes the features of images of one size at a scale, each level [b, ...], or [2b, ...] with the mirrored
        copies after the images."""
        for level, values in enumerate(levels):
            each = values.half().cpu().unflatten(0, (-1, len(positions))).numpy()
            check_finite(f"{self.folder}: features from image {positions[0]} on", {"a feature": each}, OVERFLOW)
            for column, position in enumerate(positions):
                np.save(self._file(position, scale, level), each[:, column])

    def read(self, positions: Sequence[int], scale: int, *, mirrored: bool) -> list[Tensor]:
        """The levels as `write` got them, for any images of one size.

        Raises DataError unless they are there, with mirrored copies or without.
        """
        images = [self._levels(position, scale, 2 if mirrored else 1) for position in positions]
        return [torch.stack(own, dim=1).flatten(0, 1) for own in zip(*images, strict=True)]

    def _levels(self, position: int, scale: int, copies: int) -> list[Tensor]:
        levels: list[Tensor] = []
        while self._file(position, scale, len(levels)).is_file():
            levels.append(self._load(self._file(position, scale, len(levels)), copies))
        if not levels:
            raise DataError(
                f"{self.folder}: no features of image {position} at scale {scale}; delete the folder and rerun"
                " `localize`"
            )
        return levels

    def _file(self, position: int, scale: int, level: int) -> Path:
        return self.folder / f"{position:05d}-{scale}-{level}.npy"

    def _load(self, path: Path, copies: int) -> Tensor:
        try:
            values = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise DataError(f"{path}: no whole features ({error}); delete its folder and rerun `localize`") from error
        if len(values) != copies:
            raise DataError(
                f"{path}: {len(values)} copies of the image, not {copies}; delete its folder and rerun `localize`"
            )
        return torch.from_numpy(values)
