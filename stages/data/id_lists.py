"""Lists of image ids, one per line, such as those that define VOC's splits."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.data.id_lines import (
    EXTENSIONS,
    Known,
    Reading,
    id_of_line,
    is_header,
    read_line,
    without_extension,
    without_labels,
)
from stages.errors import DataError
from stages.index import read_utf8

FLAGS = ("-1", "0", "1")  # in VOC's Main lists, after the id: whether the image shows the list's class


def read_ids(path: Path, *, missing: str = "correct the path", known: Known | None = None) -> list[str]:
    """Image ids from a file, one per line; spaces within them are kept. A line of paths, as PSA publishes them
    (`/JPEGImages/x.jpg /SegmentationClassAug/x.png`), is the id x. If every line ends in a flag, as in VOC's Main
    lists, the flags are not part of the ids.

    missing: the cure if there is no such file.  known: whether an image has an id. A line that is none as it stands may
    then have labels, an extension, a mask or quotes with the id of one, whatever the other lines have.

    Raises DataError if the file is missing or not UTF-8, and, with file and line, for what is no id.
    """
    lines = _numbered(path, missing)
    plain = without_flags([line for _, line in lines])
    if known is not None:
        return _read_known(path, lines, plain, known)
    return [id_of_line(name, f"{path}:{number}") for name, (number, _) in zip(plain, lines, strict=True)]


def _read_known(path: Path, lines: Sequence[tuple[int, str]], plain: Sequence[str], known: Known) -> list[str]:
    """`read_ids` of lines with their numbers; plain: without their flags, for ids that no image has."""
    found = [read_line(line, f"{path}:{number}", known) for number, line in lines]
    some = any(reading.known for reading in found)
    if some and not found[0].known and is_header(lines[0][1]):
        raise DataError(f"{path}:{lines[0][0]}: {lines[0][1]!r} is a header, not an image's id; remove the line")
    numbered = any(
        reading.known and not reading.labels and without_labels(line) != line
        for reading, (_, line) in zip(found, lines, strict=True)
    )
    labelled = not numbered and any(reading.labels for reading in found)
    if labelled:
        _check_labels(path, lines, found)
    names = []
    for reading, (number, line), name in zip(found, lines, plain, strict=True):
        if reading.known and not (numbered and reading.labels):
            names.append(reading.id)
            continue
        rest = without_labels(line) if labelled else line if some else name
        names.append(id_of_line(rest, f"{path}:{number}"))
    return names


def read_stems(path: Path, *, missing: str = "correct the path", known: Known | None = None) -> list[str]:
    """`read_ids` of a list in which every line may also be a file's name; its extension is not part of the id."""
    names = read_ids(path, missing=missing, known=known)
    unknown = [name for name in names if known is None or not known(name)]
    if all(name.lower().endswith(EXTENSIONS) for name in unknown):
        return [name if known is not None and known(name) else without_extension(name) for name in names]
    return names


def without_flags(lines: Sequence[str]) -> list[str]:
    """The lines without their final flags, if each has one."""
    pairs = [line.rsplit(maxsplit=1) for line in lines]
    flagged = all(len(pair) == 2 and pair[1] in FLAGS for pair in pairs)
    return [pair[0] for pair in pairs] if flagged else list(lines)


def _check_labels(path: Path, lines: Sequence[tuple[int, str]], found: Sequence[Reading]) -> None:
    """Raises DataError if a few lines alone seem to have labels: they may be ids of images that are missing, and to
    read them as others' would put an image into a split that is not to have it."""
    labelled = [place for place, reading in enumerate(found) if reading.labels]
    if labelled and 2 * len(labelled) < len(found):
        number, line = lines[labelled[0]]
        raise DataError(
            f"{path}:{number}: no image {line!r}, but {found[labelled[0]].id!r}, and most lines have no number after"
            " the id; remove the number, or the line"
        )


def _numbered(path: Path, missing: str) -> list[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    if not path.is_file():
        raise DataError(f"{path}: no such list of ids; {missing}")
    return [(number, line.strip()) for number, line in enumerate(_lines(path), start=1) if line.strip()]


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file. Unlike `str.splitlines`, breaks at line ends alone, so that lines are those of an editor."""
    yield from re.split(r"\r\n|\r|\n", read_utf8(path))
