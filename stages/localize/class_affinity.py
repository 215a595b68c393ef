"""Class-aware attention-based affinity: a map spreads from its own regions to patches that attend to each other.

Source: Lin et al., CLIP is Also an Efficient Segmenter, CVPR 2023, section 3.3. N patches.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

# Regions whose corners touch are one.
NEIGHBOURS = np.ones((3, 3), dtype=bool)


def sinkhorn(attention: Tensor, rounds: int) -> Tensor:
    """Positive attention [B, N, N] whose columns, and then rows, are divided by their sums, so many rounds: it tends to
    a doubly stochastic matrix (Sinkhorn, 1964)."""
    for _ in range(rounds):
        attention = attention / attention.sum(dim=1, keepdim=True)
        attention = attention / attention.sum(dim=2, keepdim=True)
    return attention


def affinity_of(attention: Tensor, rounds: int) -> Tensor:
    """A = (D + D^T) / 2 of the normalised attention D, [B, N, N]."""
    balanced = sinkhorn(attention, rounds)
    return (balanced + balanced.mT) / 2


def box_mask(own: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Where the boxes are around each connected region of a map in [0, 1] whose values reach the threshold.

    >>> box_mask(np.array([[0.9, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.6]]), 0.5).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 1]]
    """
    regions, _ = ndimage.label(own >= threshold, structure=NEIGHBOURS)
    mask = np.zeros(own.shape, dtype=bool)
    for box in ndimage.find_objects(regions):
        mask[box] = True
    return mask


def spread(maps: Tensor, affinity: Tensor, *, threshold: float, steps: int) -> Tensor:
    """Maps A^t (b m): of each map m [K, rows, columns] in [0, 1], what is in its boxes b is multiplied `steps` times by
    the image's affinity A [N, N], N = rows * columns in row order.

    The paper masks A^t, whose columns are where a patch receives from; the product is the same.
    """
    boxes = torch.from_numpy(np.stack([box_mask(own, threshold) for own in maps.cpu().numpy()])).to(maps.device)
    spreading = (maps * boxes).flatten(1)
    for _ in range(steps):
        spreading = spreading @ affinity.T
    return spreading.unflatten(1, maps.shape[1:])
