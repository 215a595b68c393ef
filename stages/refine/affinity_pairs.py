"""Pairs of neighbouring nodes, their labels from sure regions, and the loss (PSA, CVPR 2018)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stages.images import BACKGROUND, IGNORE

EPSILON = 1e-5  # as in PSA, in logarithms and counts


@dataclass(frozen=True)
class PairLabels:
    """What is known about each pair: three masks [..., P] bool, at most one of them true.

    background: both nodes surely background.  foreground: both surely of the same class.  unlike: of different labels.
    Pairs with an unsure node are in none.
    """

    background: Tensor
    foreground: Tensor
    unlike: Tensor


def half_disc(radius: int) -> list[tuple[int, int]]:
    """Offsets (rows, columns) to the neighbours nearer than `radius`, one of each opposite pair: to the right in the
    same row, and all in the rows below."""
    reach = range(-radius + 1, radius)
    return [
        (down, right)
        for down in range(radius)
        for right in reach
        if (down > 0 or right > 0) and down * down + right * right < radius * radius
    ]


def node_pairs(rows: int, columns: int, radius: int) -> Tensor:
    """All pairs of grid nodes nearer than `radius`, [2, P] int64, each unordered pair once.

    PSA leaves out pairs near the grid's left, right and lower border; here every pair in the grid counts.
    """
    nodes = torch.arange(rows * columns).reshape(rows, columns)
    pairs = []
    for down, right in half_disc(radius):
        height, width = rows - down, columns - abs(right)
        if height <= 0 or width <= 0:
            continue
        left = max(0, -right)
        first = nodes[:height, left : left + width]
        second = nodes[down:, left + right : left + right + width]
        pairs.append(torch.stack((first.flatten(), second.flatten())))
    return torch.cat(pairs, dim=1) if pairs else torch.zeros(2, 0, dtype=torch.int64)


def pair_affinities(features: Tensor, pairs: Tensor) -> Tensor:
    """exp(-mean over D of |f_i - f_j|) of each pair, in (0, 1] (PSA, equation 3, with a mean instead of the sum, as in
    its authors' program). features [B, D, N], pairs [2, P] -> [B, P]."""
    first, second = features.index_select(2, pairs[0]), features.index_select(2, pairs[1])
    return torch.exp(-(first - second).abs().mean(dim=1))


def pair_labels(regions: Tensor, pairs: Tensor) -> PairLabels:
    """Labels of pairs from sure regions: regions [..., N] mask values (255: unsure), pairs [2, P] -> [..., P]."""
    first, second = regions[..., pairs[0]], regions[..., pairs[1]]
    sure = (first != IGNORE) & (second != IGNORE)
    alike = sure & (first == second)
    background = alike & (first == BACKGROUND)
    return PairLabels(background=background, foreground=alike & ~background, unlike=sure & (first != second))


def affinity_loss(affinities: Tensor, labels: PairLabels) -> Tensor:
    """PSA's balanced loss, equations 6 to 9: a quarter for background pairs, a quarter for foreground pairs, half for
    unlike pairs, each a mean over its own pairs in the batch. affinities [B, P] -> a scalar."""
    near = -torch.log(affinities + EPSILON)
    far = -torch.log(1 + EPSILON - affinities)
    return _mean(near, labels.background) / 4 + _mean(near, labels.foreground) / 4 + _mean(far, labels.unlike) / 2


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / (chosen.sum() + EPSILON)
