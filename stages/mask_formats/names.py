"""Class names in files of annotation tools, and the mask values that they stand for."""

from collections.abc import Sequence

from stages.class_names import is_background
from stages.errors import DataError
from stages.images import BACKGROUND, IGNORE

# `__ignore__` is labelme's own word.
IGNORED = ("ignore", "__ignore__", str(IGNORE))


def value_of(name: str, classes: Sequence[str]) -> int:
    """The mask value of a name: a class, the background under any spelling (0), or `ignore` (255).

    Raises DataError, without a place, for any other.

    >>> [value_of(name, ("bird", "cat")) for name in ("cat", "_background_", "ignore", "__ignore__")]
    [2, 0, 255, 255]
    """
    if name.strip() in classes:
        return list(classes).index(name.strip()) + 1
    if is_background(name):
        return BACKGROUND
    if name.strip() in IGNORED:
        return IGNORE
    alike = next((own for own in classes if own.casefold() == name.strip().casefold()), "")
    hint = f"data.classes has {alike!r}, mind case" if alike else f"correct it: {', '.join(classes)}, {IGNORED[0]}"
    raise DataError(f"label {name!r} is not in data.classes; {hint}")


def name_of(value: int, classes: Sequence[str]) -> str:
    """The name that stands for a mask value above 0."""
    if value != IGNORE:
        return classes[value - 1]
    return next(name for name in IGNORED if name not in classes)
