"""Transition matrices of random walks: sparse between the neighbours of a grid, dense between all nodes."""

import functools
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.refine.affinity_pairs import pair_windows


@dataclass(frozen=True)
class Neighbours:
    """Where the entries of a grid's transition matrix [N, N] lie: itself and all neighbours of each node, in CSR.

    starts: [N + 1] int32.  columns: [E] int32.  rows: [E] int64.
    sources: [E] int64, which pair's affinity an entry has; P on the diagonal.
    """

    starts: Tensor
    columns: Tensor
    rows: Tensor
    sources: Tensor


@functools.lru_cache(maxsize=32)
def neighbours(rows: int, columns: int, radius: int, device: torch.device) -> Neighbours:
    """The neighbours of each node of a grid, cached: most images of a data set have one of a few sizes."""
    # One place for each offset, -1 where no pair has it: places in order are nodes in order, so nothing is sorted.
    sources = torch.full((rows, columns, 2 * radius - 1, 2 * radius - 1), -1)
    pairs = 0
    for first, second in pair_windows(rows, columns, radius):
        down, right = (other.start - one.start for one, other in zip(first, second, strict=True))
        there = sources[*first, radius - 1 + down, radius - 1 + right]
        back = sources[*second, radius - 1 - down, radius - 1 - right]
        numbers = torch.arange(pairs, pairs + there.numel()).reshape(there.shape)
        there.copy_(numbers)
        back.copy_(numbers)
        pairs += there.numel()
    sources[:, :, radius - 1, radius - 1] = pairs
    reach = torch.arange(1 - radius, radius)
    steps = (reach[:, None] * columns + reach).flatten()
    sources = sources.reshape(rows * columns, len(steps))
    known = sources >= 0
    at, place = known.nonzero(as_tuple=True)
    starts = torch.zeros(rows * columns + 1, dtype=torch.int32)
    starts[1:] = known.sum(dim=1).cumsum(0)
    return Neighbours(
        starts=starts.to(device),
        columns=(at + steps.index_select(0, place)).int().to(device),
        rows=at.to(device),
        sources=sources.flatten().index_select(0, at * len(steps) + place).to(device),
    )


def transition_matrix(affinities: Tensor, grid: tuple[int, int], radius: int, *, beta: float) -> Tensor:
    """Transitions T = D^-1 A^beta between neighbours, rows that sum to 1: a sparse CSR matrix [N, N] float64,
    in which hundreds of steps do not add up the rounding: in float32 they move scores by up to 1e-4.

    Args:
        affinities: of each pair, [P] in [0, 1], in the order of `affinity_pairs.node_pairs`. Each node has affinity 1
            to itself.
        grid: rows and columns of the nodes.  radius: nodes closer than this are neighbours.
        beta: exponent of the affinities.

    Three nodes in a row, the first two with affinity 1/2, the last two with 0:

    >>> transition_matrix(torch.tensor([0.5, 0.0]), (1, 3), 2, beta=1.0).to_dense().float()
    tensor([[0.6667, 0.3333, 0.0000],
            [0.3333, 0.6667, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """
    near = neighbours(*grid, radius, affinities.device)
    nodes = grid[0] * grid[1]
    weights = torch.cat((affinities.double() ** beta, affinities.new_ones(1, dtype=torch.float64)))
    values = weights.index_select(0, near.sources)
    totals = values.new_zeros(nodes).index_add_(0, near.rows, values)
    values /= totals.index_select(0, near.rows)
    with warnings.catch_warnings():
        # Warned once per process; products with dense matrices, the only use here, are tested.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(near.starts, near.columns, values, (nodes, nodes), check_invariants=False)


def dense_transitions(affinities: Tensor, *, beta: float) -> Tensor:
    """Row-normalised transitions [N, N] from affinities between all nodes [N, N] >= 0, such as attention; no row may be
    0.

    >>> dense_transitions(torch.tensor([[1.0, 2.0], [3.0, 1.0]]), beta=2.0)
    tensor([[0.2000, 0.8000],
            [0.9000, 0.1000]])
    """
    weights = affinities.float() ** beta
    return weights / weights.sum(dim=1, keepdim=True)


def feature_transitions(features: Tensor, *, threshold: float, radius: int | None, beta: float) -> Tensor:
    """Transitions along the similarity of patch features [D, rows, columns]: `transition_matrix` between the neighbours
    within `radius`, float64, or without one `dense_transitions` between all nodes.

    The affinity of two nodes is 0 where the cosine of their features is at most `threshold`, 1 where it is 1, and even
    between; that of a node and itself is 1, also where its feature is 0.

    Cosines 1/2 and 0 of three nodes in a row, at a threshold of 0.2:

    >>> row = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.75**0.5, 0.0], [0.0, 0.0, 1.0]])[:, None]
    >>> feature_transitions(row, threshold=0.2, radius=None, beta=1.0)
    tensor([[0.7273, 0.2727, 0.0000],
            [0.2727, 0.7273, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """
    rows, columns = features.shape[1:]
    units = F.normalize(features.float(), dim=0)
    if radius is None:
        nodes = units.flatten(1)
        return dense_transitions(_above(nodes.T @ nodes, threshold).fill_diagonal_(1), beta=beta)
    pairs = [
        (units[:, *one] * units[:, *other]).sum(dim=0).flatten() for one, other in pair_windows(rows, columns, radius)
    ]
    cosines = torch.cat([units.new_zeros(0), *pairs])
    return transition_matrix(_above(cosines, threshold), (rows, columns), radius, beta=beta)


def _above(cosines: Tensor, threshold: float) -> Tensor:
    return ((cosines - threshold) / (1 - threshold)).clamp(0, 1)
