"""Why masks by others fit no encoding of COCO's categories: the likely cause, for the message."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.data.mask_readings import Seen, fit_values
from stages.data.mask_sights import MaskSight
from stages.images import BACKGROUND, IGNORE

FIT = 0.9  # share of the masks with tags that fit them under another reading
MOST_NAMED = 5  # values in a message


def likely_cause(values: Sequence[Sequence[int]], tags: Sequence[frozenset[int]], names: Mapping[int, str]) -> str:
    """Empty if there is no likely one.

    values: those that each mask shows, ascending.  tags: the mask values of the classes of each mask's image.  names:
    of the classes, by mask value.
    """
    shown = {value for own in values for value in own} - {BACKGROUND}
    if not shown:
        return "the masks are empty"
    if shown == {IGNORE} or (len(shown - {IGNORE}) == 1 and len(names) > 1):
        told = " and ".join(map(str, sorted(shown)))
        return f"binary masks: beside 0 they show {told} alone, which does not tell the classes"
    masks = [
        Seen(MaskSight(Path(), tuple(own), (), BACKGROUND, False, frozenset(), False, ""), known)
        for own, known in zip(values, tags, strict=True)
        if known
    ]
    reading = fit_values(masks, max(names))
    if not masks or sum(mask.fits(reading) for mask in masks) < FIT * len(masks):
        return ""
    meant = [f"{value} is {names[label]!r}" for value, label in sorted(reading.items()) if label in names]
    more = ", ..." if len(meant) > MOST_NAMED else ""
    return f"other numbers than any encoding has; by the JSON, {', '.join(meant[:MOST_NAMED])}{more}"
