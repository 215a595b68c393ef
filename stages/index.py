"""The index: one CSV a split, one row an image. Every stage after `data` starts from it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.errors import DataError
from stages.files import atomic_path, write_text

COLUMNS = ("id", "image", "mask", "labels", "split", "caption")
LABEL_SEPARATOR = ";"  # class names may hold spaces (COCO's do)


@dataclass(frozen=True)
class Record:
    """One image: paths relative to the dataset root, class names as tags; `mask` and `caption` may be empty."""

    id: str
    image: str
    mask: str
    labels: tuple[str, ...]
    split: str
    caption: str = ""


def write_index(path: Path, records: Sequence[Record]) -> None:
    """Writes an index CSV atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for record in records:
            labels = LABEL_SEPARATOR.join(record.labels)
            writer.writerow((record.id, record.image, record.mask, labels, record.split, record.caption))


def read_index(path: Path) -> list[Record]:
    """Reads an index CSV. Raises DataError for a missing file, other columns, or an id that stands twice."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such index; the stage `data` writes it")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise DataError(f"{path}: columns are {rows.fieldnames}, must be {list(COLUMNS)}; rerun the stage `data`")
        records = [
            Record(
                id=row["id"],
                image=row["image"],
                mask=row["mask"],
                labels=tuple(filter(None, row["labels"].split(LABEL_SEPARATOR))),
                split=row["split"],
                caption=row["caption"],
            )
            for row in rows
        ]
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise DataError(f"{path}: id {record.id!r} stands twice; ids name files and must be unique in a split")
        seen.add(record.id)
    return records


def write_classes(path: Path, classes: Sequence[str]) -> None:
    """Writes class names one a line; line k (from 1) is mask value k."""
    write_text(path, "".join(f"{name}\n" for name in classes))


def read_classes(path: Path) -> tuple[str, ...]:
    """Reads the class names that `write_classes` wrote."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such class list; the stage `data` writes it")
    return tuple(path.read_text(encoding="utf-8").splitlines())


def shard_of(records: Sequence[Record], shard: int, shards: int) -> list[Record]:
    """The rows of shard `shard` of `shards`: every `shards`-th row, so that shards are alike in size and content."""
    return list(records[shard::shards])
