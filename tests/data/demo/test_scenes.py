"""The plan of a split is even: classes, cut-outs, backgrounds and numbers of objects."""

from collections import Counter

import numpy as np
import pytest

from stages.data.demo.scenes import Deck, plan_pictures
from stages.errors import DataError

LABELS = ["a", "b", "a", "c", "b", "c", "c"]


def plan(pictures: int = 60, seed: int = 0, **changes) -> list:
    values = {"classes": ("a", "b", "c"), "backgrounds": 4, "most": 3, **changes}
    return plan_pictures(LABELS, pictures=pictures, rng=np.random.default_rng(seed), **values)


def test_deck_deals_every_card_once_a_round() -> None:
    deck = Deck(5, np.random.default_rng(0))
    cards = [deck.draw() for _ in range(15)]
    assert [sorted(cards[start : start + 5]) for start in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3


def test_deck_passes_over_what_is_out_and_keeps_it() -> None:
    deck = Deck(3, np.random.default_rng(0))
    first = deck.draw()
    rest = [card for card in range(3) if card != first]
    assert deck.draw(without=[rest[0]]) == rest[1]
    assert deck.draw() == rest[0]
    with pytest.raises(ValueError, match="nothing is left"):
        deck.draw(without=[0, 1, 2])


def test_counts_are_even_and_classes_distinct() -> None:
    pictures = plan()
    assert Counter(len(picture.cutouts) for picture in pictures) == {1: 20, 2: 20, 3: 20}
    assert Counter(picture.background for picture in pictures) == {0: 15, 1: 15, 2: 15, 3: 15}
    classes = Counter(LABELS[cutout] for picture in pictures for cutout in picture.cutouts)
    assert classes.total() == 120
    assert max(classes.values()) - min(classes.values()) <= 3
    cutouts = Counter(cutout for picture in pictures for cutout in picture.cutouts)
    assert abs(cutouts[0] - cutouts[2]) <= 1  # the two of class a
    assert all(len({LABELS[cutout] for cutout in picture.cutouts}) == len(picture.cutouts) for picture in pictures)


def test_equal_seeds_give_equal_plans() -> None:
    assert plan(seed=3) == plan(seed=3)
    assert plan(seed=3) != plan(seed=4)


def test_missing_material_is_refused() -> None:
    with pytest.raises(DataError, match="class 'd' has no cut-out"):
        plan(classes=("a", "d"))
    with pytest.raises(DataError, match="no background"):
        plan(backgrounds=0)
