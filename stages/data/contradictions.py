"""Masks that many of a split's tags, or their own palette, contradict: an image program renumbered them, they are
binary, or their classes are in another order. Scores against such masks would be wrong without a word."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.data.mask_readings import Seen
from stages.data.mask_rules import LEAST, RULES, RULES_OF_OUTLINES, lacking_classes, surrounded
from stages.data.mask_sights import MaskSight
from stages.data.mask_words import absent, name_of, opposed
from stages.errors import DataError
from stages.images import IGNORE
from stages.index import Record

LEAST_GROUP = 0.05  # share of a split's masks that a folder needs to be judged by itself
NOTED = 0.01  # share of the masks that contradict their tags
EMPTY = 0.2  # share of the masks that show no class
NAMED = 5  # masks that a note names


def find_contradiction(
    records: Sequence[Record], sights: Mapping[int, MaskSight], classes: Sequence[str], *, outlines: bool = False
) -> str:
    """What many masks of a split contradict, with counts, an example and the likely cause; empty if they agree.

    sights: the masks by their record's position. Masks of one folder are judged by themselves, as some may be of
    another source. At least 3 masks must speak against the tags or the palette: of VOC's 12,031 masks one shows an
    untagged class, and 817 lack a tagged one.  outlines: whether tagmask drew the masks from what gives the tags.
    """
    folders: dict[Path, list[Seen]] = {}
    for mask in _seen(records, sights, classes):
        folders.setdefault(mask.sight.path.parent, []).append(mask)
    everything = [mask for masks in folders.values() for mask in masks]
    groups = [masks for masks in folders.values() if len(masks) >= LEAST_GROUP * len(everything)]
    for masks in (*groups, everything):
        for find in RULES_OF_OUTLINES if outlines else RULES:
            if text := find(masks, classes):
                return text
    return ""


def refuse_contradiction(text: str, *, source: Path) -> None:
    """Raises DataError if there is one: it is of the split, so no image can be left out for it."""
    if text:
        raise DataError(f"{source}: {text}")


def find_notes(records: Sequence[Record], sights: Mapping[int, MaskSight], classes: Sequence[str]) -> tuple[str, ...]:
    """What is worth a look in masks that nothing contradicts: it may be meant."""
    masks = _seen(records, sights, classes)
    tagged = [mask for mask in masks if mask.tags]
    found = (
        _untagged(tagged, classes),
        _slips(tagged, classes),
        _undrawn(tagged, classes),
        _empty(tagged),
        _surrounded(masks, classes),
    )
    return tuple(filter(None, found))


def _seen(records: Sequence[Record], sights: Mapping[int, MaskSight], classes: Sequence[str]) -> list[Seen]:
    """The masks whose tags are all classes, with the values of their tags."""
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    return [
        Seen(sight, frozenset(numbers[name] for name in records[place].labels))
        for place, sight in sorted(sights.items())
        if set(records[place].labels) <= set(numbers)
    ]


def _untagged(tagged: Sequence[Seen], classes: Sequence[str]) -> str:
    """Most masks show more than their tags: the tags are incomplete, as they may be on purpose."""
    more = [mask for mask in tagged if mask.shown() > mask.tags]
    if len(more) < LEAST or len(more) <= len(tagged) / 2:
        return ""
    label = name_of(min(more[0].shown() - more[0].tags), classes)
    return (
        f"{len(more)} of {len(tagged)} masks show a class that their image is not tagged with, e.g."
        f" {more[0].sight.name}: {label}; whatever is not tagged is learned as background"
    )


def _slips(tagged: Sequence[Seen], classes: Sequence[str]) -> str:
    wrong = [mask for mask in tagged if mask.contradicts()]
    if not wrong or len(wrong) < NOTED * len(tagged):
        return ""
    return f"{opposed(wrong, tagged, classes)}{_others(wrong)}; correct the tags or the masks"


def _undrawn(tagged: Sequence[Seen], classes: Sequence[str]) -> str:
    for value, lacking, expected in lacking_classes(tagged):
        if expected >= LEAST:
            return f"{absent(value, lacking, len(tagged), classes)}; it has no score in this split"
    return ""


def _empty(tagged: Sequence[Seen]) -> str:
    empty = [mask for mask in tagged if not mask.shown() and IGNORE not in mask.sight.values]
    if len(empty) < LEAST or len(empty) <= EMPTY * len(tagged):
        return ""
    return (
        f"{len(empty)} of {len(tagged)} masks of tagged images are empty, e.g. {empty[0].sight.name}{_others(empty)};"
        " objects there count as errors when scored: name no mask where none is drawn yet"
    )


def _surrounded(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    found = surrounded(masks, classes)
    return (
        f"{found}; if object and background are exchanged there, scores are wrong: look at the sheets" if found else ""
    )


def _others(masks: Sequence[Seen]) -> str:
    """The names of further masks."""
    names = [mask.sight.path.name for mask in masks[1:NAMED]]
    more = f" and {len(masks) - NAMED} more" if len(masks) > NAMED else ""
    return f" (also {', '.join(names)}{more})" if names else ""
