"""Pairs of neighbouring nodes, their labels from sure regions, and the loss (PSA, CVPR 2018)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from stages.images import BACKGROUND, IGNORE

EPSILON = 1e-5  # as in PSA, in logarithms and counts

Window = tuple[slice, slice]  # rows and columns of the grid


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


def pair_windows(rows: int, columns: int, radius: int) -> Iterator[tuple[Window, Window]]:
    """For each offset of the half disc, the windows of the grid that hold the first and the second node of its pairs,
    in the same order. Offsets that leave the grid are skipped.

    >>> list(pair_windows(1, 3, 2))
    [((slice(0, 1, None), slice(0, 2, None)), (slice(0, 1, None), slice(1, 3, None)))]
    """
    for down, right in half_disc(radius):
        height, width = rows - down, columns - abs(right)
        if height <= 0 or width <= 0:
            continue
        left = max(0, -right)
        yield (
            (slice(0, height), slice(left, left + width)),
            (slice(down, rows), slice(left + right, left + right + width)),
        )


def node_pairs(rows: int, columns: int, radius: int) -> Tensor:
    """All pairs of grid nodes nearer than `radius`, [2, P] int64, each unordered pair once.

    PSA leaves out pairs near the grid's left, right and lower border; here every pair in the grid counts.
    """
    nodes = torch.arange(rows * columns).reshape(rows, columns)
    pairs = [
        torch.stack((nodes[first].flatten(), nodes[second].flatten()))
        for first, second in pair_windows(rows, columns, radius)
    ]
    return torch.cat(pairs, dim=1) if pairs else torch.zeros(2, 0, dtype=torch.int64)


def pair_affinities(features: Tensor, radius: int) -> Tensor:
    """exp(-mean over D of |f_i - f_j|) of each pair, in (0, 1] (PSA, equation 3, with a mean instead of the sum, as in
    its authors' program). features [B, D, rows, columns] -> [B, P], pairs in the order of `node_pairs`."""
    return torch.exp(-PairDistances.apply(features.permute(0, 2, 3, 1).contiguous(), radius))


class PairDistances(torch.autograd.Function):
    """Mean over D of |f_i - f_j| of each pair: nodes [B, rows, columns, D] contiguous -> [B, P].

    Written by hand because autograd would keep every difference and fill a gradient of the whole grid for each window.
    """

    @staticmethod
    def forward(ctx: Any, nodes: Tensor, radius: int) -> Tensor:
        ctx.save_for_backward(nodes)
        ctx.radius = radius
        distances = [
            (nodes[:, *first] - nodes[:, *second]).abs_().mean(dim=-1).flatten(1)
            for first, second in pair_windows(nodes.shape[1], nodes.shape[2], radius)
        ]
        return torch.cat(distances, dim=1) if distances else nodes.new_zeros(len(nodes), 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (nodes,) = ctx.saved_tensors
        gradient = gradient / nodes.shape[-1]
        result = torch.zeros_like(nodes)
        start = 0
        for first, second in pair_windows(nodes.shape[1], nodes.shape[2], ctx.radius):
            signs = (nodes[:, *first] - nodes[:, *second]).sign_()
            count = signs.shape[1] * signs.shape[2]
            own = gradient[:, start : start + count].reshape(*signs.shape[:3], 1)
            result[:, *first].addcmul_(signs, own)
            result[:, *second].addcmul_(signs, own, value=-1)
            start += count
        return result, None


def pair_labels(regions: Tensor, radius: int) -> PairLabels:
    """Labels of pairs from sure regions: mask values [..., rows, columns] (255: unsure) -> [..., P], in the order of
    `node_pairs`."""
    windows = list(pair_windows(regions.shape[-2], regions.shape[-1], radius))
    nothing = regions.new_zeros(*regions.shape[:-2], 0)
    first = torch.cat([nothing, *(regions[..., *window].flatten(-2) for window, _ in windows)], dim=-1)
    second = torch.cat([nothing, *(regions[..., *window].flatten(-2) for _, window in windows)], dim=-1)
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
