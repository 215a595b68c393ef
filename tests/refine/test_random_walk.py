"""The random walk against the power of the dense matrix, and what a walk keeps."""

import numpy as np
import pytest
import torch

from stages.refine.affinity_pairs import node_pairs
from stages.refine.random_walk import dense_transitions, random_walk, transition_matrix

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


@pytest.mark.parametrize("doublings", [0, 3, 6, 8])
def test_the_walk_equals_the_dense_power(affinities: torch.Tensor, doublings: int) -> None:
    scores = torch.rand(3, ROWS * COLUMNS, generator=torch.Generator().manual_seed(1))
    transitions = transition_matrix(affinities, node_pairs(ROWS, COLUMNS, 5), ROWS * COLUMNS, beta=8)
    walked = random_walk(scores, transitions, doublings=doublings)
    expected = scores.double().numpy() @ dense_power(affinities, beta=8, steps=2**doublings).T
    np.testing.assert_allclose(walked.numpy(), expected, rtol=1e-5)


def test_rows_sum_to_one_and_each_node_keeps_itself(affinities: torch.Tensor) -> None:
    matrix = transition_matrix(affinities, node_pairs(ROWS, COLUMNS, 5), ROWS * COLUMNS, beta=2).to_dense()
    np.testing.assert_allclose(matrix.sum(dim=1), 1, rtol=1e-6)
    assert (matrix.diagonal() > 0).all()


def test_what_is_equal_everywhere_stays_and_nothing_leaves_its_range(affinities: torch.Tensor) -> None:
    transitions = transition_matrix(affinities, node_pairs(ROWS, COLUMNS, 5), ROWS * COLUMNS, beta=8)
    scores = torch.rand(2, ROWS * COLUMNS, generator=torch.Generator().manual_seed(2))
    scores[0] = 0.4
    walked = random_walk(scores, transitions, doublings=6)
    np.testing.assert_allclose(walked[0], 0.4, rtol=1e-5)
    assert scores[1].min() <= walked[1].min() <= walked[1].max() <= scores[1].max()


def test_without_affinity_nothing_moves() -> None:
    pairs = node_pairs(3, 4, 2)
    transitions = transition_matrix(torch.zeros(pairs.shape[1]), pairs, 12, beta=8)
    scores = torch.rand(2, 12)
    torch.testing.assert_close(random_walk(scores, transitions, doublings=4), scores)


def test_a_wall_of_unlike_nodes_stops_the_walk() -> None:
    # A row of six nodes; no affinity between the third and the fourth. 1 on the left never comes to the right.
    pairs = node_pairs(1, 6, 2)
    affinities = torch.tensor([0.0 if first == 2 else 1.0 for first in pairs[0].tolist()])
    transitions = transition_matrix(affinities, pairs, 6, beta=1)
    walked = random_walk(torch.tensor([[1.0, 0, 0, 0, 0, 0]]), transitions, doublings=9)
    # The walk ends where each node holds its share of the links: 2, 3 and 2 of 7 with the nodes' own, of the score 2/7.
    np.testing.assert_allclose(walked, [[2 / 7, 2 / 7, 2 / 7, 0, 0, 0]], atol=1e-5)


def test_attention_walks_as_its_power() -> None:
    attention = torch.rand(20, 20, generator=torch.Generator().manual_seed(3)) + 0.01
    transitions = dense_transitions(attention, beta=2)
    squared = attention.double().numpy() ** 2
    expected = np.linalg.matrix_power(squared / squared.sum(axis=1, keepdims=True), 8)
    walked = random_walk(torch.eye(20), transitions, doublings=3)
    np.testing.assert_allclose(walked.numpy().T, expected, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_walks_the_same_way(affinities: torch.Tensor) -> None:
    pairs = node_pairs(ROWS, COLUMNS, 5).cuda()
    transitions = transition_matrix(affinities.cuda(), pairs, ROWS * COLUMNS, beta=8)
    scores = torch.rand(3, ROWS * COLUMNS)
    walked = random_walk(scores.cuda(), transitions, doublings=8).cpu()
    expected = scores.double().numpy() @ dense_power(affinities, beta=8, steps=256).T
    np.testing.assert_allclose(walked.numpy(), expected, rtol=1e-5)
