"""Checks every image, mask and tag of a split before anything trains on it."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stages.class_names import is_background
from stages.data.ids import id_fault
from stages.data.mask_sights import MaskSight, sight_of
from stages.errors import DataError
from stages.files import in_utf8
from stages.images import IGNORE, MASK_MODE, check_image, is_turned, read_mask_and_palette
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


@dataclass(frozen=True)
class Found:
    """What was found in one image: its problems, each with its cure, and its mask at a glance, if it can be read."""

    problems: tuple[str, ...]
    sight: MaskSight | None


@dataclass(frozen=True)
class FoundInAll:
    """What was found in a split: every problem, in the order of the records, and the masks by their position."""

    problems: list[Problem]
    sights: dict[int, MaskSight]


def refuse_problems(problems: Sequence[Problem], images: int, *, source: Path) -> None:
    """Raises DataError if there is a problem."""
    if problems:
        texts = folded([problem.text for problem in problems], images)
        more = [f"... and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DataError("\n".join([f"{source}: {count} in {images} images", *texts[:SHOWN], *more]))


def folded(texts: Sequence[str], images: int) -> list[str]:
    """The problems, with masks in colours named once, if most images have one."""
    colours = [text for text in texts if MASK_MODE in text]
    if len(colours) <= max(1, images / 2):
        return list(texts)
    first = f"{colours[0]}; {len(colours)} of {images} masks are no class indices"
    return [first, *(text for text in texts if MASK_MODE not in text)]


def examine_all(
    records: Sequence[Record],
    root: Path,
    classes: Sequence[str],
    *,
    source: Path,
    processes: int = 1,
    untagged: Collection[str] = (),
) -> FoundInAll:
    """Every problem: what the reader found, a file that is missing or cannot be decoded, a training image without tags,
    an unknown tag, an id that is duplicated or cannot name a file, a mask of the wrong size or with values that are not
    classes. Decodes every image and mask in full, once.

    source: the file that lists the split, for messages.  untagged: splits that may contain images without tags, besides
    val and test. Raises DataError if there are no records.
    """
    if not records:
        raise DataError(f"{source}: {EMPTY}")
    started = perf_counter()
    title = f"check {records[0].split}"
    jobs = ((position, record, root, tuple(classes), tuple(untagged)) for position, record in enumerate(records))
    if processes == 1:
        shown = tqdm(jobs, total=len(records), desc=title, unit="image", mininterval=1)
        results: Iterator[tuple[int, Found]] = (_numbered(*job) for job in shown)
    else:
        results = over_processes(_numbered, jobs, processes, title=title)
    found = joined(records, dict(results))
    seconds = perf_counter() - started
    log.info("%d images checked, %.1f images/s, %d problems", len(records), len(records) / seconds, len(found.problems))
    return found


def joined(records: Sequence[Record], found: Mapping[int, Found], known: Sequence[Problem] = ()) -> FoundInAll:
    """What was found in each of the records, by its position. known: problems found before."""
    problems = [*find_twins(records), *known]
    problems += [Problem(position, text) for position, one in sorted(found.items()) for text in one.problems]
    sights = {position: one.sight for position, one in sorted(found.items()) if one.sight is not None}
    return FoundInAll(sorted(problems, key=lambda problem: problem.position), sights)


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
) -> tuple[int, Found]:
    return position, examine_image(record, root, classes, untagged=untagged)


def examine_image(record: Record, root: Path, classes: Sequence[str], *, untagged: Collection[str] = ()) -> Found:
    """What is wrong with one image, and what its mask shows."""
    problems = list(find_record_problems(record, classes, untagged=untagged))
    sight = None
    try:
        size = check_image(root / record.image)
        if record.mask:
            mask, palette = read_mask_and_palette(root / record.mask)
            problems += find_mask_problems(root / record.mask, mask, size, classes, image=root / record.image)
            sight = sight_of(mask, palette, root / record.mask)
    except DataError as error:
        problems.append(str(error))
    return Found(tuple(map(in_utf8, problems)), sight)


def find_record_problems(record: Record, classes: Sequence[str], *, untagged: Collection[str] = ()) -> Iterator[str]:
    """Problems of one image's entry in its list, each with its cure."""
    if record.fault:
        yield record.fault
    if fault := id_fault(record.id):
        yield fault
    if not (record.labels or record.fault or record.split in (*TESTED, *untagged)):
        yield f"{record.id}: no tags, but training learns from tags alone; tag the image or remove it from the split"
    for label in record.labels:
        if is_background(label):
            yield f"{record.id}: tag {label!r} must not be given: background is what has no tag; remove it"
        elif label not in classes:
            alike = next((name for name in classes if name.casefold() == label.casefold()), "")
            hint = f"data.classes has {alike!r}, mind case; " if alike else ""
            yield (
                f"{record.id}: tag {label!r} is not in data.classes; {hint}correct the tag (several are separated by "
                f"`{LABEL_SEPARATOR}`) or add the class"
            )


def find_mask_problems(
    path: Path, mask: NDArray[np.uint8], size: tuple[int, int], classes: Sequence[str], *, image: Path
) -> Iterator[str]:
    """Problems of a mask [rows, columns] uint8 that belongs to an image of `size` (rows, columns)."""
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
