"""Paths that name one image in several ways, as tables with a row a tag may."""

import os.path
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from stages.errors import DataError


def image_key(root: Path, image: str) -> str:
    """The one way to write the path of an image: below the root where it is, without `.`, `..` and `//`.

    >>> image_key(Path("/photos"), "./beach/../sea/1.jpg"), image_key(Path("/photos"), "/photos/sea//1.jpg")
    ('sea/1.jpg', 'sea/1.jpg')
    """
    path = os.path.normpath(image)
    base = str(root.absolute())
    return os.path.relpath(path, base) if path.startswith(f"{base.rstrip('/')}/") else path


def refuse_misspelt(root: Path, rows: Iterable[tuple[int, str]], *, source: Path) -> None:
    """Raises DataError if a row's image is missing, and another row names it in another case, in another Unicode form
    or with other separators: tags of one image would be shared out among two. rows: lines and paths as written."""
    alike: dict[str, dict[str, int]] = {}
    for line, image in rows:
        key = image_key(root, image)
        alike.setdefault(_loose(key), {}).setdefault(key, line)
    for names in alike.values():
        known = [name for name in names if len(names) > 1 and _exists(root / name)]
        missing = [name for name in names if name not in known]
        if known and missing:
            raise DataError(
                f"{source}:{names[missing[0]]}: there is no image {missing[0]!r}, but {known[0]!r} of line"
                f" {names[known[0]]} is the same but for case, separators or the Unicode form of its letters; copy"
                " the name from the file, so that the tags of both rows go to one image"
            )


def _loose(path: str) -> str:
    return unicodedata.normalize("NFC", os.path.normpath(path.replace("\\", "/"))).casefold()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False
