"""Checks every image, mask and tag of a split before anything trains on it."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from stages.errors import DataError
from stages.images import IGNORE, read_image, read_mask
from stages.index import LABEL_SEPARATOR, Record

log = logging.getLogger(__name__)

SHOWN = 5  # problems spelt out in the error; the rest is counted


def check_records(records: Sequence[Record], root: Path, classes: Sequence[str], *, source: Path) -> None:
    """Decodes every image and mask in full. `source` is the file that lists the split, for the messages.

    Raises one DataError with the first few problems and the number of all: a file that is missing or cannot be decoded,
    a training image without tags, an unknown tag, an id that stands twice or holds a `/`, a mask of another size than
    its image or with values that are no class.
    """
    if not records:
        raise DataError(f"{source}: lists no image; a split needs at least one")
    started = perf_counter()
    problems = list(find_twins(records))
    for record in tqdm(records, desc=f"check {records[0].split}", unit="image"):
        problems += find_problems(record, root, classes)
    seconds = perf_counter() - started
    log.info("%d images checked, %.1f images/s, %d problems", len(records), len(records) / seconds, len(problems))
    if problems:
        more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DataError("\n".join([f"{source}: {count} in {len(records)} images", *problems[:SHOWN], *more]))


def find_twins(records: Sequence[Record]) -> Iterator[str]:
    """Problems of ids that stand more than once."""
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            yield f"{record.id}: this id stands twice; ids name files and must be unique in a split"
        seen.add(record.id)


def find_problems(record: Record, root: Path, classes: Sequence[str]) -> Iterator[str]:
    """Problems of one image, each with its cure."""
    if not record.id or "/" in record.id:
        yield f"{record.id!r}: an id names files, so it must not be empty or hold `/`; rename it"
    if record.split == "train" and not record.labels:
        yield f"{record.id}: no tags, but training learns from tags alone; tag the image or take it off the split"
    for label in record.labels:
        if label not in classes:
            yield (
                f"{record.id}: tag {label!r} is not in data.classes; correct the tag (several are separated by "
                f"`{LABEL_SEPARATOR}`) or add the class"
            )
    try:
        size = read_image(root / record.image).size
        if record.mask:
            yield from find_mask_problems(root / record.mask, size, classes)
    except DataError as error:
        yield str(error)


def find_mask_problems(path: Path, size: tuple[int, int], classes: Sequence[str]) -> Iterator[str]:
    """Problems of a mask that belongs to an image of `size` (width, height)."""
    mask = read_mask(path)
    if mask.shape != (size[1], size[0]):
        found = f"{mask.shape[1]}x{mask.shape[0]}"
        yield f"{path}: mask is {found}, image is {size[0]}x{size[1]}; export the mask at the image's size"
    values = np.unique(mask)
    wrong = values[(values > len(classes)) & (values != IGNORE)]
    if wrong.size:
        yield (
            f"{path}: mask value {', '.join(map(str, wrong[:SHOWN]))} is no class; 0 is background, 1 to "
            f"{len(classes)} are data.classes in order, {IGNORE} is ignored"
        )
