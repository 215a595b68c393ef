"""Lists of image ids, one per line, such as those that define VOC's splits."""

from collections.abc import Sequence
from pathlib import Path

from stages.errors import DataError
from stages.index import read_utf8

FLAGS = ("-1", "0", "1")  # in VOC's Main lists, after the id: whether the image shows the list's class


def read_ids(path: Path, *, missing: str = "correct the path") -> list[str]:
    """Image ids from a file, one per line; spaces within them are kept. If every line ends in a flag, as in VOC's Main
    lists, the flags are not part of the ids. missing: the cure if there is no such file.

    Raises DataError if the file is missing or not UTF-8.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such list of ids; {missing}")
    lines = [line for line in map(str.strip, read_utf8(path).splitlines()) if line]
    return without_flags(lines)


def without_flags(lines: Sequence[str]) -> list[str]:
    """The lines without their final flags, if each has one."""
    pairs = [line.rsplit(maxsplit=1) for line in lines]
    flagged = all(len(pair) == 2 and pair[1] in FLAGS for pair in pairs)
    return [pair[0] for pair in pairs] if flagged else list(lines)
