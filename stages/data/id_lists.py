"""Lists of image ids, one per line, such as those that define VOC's splits."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from stages.data.ids import id_fault
from stages.errors import DataError
from stages.index import read_utf8

FLAGS = ("-1", "0", "1")  # in VOC's Main lists, after the id: whether the image shows the list's class
EXTENSIONS = (".jpg", ".jpeg", ".png")
# An image, and perhaps its mask, by their paths: /JPEGImages/x.jpg /SegmentationClassAug/x.png
NAME = r"(?P<id>(?:(?!\.(?:jpe?g|png)[\s,;])[^/])+)"
PATHS = re.compile(rf"(?:.*?/)?{NAME}\.(?:jpe?g|png)(?:[\s,;]+(?P<mask>\S.*?/[^/]+|/?[^/\s]+)\.png)?", re.IGNORECASE)
LONGEST_LINE = 10_000  # characters: two of the longest paths


def read_ids(path: Path, *, missing: str = "correct the path") -> list[str]:
    """Image ids from a file, one per line; spaces within them are kept. If every line ends in a flag, as in VOC's Main
    lists, the flags are not part of the ids. A line of paths, as PSA publishes them (`/JPEGImages/x.jpg
    /SegmentationClassAug/x.png`), is the id x. missing: the cure if there is no such file.

    Raises DataError if the file is missing or not UTF-8, and, with file and line, for what is no id.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such list of ids; {missing}")
    lines = [(number, line.strip()) for number, line in enumerate(_lines(path), start=1) if line.strip()]
    names = without_flags([line for _, line in lines])
    return [id_of_line(name, f"{path}:{number}") for name, (number, _) in zip(names, lines, strict=True)]


def read_stems(path: Path, *, missing: str = "correct the path") -> list[str]:
    """`read_ids` of a list in which every line may also be a file's name; its extension is not part of the id."""
    names = read_ids(path, missing=missing)
    if all(name.lower().endswith(EXTENSIONS) for name in names):
        return [PurePosixPath(name).stem for name in names]
    return names


def id_of_line(line: str, place: str) -> str:
    """The id that a line names, by itself or by paths. place: file and line, for errors."""
    text = line.replace("\\", "/")
    found = PATHS.fullmatch(text) if "/" in text and len(text) <= LONGEST_LINE else None
    if found is None:
        if fault := id_fault(line):
            raise DataError(f"{place}: {fault}; write an id a line, or `/JPEGImages/<id>.jpg /<masks>/<id>.png`")
        return line
    name, mask = found["id"], found["mask"]
    if mask is not None and PurePosixPath(mask).name != name:
        raise DataError(
            f"{place}: names the image {name!r} with the mask {PurePosixPath(mask).name!r}; correct the line, or"
            f" write {name!r} alone"
        )
    if fault := id_fault(name):
        raise DataError(f"{place}: {fault}")
    return name


def without_flags(lines: Sequence[str]) -> list[str]:
    """The lines without their final flags, if each has one."""
    pairs = [line.rsplit(maxsplit=1) for line in lines]
    flagged = all(len(pair) == 2 and pair[1] in FLAGS for pair in pairs)
    return [pair[0] for pair in pairs] if flagged else list(lines)


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file. Unlike `str.splitlines`, breaks at line ends alone, so that lines are those of an editor."""
    yield from re.split(r"\r\n|\r|\n", read_utf8(path))
