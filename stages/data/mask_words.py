"""The words in which contradictions are told: values with their classes, an example, and the cure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from stages.data.mask_readings import Seen
from stages.images import BACKGROUND, BACKGROUND_NAME, IGNORE

SHOWN = 12  # values of a reading that are spelled out


def opposed(wrong: Sequence[Seen], tagged: Sequence[Seen], classes: Sequence[str]) -> str:
    example = wrong[0]
    return (
        f"{len(wrong)} of {len(tagged)} masks show other classes than their images' tags, e.g. {example.sight.name}:"
        f" shows {names_of(example.shown(), classes)}, tagged {names_of(example.tags, classes)}"
    )


def absent(value: int, lacking: Sequence[Seen], tagged: int, classes: Sequence[str]) -> str:
    """Says that no mask shows a class, and which value most of the masks that should show it have instead."""
    instead = Counter(other for mask in lacking for other in mask.shown() - mask.tags).most_common(1)
    place = instead and instead[0][1] > len(lacking) / 2
    return (
        f"no mask shows {name_of(value, classes)}, but {len(lacking)} of {tagged} images are tagged with it, e.g."
        f" {lacking[0].sight.name}"
        f"{f'; {instead[0][1]} of them show {name_of(instead[0][0], classes)} instead' if place else ''}"
    )


def draw(classes: Sequence[str], start: str = "W") -> str:
    return f"{start or 'w'}rite each object's class ({order_of(classes)}), or score nothing and name no masks"


def order_of(classes: Sequence[str]) -> str:
    return f"0 {BACKGROUND_NAME}, 1 {classes[0]}, 2 {classes[1]}{', ...' if len(classes) > 2 else ''}"


def moved_values(reading: Mapping[int, int], classes: Sequence[str]) -> str:
    """The values that mean something else than they are, in words."""
    moved = [f"{value} is {name_of(label, classes)}" for value, label in sorted(reading.items()) if value != label]
    return ", ".join(moved[:SHOWN]) + (f", and {len(moved) - SHOWN} more" if len(moved) > SHOWN else "")


def names_of(values: frozenset[int], classes: Sequence[str]) -> str:
    return ", ".join(name_of(value, classes) for value in sorted(values)[:SHOWN]) or "nothing"


def name_of(value: int, classes: Sequence[str]) -> str:
    if value == BACKGROUND:
        return BACKGROUND_NAME
    if value == IGNORE:
        return "ignored"
    return f"{value} ({classes[value - 1]})" if value <= len(classes) else f"{value} (no class)"
