"""Rules that find in which way most masks of a split contradict its tags, or their own palettes. Each takes the masks
and the classes, and gives what is wrong with an example, the likely cause and the cure; an empty text if it is not so.
"""

from collections.abc import Callable, Iterator, Sequence

from stages.data.mask_readings import Seen, fit_values, palette_readings
from stages.data.mask_words import absent, draw, moved_values, name_of, names_of, opposed, order_of
from stages.images import BACKGROUND, IGNORE

LEAST = 3  # masks that speak for another reading; fewer are a slip
LEAST_SHARE = 0.005  # of the masks, at least so many must
SURE = 9  # masks that speak for another reading for each that speaks for the tags
FITTING = 0.8  # share of the masks that another order of the classes must fit
LEAST_ENCLOSED = 5  # masks whose class surrounds the background
ENCLOSED, INWARD = 1 / 3, 3 / 4  # shares of the masks whose background is surrounded, and away from the borders
EVERYWHERE, UNTAGGED = 0.9, 0.25  # shares of the masks that show one class, and of these that lack its tag
NEARLY_ALL = 0.9  # share of the masks that are empty, if none is drawn yet
SLIPS, SLIPS_OF_FEW, FEW = (
    0.05,
    0.1,
    100,
)  # shares of the masks that may contradict their tags; of so few masks or fewer
NEVER, NEVER_SHARE = 10, 0.01  # images, and share of them, tagged with a class that no mask shows
NEVER_OF_MOST = 5  # such images, if they are more than half of all
MOST_NAMES = 30  # classes that are spelled out


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
    if not enough(len(against), kept, len(known)) or len(against) <= len(known) / 2:
        return ""
    mask, reading = against[0]
    same = all(reading.get(value, label) == label for _, other in against for value, label in other.items())
    return (
        f"the palettes of {len(against)} of {len(known)} masks give the values other meanings, e.g."
        f" {mask.sight.name}: {moved_values(reading, classes)}"
        f"{'' if same else '; the numbers differ from file to file'}. An image program has renumbered the colours, and"
        f" values count here, not colours: give each colour its own value again ({order_of(classes)}), or use the"
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
    if not enough(len(mended), broken, len(tagged)) or fitting < FITTING * len(tagged):
        return ""
    moved = {value: label for value, label in reading.items() if value != label}
    order = ""
    if not {BACKGROUND, IGNORE} & set(moved) and set(moved) == set(moved.values()) and len(classes) <= MOST_NAMES:
        names = [classes[reading.get(place, place) - 1] for place in range(1, len(classes) + 1)]
        order = f" or, if all masks are so, write data.classes: [{', '.join(names)}]"
    return (
        f"{opposed(wrong, tagged, classes)}. Likely cause: their classes are in another order; of {len(tagged)} masks,"
        f" {fitting} fit the tags if {moved_values(reading, classes)}. Renumber the masks ({order_of(classes)}){order}"
    )


def one_value(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """One and the same class in all masks, whatever the tags: a binary mask, 0 and 1."""
    tagged = [mask for mask in masks if mask.tags]
    wrong = [mask for mask in tagged if mask.contradicts()]
    shown = {value for mask in masks for value in mask.shown()}
    lacking = [mask for mask in tagged if mask.tags - shown]
    if len(shown) != 1 or not enough(len(lacking), 0, len(tagged)) or len(wrong) < max(1, len(lacking) / SURE):
        return ""
    value, example = shown.pop(), wrong[0]
    return (
        f"no mask shows another class than {name_of(value, classes)}, but {len(lacking)} of {len(tagged)} images are"
        f" tagged with others, e.g. {example.sight.name}: {names_of(example.tags, classes)}. Likely cause: binary"
        f" masks. {draw(classes)}"
    )


def class_everywhere(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """A class in nearly all masks, also where it is not tagged: the background, or each image's first object."""
    tagged = [mask for mask in masks if mask.tags]
    for value in range(1, len(classes) + 1):
        showing = [mask for mask in tagged if value in mask.shown()]
        without = [mask for mask in showing if value not in mask.tags]
        # Masks that show all their tags, and background besides, may have incomplete tags.
        against = sum(mask.contradicts() or BACKGROUND not in mask.sight.values for mask in without)
        many = len(without) >= max(LEAST, UNTAGGED * len(showing)) and against >= UNTAGGED * len(without)
        if many and len(showing) >= EVERYWHERE * len(tagged):
            outward = sum(BACKGROUND in mask.sight.values and not mask.sight.inward for mask in showing)
            cause = "the values number the objects" if outward > len(showing) / 2 else "it is the background"
            return (
                f"{len(showing)} of {len(tagged)} masks show the value {name_of(value, classes)}, but {len(without)} of"
                f" these images are not tagged with it, e.g. {without[0].sight.name}. Likely cause: {cause} in these"
                f" masks. Renumber them ({order_of(classes)}), or tag each image with all classes that it shows"
            )
    return ""


def no_class(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Masks without any class: binary, 0 and 255, or not drawn yet."""
    tagged = [mask for mask in masks if mask.tags]
    empty = [mask for mask in tagged if not mask.shown()]
    if not tagged and not any(mask.shown() for mask in masks):
        tagged = list(masks)
        empty = [mask for mask in masks if IGNORE in mask.sight.values]
    binary = [mask for mask in empty if IGNORE in mask.sight.values]
    most = 1 / 2 if len(binary) > len(empty) / 2 else NEARLY_ALL
    if len(empty) < LEAST or len(empty) <= most * len(tagged):
        return ""
    example = (binary or empty)[0]
    tags = f", tagged {names_of(example.tags, classes)}" if example.tags else ""
    values = ", ".join(map(str, example.sight.values))
    text = (
        f"{len(empty)} of {len(tagged)} masks show no class, e.g. {example.sight.name}{tags}: its values are {values}"
    )
    if len(binary) > len(empty) / 2:
        return f"{text}. Likely cause: binary masks, but {IGNORE} is ignored when scored. {draw(classes)}"
    return f"{text}. Likely cause: they are not drawn yet. Leave out masks that are not, or {draw(classes, start='')}"


def exchanged(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Objects of value 0 on a background that has the value of a class, where the tags do not fit."""
    tagged = [mask for mask in masks if mask.tags]
    fitting = sum(mask.fits() for mask in tagged)
    if tagged and fitting >= FITTING * len(tagged):
        return ""  # a class may well surround what is none: a note
    found = surrounded(masks, classes)
    return (
        f"{found}. Likely cause: object and background are exchanged. Write 0 for background ({order_of(classes)})"
        if found
        else ""
    )


def surrounded(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Says if in many masks a class surrounds the background: object and background may be exchanged."""
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
        f" {example.name}: {name_of(example.around, classes)}"
    )


def background_ignored(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Background of value 255: what is wrongly segmented there would not count."""
    void = [mask for mask in masks if mask.sight.void and mask.shown()]
    shown = any(BACKGROUND in mask.sight.values for mask in masks)
    if shown or len(void) < LEAST or len(void) <= len(masks) / 2:
        return ""
    return (
        f"no mask has the value 0, and in {len(void)} of {len(masks)} masks {IGNORE} fills a third or more and most of"
        f" the borders, e.g. {void[0].sight.name}. Likely cause: background is written as {IGNORE}, which is ignored"
        f" when scored. Write 0 for background ({order_of(classes)})"
    )


def interpolated(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Values that are lines along other values: between them, as interpolation and JPEG make them."""
    tagged = [mask for mask in masks if mask.tags]
    lines = [mask for mask in tagged if mask.shown() - mask.tags and mask.shown() - mask.tags <= mask.sight.thin]
    if len(lines) < LEAST or len(lines) <= len(tagged) / 2:
        return ""
    example = lines[0]
    return (
        f"{len(lines)} of {len(tagged)} masks show classes that their images are not tagged with, in thin lines alone,"
        f" e.g. {example.sight.name}: {names_of(example.shown() - example.tags, classes)}, tagged"
        f" {names_of(example.tags, classes)}. Likely cause: the masks were resized with interpolation, smoothed or"
        " saved as JPEG, which makes values between others along borders. Resize masks by nearest neighbour, and save"
        " them as PNG"
    )


def never_drawn(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """A class that many images are tagged with and no mask shows."""
    for value, lacking, expected in lacking_classes(masks):
        tagged = sum(bool(mask.tags) for mask in masks)
        most = expected >= NEVER_OF_MOST and len(lacking) > tagged / 2
        if most or expected >= max(NEVER, NEVER_SHARE * tagged):
            return (
                f"{absent(value, lacking, tagged, classes)}. Likely cause: its objects are not drawn, or have the value"
                f" of another class, of the background or {IGNORE}. {draw(classes)}"
            )
    return ""


def lacking_classes(masks: Sequence[Seen]) -> Iterator[tuple[int, list[Seen], float]]:
    """Classes that no mask shows, with the masks of images that are tagged with them, and how many of these should show
    them: as many as the others show anything."""
    tagged = [mask for mask in masks if mask.tags]
    drawn = frozenset(value for mask in tagged for value in mask.shown())
    for value in sorted(frozenset(value for mask in tagged for value in mask.tags) - drawn):
        lacking = [mask for mask in tagged if value in mask.tags]
        others = [mask for mask in tagged if value not in mask.tags] or tagged
        yield value, lacking, len(lacking) * sum(bool(mask.shown()) for mask in others) / len(others)


def most_slips(masks: int) -> float:
    """Masks that may contradict their tags before they are more than slips."""
    return max(LEAST, SLIPS * masks, SLIPS_OF_FEW * min(masks, FEW))


def other_objects(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Masks that contradict their tags, all or some of them."""
    tagged = [mask for mask in masks if mask.tags]
    wrong = [mask for mask in tagged if mask.contradicts()]
    if len(wrong) < most_slips(len(tagged)):
        return ""
    opposition = opposed(wrong, tagged, classes)
    reading = fit_values(wrong, len(classes))
    fitting = sum(mask.fits(reading) for mask in wrong)
    if len(wrong) <= len(tagged) / 2 and fitting >= FITTING * len(wrong):
        return (
            f"{opposition}. Likely cause: in these masks, classes are in another order than in the rest; {fitting} of"
            f" them fit the tags if {moved_values(reading, classes)}. Renumber them ({order_of(classes)})"
        )
    counted = all(mask.shown() == set(range(1, len(mask.shown()) + 1)) for mask in wrong)
    cause = "the values number an image's objects, not their classes" if counted else "the masks are of other images"
    return f"{opposition}, and no other order fits. Likely cause: {cause}, or the tags are. {draw(classes)}"


def no_outline(masks: Sequence[Seen], classes: Sequence[str]) -> str:
    """Masks that tagmask drew from outlines, and which show nothing."""
    tagged = [mask for mask in masks if mask.tags]
    empty = [mask for mask in tagged if not mask.shown() and IGNORE not in mask.sight.values]
    if len(empty) < LEAST or len(empty) <= len(tagged) / 2:
        return ""
    return (
        f"the outlines of {len(empty)} of {len(tagged)} images draw nothing, e.g. {empty[0].sight.name}, tagged"
        f" {names_of(empty[0].tags, classes)}. Likely cause: they lie outside of their images, or have no area. Correct"
        " the outlines, or the images' height and width"
    )


Rule = Callable[[Sequence[Seen], Sequence[str]], str]

RULES: tuple[Rule, ...] = (
    *(renumbered_palette, interpolated, other_order, one_value, no_class, background_ignored, exchanged),
    *(class_everywhere, never_drawn, other_objects),
)
RULES_OF_OUTLINES: tuple[Rule, ...] = (no_outline,)


def enough(against: int, kept: int, masks: int) -> bool:
    """Whether masks that speak for another reading outweigh those that speak for the tags."""
    return against >= max(LEAST, LEAST_SHARE * masks) and against >= SURE * kept
