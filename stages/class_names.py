"""What a class may be called. Imports nothing of the project."""

import re
import unicodedata
from collections.abc import Sequence

# As tools write it: `background`, `_background_` (labelme), `BG` (Mask R-CNN).
BACKGROUND_NAMES = ("background", "bg")
CURE = "mask value 0 is background, without a name"


def is_background(name: str) -> bool:
    """Whether a class or tag is the background under any spelling: case, width, spaces, punctuation and its own value,
    0, do not count.

    >>> [is_background(name) for name in ("_background_", " Background ", "BG", "0: background", "background noise")]
    [True, True, True, True, False]
    """
    words = re.split(r"[\W_]+", unicodedata.normalize("NFKC", name).casefold())
    return "".join(word for word in words if word.strip("0")) in BACKGROUND_NAMES


def background_fault(classes: Sequence[str]) -> str:
    """What is wrong with a list of classes that names the background, with the cure; empty if it does not."""
    named = next((name for name in classes if is_background(name)), None)
    if named is None:
        return ""
    rest = [name for name in classes if not is_background(name)]
    first = f", so that {rest[0]!r} is mask value 1" if rest else ""
    return f"{named!r} must not be listed: {CURE}; remove it{first}"
