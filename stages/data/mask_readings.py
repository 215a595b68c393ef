"""Other readings of a split's masks: which class each value, or each colour, would have to be for the tags to fit."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from stages.data.mask_sights import Colour, MaskSight
from stages.images import BACKGROUND, IGNORE, voc_palette

MOST_COLOURS = 300  # more than a legible set of masks has

Symbol = TypeVar("Symbol", bound=Hashable)


@dataclass(frozen=True)
class Seen:
    """A mask and the mask values of its image's tags."""

    sight: MaskSight
    tags: frozenset[int]

    def shown(self, reading: Mapping[int, int] | None = None) -> frozenset[int]:
        """The classes that it shows; reading: what its values mean, if not what they are."""
        values = self.sight.values if reading is None else tuple(reading[value] for value in self.sight.values)
        return frozenset(values) - {BACKGROUND, IGNORE}

    def fits(self, reading: Mapping[int, int] | None = None) -> bool:
        """Whether it shows some of its tags, and nothing else. A small tagged object need not show."""
        return bool(self.shown(reading)) and self.shown(reading) <= self.tags

    def contradicts(self, reading: Mapping[int, int] | None = None) -> bool:
        """Whether it shows a class that is not tagged in the place of one that is."""
        shown = self.shown(reading)
        return bool(shown - self.tags and self.tags - shown)


def fit_values(masks: Sequence[Seen], classes: int) -> dict[int, int]:
    """The label (class, 0 or 255) of each value that fits the tags best; where several do, the value itself."""
    values = sorted({value for mask in masks for value in mask.sight.values})
    return _fit([mask.sight.values for mask in masks], values, masks, classes, prior={value: value for value in values})


def palette_readings(masks: Sequence[Seen], classes: int) -> list[dict[int, int] | None]:
    """What the values of each mask mean by their colours; None if the colours do not tell.

    In VOC's palette a colour has a class of its own. In another palette, colours tell only if they have different
    values in different masks: then their classes are those that fit the tags best.
    """
    labels = [*range(classes + 1), IGNORE]
    palette = np.array(voc_palette()).reshape(256, 3)
    meaning: dict[Colour, int] = {
        (int(r), int(g), int(b)): v for v, (r, g, b) in zip(labels, palette[labels], strict=True)
    }
    coloured = [mask for mask in masks if mask.sight.colours]
    if any(set(_without_ignored(mask)) - set(meaning) for mask in coloured):
        meaning = _fit_colours(coloured, classes)
    return [_read(mask, meaning) for mask in masks]


def _fit_colours(masks: Sequence[Seen], classes: int) -> dict[Colour, int]:
    values: dict[Colour, set[int]] = {}
    for mask in masks:
        for value, colour in zip(mask.sight.values, mask.sight.colours, strict=True):
            values.setdefault(colour, set()).add(value)
    if len(values) > MOST_COLOURS or all(len(found) == 1 for found in values.values()):
        return {}
    tagged = [mask for mask in masks if mask.tags]
    return _fit([mask.sight.colours for mask in tagged], sorted(values), tagged, classes, prior={(0, 0, 0): BACKGROUND})


def _without_ignored(mask: Seen) -> list[Colour]:
    """The colours of a mask's values but 255, which tools leave white, black or whatever the palette ends with."""
    pairs = zip(mask.sight.values, mask.sight.colours, strict=True)
    return [colour for value, colour in pairs if value != IGNORE]


def _read(mask: Seen, meaning: Mapping[Colour, int]) -> dict[int, int] | None:
    if not mask.sight.colours:
        return None
    colours = _without_ignored(mask)
    # A palette that ends early repeats its last colour, or black.
    if not colours or len(set(colours)) < len(colours) or not set(colours) <= set(meaning):
        return None
    pairs = zip(mask.sight.values, mask.sight.colours, strict=True)
    return {value: IGNORE if value == IGNORE else meaning[colour] for value, colour in pairs}


def _fit(
    shown: Sequence[Sequence[Symbol]],
    symbols: Sequence[Symbol],
    masks: Sequence[Seen],
    classes: int,
    *,
    prior: Mapping[Symbol, int],
) -> dict[Symbol, int]:
    """The one-to-one assignment of symbols to background, classes and 255 under which a symbol is shown where its class
    is tagged, in as many masks as possible. prior: assignments that win a tie."""
    place = {symbol: column for column, symbol in enumerate(symbols)}
    seen = np.zeros((len(masks), len(symbols)))
    tagged = np.zeros((len(masks), classes + 1))
    tagged[:, BACKGROUND] = 1  # shown by nearly all masks
    for row, (own, mask) in enumerate(zip(shown, masks, strict=True)):
        seen[row, [place[symbol] for symbol in own]] = 1
        tagged[row, sorted(mask.tags)] = 1
    agreement = seen.T @ tagged + (1 - seen).T @ (1 - tagged)
    for symbol, label in prior.items():
        if symbol in place and label <= classes:
            # Ignored borders may be in more masks than background is, which fills nearly all.
            agreement[place[symbol], label] += len(masks) / 4 if label == BACKGROUND else 0.5
    # Each symbol may also be ignored: as good as a class that agrees by chance, and for 255 nearly as good as any.
    ignored = np.diag([len(masks) * (0.9 if prior.get(symbol) == IGNORE else 0.5) for symbol in symbols])
    rows, columns = linear_sum_assignment(np.hstack([agreement, ignored]), maximize=True)
    labels = [int(column) if column <= classes else IGNORE for column in columns]
    return {symbols[row]: label for row, label in zip(rows, labels, strict=True)}
