"""Masks that most of a split's tags, or their own palette, contradict: an image program renumbered them, they are
binary, or their classes are in another order. Scores against such masks would be wrong without a word."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stages.data.mask_readings import Seen, fit_values, palette_readings
from stages.data.mask_sights import MaskSight
from stages.errors import DataError
from stages.images import BACKGROUND, BACKGROUND_NAME, IGNORE
from stages.index import Record

LEAST = 3  # masks that speak for another reading; fewer are a slip
LEAST_SHARE = 0.005  # of the masks, at least so many must
SURE = 9  # masks that speak for another reading for each that speaks for the tags
FITTING = 0.8  # share of the masks that another order of the classes must fit
LEAST_ENCLOSED = 5  # masks whose class surrounds the background
ENCLOSED, INWARD = 1 / 3, 3 / 4  # shares of the masks whose background is surrounded, and away from the borders
EVERYWHERE, UNTAGGED = 0.9, 0.25  # shares of the masks that show one class, and of these that lack its tag
MOST_NAMES = 30  # classes that are spelled out
LEAST_GROUP = 0.05  # share of a split's masks that a folder needs to be judged by itself
SHOWN = 12  # values of a reading that are spelled out


def find_contradiction(records: Sequence[Record], sights: Mapping[int, MaskSight], classes: Sequence[str]) -> str:
    """What most masks of a split contradict, with counts, an example and the likely cause; empty if they agree.

    sights: the masks by their record's position. Masks of one folder are judged by themselves, as some may be of
    another source. At least 3 masks must speak against the tags or the palette, and 9 times as many as speak for them:
    of VOC's 12,031 masks one shows an untagged class, and 817 lack a tagged one.
    """
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    folders: dict[Path, list[Seen]] = {}
    for position, sight in sorted(sights.items()):
        if set(records[position].labels) <= set(numbers):
            tags = frozenset(numbers[name] for name in records[position].labels)
            folders.setdefault(sight.path.parent, []).append(Seen(sight, tags))
    everything = [mask for masks in folders.values() for mask in masks]
    groups = [masks for masks in folders.values() if len(masks) >= LEAST_GROUP * len(everything)]
    for masks in (*groups, everything):
        for find in RULES:
            if text := find(masks, classes):
                return text
    return ""


def refuse_contradiction(text: str, *, source: Path) -> None:
    """Raises DataError if there is one: it is of the split, so no image can be left out for it."""
    if text:
        raise DataError(f"{source}: {text}")


def untagged_note(records: Sequence[Record], sights: Mapping[int, MaskSight], classes: Sequence[str]) -> str:
    """Says if most masks show more than their tags: the tags are incomplete, as they may be on purpose."""
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    masks = [
        (records[place].id, Seen(sight, frozenset(numbers[name] for name in records[place].labels)))
        for place, sight in sorted(sights.items())
        if records[place].labels and set(records[place].labels) <= set(numbers)
    ]
    more = [(name, mask) for name, mask in masks if mask.shown() > mask.tags]
    if len(more) < LEAST or len(more) <= len(masks) / 2:
        return ""
    name, mask = more[0]
    label = _name(min(mask.shown() - mask.tags), classes)
    return (
        f"{len(more)} of {len(masks)} masks show a class that their image is not tagged with, e.g. {name}: {label};"
        " whatever is not tagged is learned as background"
    )


def renumbered_palette(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Values whose colours are those of other classes, where the tags do not say that the values are right."""
    readings = palette_readings(masks, len(classes))
    known = [(mask, reading) for mask, reading in zip(masks, readings, strict=True) if reading is not None]
    against = []
    kept = 0
    for mask, reading in known:
        by_colour, by_value = mask.fits(reading), mask.fits()
        exchanged = any((value == BACKGROUND) != (label == BACKGROUND) for value, label in reading.items())
        if (by_colour and not by_value) or (by_colour == by_value and exchanged):
            against.append((mask, reading))
        kept += by_value and not by_colour
    if not _enough(len(against), kept, len(known)) or len(against) <= len(known) / 2:
        return ""
    mask, reading = against[0]
    same = all(reading.get(value, label) == label for _, other in against for value, label in other.items())
    return (
        f"the palettes of {len(against)} of {len(known)} masks give the values other meanings, e.g."
        f" {mask.sight.path}: {_moved(reading, classes)}"
        f"{'' if same else '; the numbers differ from file to file'}. An image program has renumbered the colours, and"
        f" values count here, not colours: give each colour its own value again ({_order(classes)}), or use the"
        " original masks"
    )


def other_order(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Values that are other classes in all masks, as the tags say."""
    tagged = [mask for mask in masks if mask.tags]
    if sum(not mask.fits() for mask in tagged) < LEAST:
        return ""
    reading = fit_values(tagged, len(classes))
    # Only if background is another value, too, can a mask show more or less than its tags and be wrong as a whole.
    whole = reading.get(BACKGROUND) != BACKGROUND
    wrong = [mask for mask in tagged if (not mask.fits() if whole else mask.contradicts())]
    mended = [mask for mask in wrong if mask.fits(reading)]
    broken = sum(mask.fits() and mask.contradicts(reading) for mask in tagged)
    fitting = sum(mask.fits(reading) for mask in tagged)
    if not _enough(len(mended), broken, len(tagged)) or fitting < FITTING * len(tagged):
        return ""
    moved = {value: label for value, label in reading.items() if value != label}
    order = ""
    if not {BACKGROUND, IGNORE} & set(moved) and set(moved) == set(moved.values()) and len(classes) <= MOST_NAMES:
        names = [classes[reading.get(place, place) - 1] for place in range(1, len(classes) + 1)]
        order = f" or, if all masks are so, write data.classes: [{', '.join(names)}]"
    return (
        f"{_opposed(wrong, tagged, classes)}. Likely cause: their classes are in another order; of {len(tagged)} masks,"
        f" {fitting} fit the tags if {_moved(reading, classes)}. Renumber the masks ({_order(classes)}){order}"
    )


def one_value(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """One and the same class in all masks, whatever the tags: a binary mask, 0 and 1."""
    tagged = [mask for mask in masks if mask.tags]
    wrong = [mask for mask in tagged if mask.contradicts()]
    shown = {value for mask in masks for value in mask.shown()}
    lacking = [mask for mask in tagged if mask.tags - shown]
    if len(shown) != 1 or not _enough(len(lacking), 0, len(tagged)) or len(wrong) < max(1, len(lacking) / SURE):
        return ""
    value, example = shown.pop(), wrong[0]
    return (
        f"no mask shows another class than {_name(value, classes)}, but {len(lacking)} of {len(tagged)} images are"
        f" tagged with others, e.g. {example.sight.path}: {_names(example.tags, classes)}. Likely cause: binary masks."
        f" {_draw(classes)}"
    )


def class_everywhere(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """A class in nearly all masks, also where it is not tagged: the background, or each image's first object."""
    tagged = [mask for mask in masks if mask.tags]
    for value in range(1, len(classes) + 1):
        showing = [mask for mask in tagged if value in mask.shown()]
        without = [mask for mask in showing if value not in mask.tags]
        enough = len(without) >= max(LEAST, UNTAGGED * len(showing))
        if enough and len(showing) >= EVERYWHERE * len(tagged):
            outward = sum(BACKGROUND in mask.sight.values and not mask.sight.inward for mask in showing)
            cause = "the values number the objects" if outward > len(showing) / 2 else "it is the background"
            return (
                f"{len(showing)} of {len(tagged)} masks show the value {_name(value, classes)}, but {len(without)} of"
                f" these images are not tagged with it, e.g. {without[0].sight.path}. Likely cause: {cause} in these"
                f" masks. Renumber them ({_order(classes)}), or tag each image with all classes that it shows"
            )
    return ""


def no_class(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Masks without any class: binary, 0 and 255, or not drawn yet."""
    tagged = [mask for mask in masks if mask.tags]
    empty = [mask for mask in tagged if not mask.shown()]
    if not tagged and not any(mask.shown() for mask in masks):
        tagged = list(masks)
        empty = [mask for mask in masks if IGNORE in mask.sight.values]
    if len(empty) < LEAST or len(empty) <= len(tagged) / 2:
        return ""
    binary = [mask for mask in empty if IGNORE in mask.sight.values]
    example = (binary or empty)[0]
    tags = f", tagged {_names(example.tags, classes)}" if example.tags else ""
    values = ", ".join(map(str, example.sight.values))
    text = (
        f"{len(empty)} of {len(tagged)} masks show no class, e.g. {example.sight.path}{tags}: its values are {values}"
    )
    if len(binary) > len(empty) / 2:
        return f"{text}. Likely cause: binary masks, but {IGNORE} is ignored when scored. {_draw(classes)}"
    return f"{text}. Likely cause: they are not drawn yet. Leave out masks that are not, or {_draw(classes, start='')}"


def exchanged(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Objects of value 0 on a background that has the value of a class."""
    both = [mask for mask in masks if mask.shown() and BACKGROUND in mask.sight.values]
    around = [mask for mask in both if mask.sight.around]
    # One class may fill images to all their borders: grass, water.
    several = len({mask.sight.around for mask in around}) > 1
    inward = sum(mask.sight.inward for mask in both)
    if not several or len(around) < max(LEAST_ENCLOSED, ENCLOSED * len(both)) or inward < INWARD * len(both):
        return ""
    example = around[0].sight
    return (
        f"in {len(around)} of {len(both)} masks a class surrounds the background along every border, e.g."
        f" {example.path}: {_name(example.around, classes)}. Likely cause: object and background are exchanged. Write 0"
        f" for background ({_order(classes)})"
    )


def other_objects(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Masks that contradict their tags in no one way."""
    tagged = [mask for mask in masks if mask.tags]
    wrong = [mask for mask in tagged if mask.contradicts()]
    if len(wrong) < LEAST or len(wrong) <= len(tagged) / 2:
        return ""
    counted = all(mask.shown() == set(range(1, len(mask.shown()) + 1)) for mask in wrong)
    cause = "the values number an image's objects, not their classes" if counted else "the masks are of other images"
    return f"{_opposed(wrong, tagged, classes)}, and no other order fits. Likely cause: {cause}. {_draw(classes)}"


RULES: tuple[Callable[[Sequence[Seen], Sequence[str]], str], ...] = (
    *(renumbered_palette, other_order, one_value, no_class, exchanged, class_everywhere, other_objects),
)


def _enough(against: int, kept: int, masks: int) -> bool:
    return against >= max(LEAST, LEAST_SHARE * masks) and against >= SURE * kept


def _opposed(wrong: Sequence[Seen], tagged: Sequence[Seen], classes: Sequence[str]) -> str:
    example = wrong[0]
    return (
        f"{len(wrong)} of {len(tagged)} masks show other classes than their images' tags, e.g. {example.sight.path}:"
        f" shows {_names(example.shown(), classes)}, tagged {_names(example.tags, classes)}"
    )


def _draw(classes: Sequence[str], start: str = "W") -> str:
    return f"{start or 'w'}rite each object's class ({_order(classes)}), or score nothing and name no masks"


def _order(classes: Sequence[str]) -> str:
    return f"0 {BACKGROUND_NAME}, 1 {classes[0]}, 2 {classes[1]}{', ...' if len(classes) > 2 else ''}"


def _moved(reading: Mapping[int, int], classes: Sequence[str]) -> str:
    """The values that mean something else than they are, in words."""
    moved = [f"{value} is {_name(label, classes)}" for value, label in sorted(reading.items()) if value != label]
    return ", ".join(moved[:SHOWN]) + (f", and {len(moved) - SHOWN} more" if len(moved) > SHOWN else "")


def _names(values: frozenset[int], classes: Sequence[str]) -> str:
    return ", ".join(_name(value, classes) for value in sorted(values)[:SHOWN]) or "nothing"


def _name(value: int, classes: Sequence[str]) -> str:
    if value == BACKGROUND:
        return BACKGROUND_NAME
    if value == IGNORE:
        return "ignored"
    return f"{value} ({classes[value - 1]})" if value <= len(classes) else f"{value} (no class)"
