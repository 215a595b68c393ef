"""What a line of a list can name beside an id alone: programs write labels, quotes, extensions or masks around it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from stages.data.ids import id_fault
from stages.errors import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png")
# An image, and perhaps its mask, by their paths: /JPEGImages/x.jpg /SegmentationClassAug/x.png
NAME = r"(?P<id>(?:(?!\.(?:jpe?g|png)[\s,;])[^/])+)"
PATHS = re.compile(rf"(?:.*?/)?{NAME}\.(?:jpe?g|png)(?:[\s,;]+(?P<mask>\S.*?/[^/]+|/?[^/\s]+)\.png)?", re.IGNORECASE)
PAIR = re.compile(r"(?P<id>.+?)\.(?:jpe?g|png)[\s,;]+(?P=id)\.png", re.IGNORECASE)  # an image and its mask, by names
LONGEST_LINE = 10_000  # characters: two of the longest paths
LONGEST_PAIR = 600  # characters: two of the longest names
MOST_LABELS = 1000  # numbers after an id

GAP = re.compile(r"([\s,;]+)")
LABEL = re.compile(r"[-+]?\d+(?:\.\d+)?")
AROUND = "\"'`,; \t\u00a0\u200b\u200c\u200d\u2060\ufeff\x1a"  # quotes, separators, and characters that no editor shows
COMMENT = re.compile(r"(?:#+|//+|%+)\s")
HEADERS = frozenset({"id", "ids", "image", "images", "image_id", "image_ids", "img", "name", "file", "filename"})
WITHIN = re.compile(r"[\s,;:\"'`\[\]{}()<>]+")  # between the ids of a line that holds several
SEVERAL = frozenset(",;\"'[]{}")

Known = Callable[[str], bool]


@dataclass(frozen=True)
class Reading:
    """An id that a line may name.

    known: whether an image has it.  labels: whether numbers after it were taken for labels.
    """

    id: str
    known: bool = False
    labels: bool = False


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


def read_line(line: str, place: str, known: Known) -> Reading:
    """The id of an image that a line names. What is known as it stands is never read otherwise.

    Raises DataError, with file and line, for a line that is no id: a comment, a list of several ids, or a path.
    """
    if len(line) > LONGEST_LINE:
        return Reading(id_of_line(line, place))
    for name, labels in readings(line):
        if known(name):
            return Reading(name, known=True, labels=labels)
    if COMMENT.match(line):
        raise DataError(f"{place}: {line[:60]!r} is no image's id; remove the line, as lists have no comments")
    pieces = [piece for part in WITHIN.split(line) if known(piece := without_extension(part))]
    if len(pieces) > 1 or (pieces and SEVERAL & set(line)):
        raise DataError(
            f"{place}: {line[:60]!r} is no image's id, but {pieces[0]!r} within it is; write an id a line, nothing else"
        )
    return Reading(id_of_line(line, place))


def is_header(line: str) -> bool:
    """Whether a line that names no image is a table's header."""
    return line.strip(AROUND).lower() in HEADERS


def without_extension(name: str) -> str:
    """A file's name without the extension that images have."""
    stem, _, _ = name.rpartition(".")
    return stem if stem and name.lower().endswith(EXTENSIONS) else name


def without_labels(line: str) -> str:
    """A line without the numbers after its first word."""
    return list(_shorter(line))[-1]


def readings(line: str) -> Iterator[tuple[str, bool]]:
    """What a line may name, the longest first, and whether numbers after it were taken for labels."""
    for text in dict.fromkeys((line, line.strip(AROUND))):
        for whole in _shorter(text):
            for name in _names(whole):
                yield name, len(whole) < len(text)


def _shorter(text: str) -> Iterator[str]:
    """The text, and what is left as the numbers at its end are taken away one by one."""
    parts = GAP.split(text)
    end = len(parts)
    yield text
    while end > 2 and LABEL.fullmatch(parts[end - 1]) and len(parts) - end < 2 * MOST_LABELS:
        end -= 2
        yield "".join(parts[:end])


def _names(text: str) -> Iterator[str]:
    """The name that a text is; of a path, its file's; without extension, without the mask after it."""
    slashed = text.replace("\\", "/")
    if "/" in slashed:
        found = PATHS.fullmatch(slashed)
        if found and PurePosixPath(found["mask"] or found["id"]).name == found["id"]:
            yield found["id"]
        return
    yield text
    yield without_extension(text)
    if len(text) <= LONGEST_PAIR and (found := PAIR.fullmatch(text)):
        yield found["id"]
