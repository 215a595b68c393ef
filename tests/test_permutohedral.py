"""The filter on the permutohedral lattice: against the kernel of all pairs of points, and its properties."""

import numpy as np
import pytest

from stages.errors import SettingsError
from stages.permutohedral import Lattice


def kernel(features):
    """exp(-|f_i - f_j|^2 / 2), divided by the root of its sums on both sides, [n, n]."""
    points = features.T
    weights = np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(axis=2))
    norm = 1 / np.sqrt(weights.sum(axis=1))
    return norm[:, None] * weights * norm


def uniform(dimensions, points, extent):
    return (np.random.default_rng(dimensions).random((dimensions, points)) * extent).astype(np.float32)


@pytest.mark.parametrize(
    ("dimensions", "points", "close"), [(1, 200, 0.03), (2, 400, 0.04), (3, 500, 0.1), (5, 500, 0.1)]
)
def test_it_is_near_the_kernel_of_all_pairs(dimensions, points, close) -> None:
    features = uniform(dimensions, points, 3)
    values = np.random.default_rng(0).random((points, 2), dtype=np.float32)
    expected = kernel(features) @ values
    assert np.abs(Lattice(features)(values) - expected).max() / expected.max() < close
    assert np.abs(Lattice(features)(values) - expected).mean() / expected.mean() < close / 2


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_points_at_one_place_share_their_values_evenly(dimensions) -> None:
    features = np.full((dimensions, 10), 0.7, dtype=np.float32)
    values = np.arange(10, dtype=np.float32)
    np.testing.assert_allclose(Lattice(features)(values), 4.5, rtol=1e-5)


def test_far_points_do_not_hear_of_each_other() -> None:
    near = uniform(3, 50, 2)
    features = np.concatenate([near, near + 100], axis=1)
    values = np.zeros(100, dtype=np.float32)
    values[:50] = 1
    filtered = Lattice(features)(values)
    assert (filtered[:50] > 0).all()
    assert (filtered[50:] == 0).all()


def test_a_blurred_point_has_the_deviation_of_the_kernel() -> None:
    # It depends on where in a simplex the point lies; over all places the variance is the kernel's.
    positions = np.arange(-200, 201, dtype=np.float32)
    variances = []
    for shift in np.arange(0, 60, 2, dtype=np.float32):
        response = Lattice((positions[None] + shift) / 20)((positions == 0).astype(np.float32))
        weights = response / response.sum()
        variances.append((weights * positions**2).sum() - (weights * positions).sum() ** 2)
    assert np.sqrt(np.mean(variances)) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("columns", [1, 2, 3, 8, 13])
def test_columns_are_filtered_each_for_itself(columns) -> None:
    lattice = Lattice(uniform(5, 300, 6))
    values = np.random.default_rng(1).random((300, columns), dtype=np.float32)
    filtered = lattice(values)
    assert filtered.shape == values.shape
    assert filtered.dtype == np.float32
    for column in range(columns):
        np.testing.assert_allclose(filtered[:, column], lattice(values[:, column]), rtol=1e-5)


def test_it_does_not_depend_on_the_order_of_the_points() -> None:
    features, order = uniform(5, 300, 6), np.random.default_rng(2).permutation(300)
    values = np.random.default_rng(3).random(300, dtype=np.float32)
    np.testing.assert_allclose(
        Lattice(features[:, order])(values[order]), Lattice(features)(values)[order], rtol=1e-4, atol=1e-6
    )


def test_points_too_far_apart_to_be_numbered_are_refused() -> None:
    with pytest.raises(SettingsError, match="standard deviations are too small"):
        Lattice(uniform(5, 20, 1e6))
