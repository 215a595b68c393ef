"""Random walks against the power of the dense matrix, and what a walk keeps."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.polynomial.chebyshev import chebval

from stages.refine.affinity_pairs import node_pairs
from stages.refine.random_walk import chebyshev_weights, random_walk, reversible_walk
from stages.refine.transitions import dense_transitions, transition_matrix

Walk = Callable[..., torch.Tensor]
WALKS = [random_walk, reversible_walk]
ROWS, COLUMNS = 9, 13


@pytest.fixture
def affinities() -> torch.Tensor:
    pairs = node_pairs(ROWS, COLUMNS, 5)
    return torch.rand(pairs.shape[1], generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05


def dense_power(affinities: torch.Tensor, *, beta: float, steps: int) -> np.ndarray:
    """T^steps as PSA has it, in double precision: a full matrix, squared."""
    nodes = ROWS * COLUMNS
    matrix = np.eye(nodes)
    for (first, second), value in zip(node_pairs(ROWS, COLUMNS, 5).T.tolist(), affinities.tolist(), strict=True):
        matrix[first, second] = matrix[second, first] = value**beta
    return np.linalg.matrix_power(matrix / matrix.sum(axis=1, keepdims=True), steps)


@pytest.mark.parametrize("doublings", [0, 1, 3, 6, 8])
@pytest.mark.parametrize("walk", WALKS)
def test_the_walk_equals_the_dense_power(walk: Walk, affinities: torch.Tensor, doublings: int) -> None:
    scores = torch.rand(3, ROWS * COLUMNS, generator=torch.Generator().manual_seed(1))
    transitions = transition_matrix(affinities, (ROWS, COLUMNS), 5, beta=8)
    walked = walk(scores, transitions, doublings=doublings)
    expected = scores.double().numpy() @ dense_power(affinities, beta=8, steps=2**doublings).T
    np.testing.assert_allclose(walked.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("walk", WALKS)
def test_what_is_equal_everywhere_stays_and_nothing_leaves_its_range(walk: Walk, affinities: torch.Tensor) -> None:
    transitions = transition_matrix(affinities, (ROWS, COLUMNS), 5, beta=8)
    scores = torch.rand(2, ROWS * COLUMNS, generator=torch.Generator().manual_seed(2))
    scores[0] = 0.4
    walked = walk(scores, transitions, doublings=6)
    np.testing.assert_allclose(walked[0], 0.4, rtol=1e-5)
    assert scores[1].min() <= walked[1].min() <= walked[1].max() <= scores[1].max()


@pytest.mark.parametrize("walk", WALKS)
def test_without_affinity_nothing_moves(walk: Walk) -> None:
    pairs = node_pairs(3, 4, 2)
    transitions = transition_matrix(torch.zeros(pairs.shape[1]), (3, 4), 2, beta=8)
    scores = torch.rand(2, 12)
    torch.testing.assert_close(walk(scores, transitions, doublings=4), scores)


@pytest.mark.parametrize("walk", WALKS)
def test_a_wall_of_unlike_nodes_stops_the_walk(walk: Walk) -> None:
    # A row of six nodes; no affinity between the third and the fourth. 1 on the left never comes to the right.
    pairs = node_pairs(1, 6, 2)
    affinities = torch.tensor([0.0 if first == 2 else 1.0 for first in pairs[0].tolist()])
    transitions = transition_matrix(affinities, (1, 6), 2, beta=1)
    walked = walk(torch.tensor([[1.0, 0, 0, 0, 0, 0]]), transitions, doublings=9)
    # The walk ends where each node holds its share of the links: 2, 3 and 2 of 7 with the nodes' own, of the score 2/7.
    np.testing.assert_allclose(walked, [[2 / 7, 2 / 7, 2 / 7, 0, 0, 0]], atol=1e-5)


def test_attention_walks_as_its_power() -> None:
    attention = torch.rand(20, 20, generator=torch.Generator().manual_seed(3)) + 0.01
    transitions = dense_transitions(attention, beta=2)
    squared = attention.double().numpy() ** 2
    expected = np.linalg.matrix_power(squared / squared.sum(axis=1, keepdims=True), 8)
    walked = random_walk(torch.eye(20), transitions, doublings=3)
    np.testing.assert_allclose(walked.numpy().T, expected, rtol=1e-4)


def test_two_nodes_that_swap_their_scores_keep_swapping() -> None:
    # The eigenvalue -1: the other end of the interval on which the Chebyshev series holds.
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    walked = reversible_walk(torch.tensor([[1.0, 0.0]]), swap, doublings=8)
    torch.testing.assert_close(walked, torch.tensor([[1.0, 0.0]]))


@pytest.mark.parametrize("steps", [1, 2, 16, 64, 256, 4096])
def test_the_chebyshev_series_is_the_power(steps: int) -> None:
    x = np.linspace(-1, 1, 4001)
    np.testing.assert_allclose(chebval(x, chebyshev_weights(steps)), x**steps, atol=2e-9)


def test_long_walks_need_few_products() -> None:
    assert [len(chebyshev_weights(2**doublings)) for doublings in (2, 6, 8)] == [5, 47, 97]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_walks_the_same_way(affinities: torch.Tensor) -> None:
    transitions = transition_matrix(affinities.cuda(), (ROWS, COLUMNS), 5, beta=8)
    scores = torch.rand(3, ROWS * COLUMNS)
    walked = reversible_walk(scores.cuda(), transitions, doublings=8).cpu()
    expected = scores.double().numpy() @ dense_power(affinities, beta=8, steps=256).T
    np.testing.assert_allclose(walked.numpy(), expected, rtol=1e-5)
