"""Pairs, their labels and the loss, against brute force over a small grid; sure regions worked by hand."""

import math

import numpy as np
import pytest
import torch

from stages.refine.affinity_pairs import affinity_loss, half_disc, node_pairs, pair_affinities, pair_labels
from stages.refine.sure_regions import sure_labels

ROWS, COLUMNS, RADIUS = 6, 7, 3


def brute_pairs() -> set[tuple[int, int]]:
    nodes = [(row, column) for row in range(ROWS) for column in range(COLUMNS)]
    return {
        (one, other)
        for one, (row, column) in enumerate(nodes)
        for other, (below, beside) in enumerate(nodes)
        if one < other and math.dist((row, column), (below, beside)) < RADIUS
    }


def test_each_near_pair_is_there_once() -> None:
    pairs = [tuple(sorted(pair)) for pair in node_pairs(ROWS, COLUMNS, RADIUS).T.tolist()]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == brute_pairs()


def test_psas_radius_has_34_neighbours_on_one_side() -> None:
    # x^2 + y^2 < 25 holds for 69 points of the grid; without the middle, half of them.
    assert len(half_disc(5)) == 34


def test_a_grid_smaller_than_the_radius_has_its_own_pairs() -> None:
    assert node_pairs(1, 2, 5).tolist() == [[0], [1]]
    assert node_pairs(1, 1, 5).shape == (2, 0)


def test_affinities_are_of_the_mean_distance() -> None:
    features = torch.tensor([[[[0.0, 1.0, 5.0]], [[2.0, 2.0, 0.0]]]])  # two features of three nodes in a row
    expected = [math.exp(-(1 + 0) / 2), math.exp(-(4 + 2) / 2), math.exp(-(5 + 2) / 2)]
    np.testing.assert_allclose(pair_affinities(features, 3)[0], expected, rtol=1e-6)
    assert pair_affinities(features[..., :1], 3).shape == (1, 0)


def gathered(features: torch.Tensor, radius: int) -> torch.Tensor:
    """Affinities as in the equation: both nodes of each pair, gathered."""
    first, second = node_pairs(*features.shape[-2:], radius)
    nodes = features.flatten(2)
    return torch.exp(-(nodes[..., first] - nodes[..., second]).abs().mean(dim=1))


@pytest.mark.parametrize("grid", [(6, 7), (2, 9), (3, 1)])
def test_affinities_and_their_gradients_equal_those_of_gathered_pairs(grid: tuple[int, int]) -> None:
    features = torch.tensor(np.random.default_rng(2).normal(size=(2, 5, *grid)), requires_grad=True)
    regions = torch.tensor(np.random.default_rng(3).choice([0, 1, 2, 255], (2, *grid)))
    losses, gradients = [], []
    for affinities in (pair_affinities(features, 4), gathered(features, 4)):
        loss = affinity_loss(affinities, pair_labels(regions, 4))
        losses.append(loss.item())
        gradients.append(torch.autograd.grad(loss, features)[0])
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    assert gradients[0].abs().max() > 1e-3
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_labels_equal_brute_force() -> None:
    regions = torch.tensor(np.random.default_rng(0).choice([0, 0, 1, 2, 255], ROWS * COLUMNS))
    pairs = node_pairs(ROWS, COLUMNS, RADIUS)
    labels = pair_labels(regions.reshape(ROWS, COLUMNS), RADIUS)
    for place, (one, other) in enumerate(pairs.T.tolist()):
        first, second = int(regions[one]), int(regions[other])
        sure = first != 255 and second != 255
        assert bool(labels.background[place]) == (sure and first == second == 0)
        assert bool(labels.foreground[place]) == (sure and first == second and first > 0)
        assert bool(labels.unlike[place]) == (sure and first != second)


def test_the_loss_equals_brute_force() -> None:
    random = np.random.default_rng(1)
    pairs = node_pairs(ROWS, COLUMNS, RADIUS)
    regions = torch.tensor(random.choice([0, 1, 2, 255], (2, ROWS * COLUMNS)))
    affinities = torch.tensor(random.uniform(0.05, 0.95, (2, pairs.shape[1])))
    terms: dict[str, list[float]] = {"background": [], "foreground": [], "unlike": []}
    for image in range(2):
        for place, (one, other) in enumerate(pairs.T.tolist()):
            first, second, value = int(regions[image, one]), int(regions[image, other]), float(affinities[image, place])
            if 255 in (first, second):
                continue
            if first != second:
                terms["unlike"].append(-math.log(1 - value))
            else:
                terms["foreground" if first else "background"].append(-math.log(value))
    means = {name: sum(values) / len(values) for name, values in terms.items()}
    labels = pair_labels(regions.reshape(2, ROWS, COLUMNS), RADIUS)
    expected = means["background"] / 4 + means["foreground"] / 4 + means["unlike"] / 2
    # The program's 1e-5 in logarithms and counts is all that differs.
    np.testing.assert_allclose(float(affinity_loss(affinities, labels)), expected, rtol=1e-3)


def test_a_kind_of_pair_that_is_missing_costs_nothing() -> None:
    labels = pair_labels(torch.tensor([[1, 1, 255]]), 2)
    loss = affinity_loss(torch.tensor([[0.5, 0.9]]), labels)
    np.testing.assert_allclose(float(loss), math.log(2) / 4, rtol=1e-3)


def test_where_all_is_background_its_pairs_alone_count() -> None:
    labels = pair_labels(torch.zeros(1, 1, 3, dtype=torch.long), 2)
    loss = affinity_loss(torch.tensor([[0.5, 0.25]]), labels)
    np.testing.assert_allclose(float(loss), (math.log(2) + math.log(4)) / 2 / 4, rtol=1e-3)


def test_sure_regions_by_hand() -> None:
    # strong background: what is a class even there; weak background: what is background even there.
    strong = np.array([[3, 0, 0, 3]], dtype=np.uint8)
    weak = np.array([[3, 3, 0, 0]], dtype=np.uint8)
    assert sure_labels(strong, weak).tolist() == [[3, 255, 0, 0]]
