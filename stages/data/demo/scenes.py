"""Which cut-outs go into which picture: even counts of classes, cut-outs and backgrounds, at a fixed seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.errors import DataError


@dataclass(frozen=True)
class Picture:
    """One picture to compose: positions in the split's lists of backgrounds and cut-outs; the classes are distinct."""

    background: int
    cutouts: tuple[int, ...]


class Deck:
    """Draws 0..count-1 evenly: every number once in random order, then again in a new order."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self._count = count
        self._rng = rng
        self._cards: list[int] = []

    def draw(self, without: Sequence[int] = ()) -> int:
        """The next number that is not in `without`; skipped numbers stay on top."""
        if len(set(without)) >= self._count:
            raise ValueError("nothing is left to draw")
        while True:
            for place, card in enumerate(self._cards):
                if card not in without:
                    return self._cards.pop(place)
            self._cards += self._rng.permutation(self._count).tolist()


def plan_pictures(
    labels: Sequence[str],
    *,
    classes: Sequence[str],
    backgrounds: int,
    pictures: int,
    most: int,
    rng: np.random.Generator,
) -> list[Picture]:
    """Plans a split from the class of each of its cut-outs.

    Numbers of objects (1..most), classes, cut-outs of a class and backgrounds are each drawn evenly. Raises DataError
    if a class has no cut-out or the split has no background.
    """
    if not backgrounds:
        raise DataError("demo set: a split has no background; see stages/data/demo/backgrounds.csv")
    of_class = [[place for place, label in enumerate(labels) if label == name] for name in classes]
    for name, places in zip(classes, of_class, strict=True):
        if not places:
            raise DataError(f"demo set: class {name!r} has no cut-out in a split; see stages/data/demo/cutouts.csv")
    numbers, photographs, names = Deck(min(most, len(classes)), rng), Deck(backgrounds, rng), Deck(len(classes), rng)
    decks = [Deck(len(places), rng) for places in of_class]
    plan = []
    for _ in range(pictures):
        chosen: list[int] = []
        for _ in range(numbers.draw() + 1):
            chosen.append(names.draw(without=chosen))
        plan.append(Picture(photographs.draw(), tuple(of_class[name][decks[name].draw()] for name in chosen)))
    return plan
