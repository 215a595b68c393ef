"""Frozen features of whole images for making maps, computed once for all localizers over the same frozen CNN."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.errors import DataError


@dataclass(frozen=True)
class MapFeatures:
    """A folder with one `<batch>-<scale>-<level>.npy` per batch of images, scale, and level of the pyramid.

    An array is [B, channels, rows, columns] float16; with `flip` [2B, ...], the mirrored copies after the images.
    """

    folder: Path

    def write(self, number: int, scales: list[list[Tensor]]) -> None:
        """Writes the features of a batch, [scale][level]."""
        for scale, levels in enumerate(scales):
            for level, values in enumerate(levels):
                np.save(self._file(number, scale, level), values.half().cpu().numpy())

    def read(self, number: int, *, images: int, scales: int) -> list[list[Tensor]]:
        """The features of a batch, [scale][level].

        Raises DataError unless they are for this many scales and images, counting mirrored copies.
        """
        return [self._levels(number, scale, images) for scale in range(scales)]

    def _levels(self, number: int, scale: int, images: int) -> list[Tensor]:
        levels: list[Tensor] = []
        while self._file(number, scale, len(levels)).is_file():
            levels.append(self._load(self._file(number, scale, len(levels)), images))
        if not levels:
            raise DataError(
                f"{self.folder}: no features of batch {number} at scale {scale}; delete the folder and rerun `localize`"
            )
        return levels

    def _file(self, number: int, scale: int, level: int) -> Path:
        return self.folder / f"{number:05d}-{scale}-{level}.npy"

    def _load(self, path: Path, images: int) -> Tensor:
        try:
            values = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise DataError(f"{path}: no whole features ({error}); delete its folder and rerun `localize`") from error
        if len(values) != images:
            raise DataError(f"{path}: not the features of {images} images; delete its folder and rerun `localize`")
        return torch.from_numpy(values)
