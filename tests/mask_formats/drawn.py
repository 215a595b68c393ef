"""Masks that are hard to outline."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Mask = NDArray[np.uint8]


def rings() -> Mask:
    """A square with a square hole, in which another class lies with a hole of its own; pixels, lines, and corners that
    touch."""
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[2:30, 3:35] = 1
    mask[6:26, 8:30] = 0
    mask[9:22, 11:27] = 2
    mask[12:15, 14:17] = 0
    mask[17:20, 20:24] = 255
    mask[35, 5] = 1
    mask[35, 10:20] = 2
    mask[32:39, 30] = 3
    mask[32:35, 40:43] = 1
    mask[35:38, 43:46] = 1  # touches the one before at a corner
    mask[:, -1] = 3
    mask[-1, :] = 3
    return mask


def blobs(seed: int, size: tuple[int, int] = (70, 90), classes: int = 3, smooth: float = 2.0) -> Mask:
    """Random regions with ragged borders and holes."""
    random = np.random.default_rng(seed)
    scores = [gaussian_filter(random.normal(size=size), smooth) for _ in range(classes + 1)]
    return np.argmax(scores, axis=0).astype(np.uint8)


def masks() -> Iterator[Mask]:
    """Rings, blobs from noise to smooth, and masks of one value."""
    yield rings()
    for seed, smooth in enumerate((0.0, 0.7, 1.5, 3.0, 6.0)):
        yield blobs(seed, smooth=smooth)
    yield np.zeros((5, 7), dtype=np.uint8)
    yield np.full((5, 7), 2, dtype=np.uint8)
