"""Transition matrices against a dense matrix filled pair by pair."""

import numpy as np
import pytest
import torch

from stages.refine.affinity_pairs import node_pairs
from stages.refine.transitions import dense_transitions, transition_matrix


@pytest.mark.parametrize(("rows", "columns", "radius"), [(9, 13, 5), (3, 2, 5), (1, 1, 2)])
def test_the_sparse_matrix_equals_one_filled_pair_by_pair(rows: int, columns: int, radius: int) -> None:
    pairs = node_pairs(rows, columns, radius)
    affinities = torch.rand(pairs.shape[1], generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    expected = np.eye(rows * columns)
    for (first, second), value in zip(pairs.T.tolist(), affinities.tolist(), strict=True):
        expected[first, second] = expected[second, first] = value**2
    expected /= expected.sum(axis=1, keepdims=True)
    matrix = transition_matrix(affinities, (rows, columns), radius, beta=2)
    np.testing.assert_allclose(matrix.to_dense(), expected, rtol=1e-6)


def test_rows_of_attention_sum_to_one() -> None:
    attention = torch.rand(20, 20, generator=torch.Generator().manual_seed(3)) + 0.01
    transitions = dense_transitions(attention, beta=2)
    np.testing.assert_allclose(transitions.sum(dim=1), 1, rtol=1e-6)
    np.testing.assert_allclose(transitions[0] / transitions[0, 0], attention[0] ** 2 / attention[0, 0] ** 2, rtol=1e-5)
