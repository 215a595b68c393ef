"""Class-aware affinity: Sinkhorn's normalisation, boxes and spreading, by hand and against slow NumPy versions."""

import numpy as np
import torch

from stages.localize.class_affinity import affinity_of, box_mask, sinkhorn, spread


def slow_sinkhorn(attention: np.ndarray, rounds: int) -> np.ndarray:
    found = attention.copy()
    for _ in range(rounds):
        for column in range(found.shape[1]):
            found[:, column] /= found[:, column].sum()
        for row in range(found.shape[0]):
            found[row] /= found[row].sum()
    return found


def test_sinkhorn_makes_rows_and_columns_sum_to_1() -> None:
    attention = torch.rand(2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 3 + 1e-3
    few, many = sinkhorn(attention, 3), sinkhorn(attention, 300)
    for own, expected in zip(few, attention, strict=True):
        np.testing.assert_allclose(own, slow_sinkhorn(expected.numpy(), 3))
    for axis in (1, 2):
        torch.testing.assert_close(many.sum(dim=axis), torch.ones(2, 6, dtype=torch.float64))
    affinity = affinity_of(attention, 3)
    assert torch.equal(affinity, affinity.mT)
    torch.testing.assert_close(affinity[0, 1, 2], (few[0, 1, 2] + few[0, 2, 1]) / 2)


def test_boxes_by_hand() -> None:
    own = np.array(
        [
            [0.0, 0.4, 0.0, 0.0, 0.0, 0.1],
            [0.0, 0.0, 0.9, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.3, 0.0, 0.0, 0.0, 0.5, 0.5],
            [0.0, 0.0, 0.0, 0.0, 0.5, 0.2],
        ]
    )
    # Corners that touch are one region; what only reaches 0.3 is none.
    expected = [
        [0, 1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1],
    ]
    assert box_mask(own, 0.4).astype(int).tolist() == expected
    assert not box_mask(np.zeros((3, 4)), 0.4).any()


def test_a_map_spreads_by_the_power_of_the_affinity_that_is_masked() -> None:
    random = np.random.default_rng(0)
    maps = random.random((2, 3, 4)) ** 4
    maps /= maps.max(axis=(1, 2), keepdims=True)
    affinity = random.random((12, 12))
    affinity = (affinity + affinity.T) / 2
    found = spread(torch.from_numpy(maps), torch.from_numpy(affinity), threshold=0.6, steps=2)
    for own, result in zip(maps, found.numpy(), strict=True):
        masked = np.linalg.matrix_power(affinity, 2) * box_mask(own, 0.6).reshape(1, -1)  # of columns
        np.testing.assert_allclose(result.reshape(-1), masked @ own.reshape(-1))
