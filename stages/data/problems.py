"""Checks every image, mask and tag of a split before anything trains on it."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from stages.class_names import is_background
from stages.errors import DataError
from stages.images import IGNORE, check_image, is_turned, read_mask
from stages.index import LABEL_SEPARATOR, Record
from stages.pool import over_processes

log = logging.getLogger(__name__)

SHOWN = 5  # problems spelled out in the error; the rest are counted
EMPTY = "lists no image of this split; a split needs at least one"
TESTED = ("val", "test")  # splits whose images may be without tags


@dataclass(frozen=True)
class Problem:
    """What is wrong with the record at `position` of its list, with the cure."""

    position: int
    text: str


def refuse_problems(problems: Sequence[Problem], images: int, *, source: Path) -> None:
    """Raises DataError if there is a problem."""
    if problems:
        more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        shown = [problem.text for problem in problems[:SHOWN]]
        raise DataError("\n".join([f"{source}: {count} in {images} images", *shown, *more]))


def find_all(
    records: Sequence[Record],
    root: Path,
    classes: Sequence[str],
    *,
    source: Path,
    processes: int = 1,
    untagged: Collection[str] = (),
) -> list[Problem]:
    """Every problem, in the order of the records: what the reader found, a file that is missing or cannot be decoded, a
    training image without tags, an unknown tag, an id that is duplicated or contains a `/`, a mask of the wrong size or
    with values that are not classes. Decodes every image and mask in full.

    source: the file that lists the split, for messages.  untagged: splits that may contain images without tags, besides
    val and test. Raises DataError if there are no records.
    """
    if not records:
        raise DataError(f"{source}: {EMPTY}")
    started = perf_counter()
    problems = list(find_twins(records))
    title = f"check {records[0].split}"
    if processes == 1:
        for position, record in enumerate(tqdm(records, desc=title, unit="image", mininterval=1)):
            problems += _numbered(position, record, root, classes, untagged)
    else:
        jobs = ((position, record, root, tuple(classes), tuple(untagged)) for position, record in enumerate(records))
        for found in over_processes(_numbered, jobs, processes, title=title):
            problems += found
    seconds = perf_counter() - started
    log.info("%d images checked, %.1f images/s, %d problems", len(records), len(records) / seconds, len(problems))
    return sorted(problems, key=lambda problem: problem.position)


def find_twins(records: Sequence[Record]) -> Iterator[Problem]:
    """Problems of duplicate ids, for all but the first."""
    first: dict[str, str] = {}
    for position, record in enumerate(records):
        other = first.get(record.id)
        if other is None:
            first[record.id] = record.image
            continue
        two = f"used by {other} and {record.image}" if other != record.image else f"used twice by {other}"
        cure = "rename one of the files, or give it another id" if other != record.image else "remove one of the rows"
        yield Problem(
            position, f"{record.id}: duplicate id, {two}; ids name files and must be unique in a split: {cure}"
        )


def _numbered(
    position: int, record: Record, root: Path, classes: Sequence[str], untagged: Collection[str]
) -> list[Problem]:
    return [Problem(position, text) for text in find_problems(record, root, classes, untagged=untagged)]


def find_problems(
    record: Record, root: Path, classes: Sequence[str], *, untagged: Collection[str] = ()
) -> Iterator[str]:
    """Problems of one image, each with its cure."""
    if record.fault:
        yield record.fault
    if not record.id or "/" in record.id:
        yield f"{record.id!r}: an id names files, so it must not be empty or contain `/`; rename it"
    if not (record.labels or record.fault or record.split in (*TESTED, *untagged)):
        yield f"{record.id}: no tags, but training learns from tags alone; tag the image or remove it from the split"
    for label in record.labels:
        if is_background(label):
            yield f"{record.id}: tag {label!r} must not be given: background is what has no tag; remove it"
        elif label not in classes:
            yield (
                f"{record.id}: tag {label!r} is not in data.classes; correct the tag (several are separated by "
                f"`{LABEL_SEPARATOR}`) or add the class"
            )
    try:
        size = check_image(root / record.image)
        if record.mask:
            yield from find_mask_problems(root / record.mask, size, classes, image=root / record.image)
    except DataError as error:
        yield str(error)


def find_mask_problems(path: Path, size: tuple[int, int], classes: Sequence[str], *, image: Path) -> Iterator[str]:
    """Problems of a mask that belongs to an image of `size` (rows, columns)."""
    mask = read_mask(path)
    if mask.shape != size:
        found, wanted = (f"{columns}x{rows}" for rows, columns in (mask.shape, size))
        cure = "export the mask at the image's size"
        if mask.shape == size[::-1] and is_turned(image):
            cure = (
                "the image is turned upright by its EXIF orientation, but the mask is not: rotate the mask, or"
                " save the image upright and without the tag"
            )
        yield f"{path}: mask is {found}, image is {wanted}; {cure}"
    values = np.unique(mask)
    wrong = values[(values > len(classes)) & (values != IGNORE)]
    if wrong.size:
        yield (
            f"{path}: mask value {', '.join(map(str, wrong[:SHOWN]))} is not a class; 0 is background, 1 to "
            f"{len(classes)} are data.classes in order, {IGNORE} is ignored"
        )
