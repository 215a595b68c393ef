"""The index: one CSV a split, one row an image. Every stage after `data` starts from it."""

import csv
import io
from collections.abc import Iterator, Sequence
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
    records = list(_parse_rows(path))
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise DataError(f"{path}: id {record.id!r} stands twice; ids name files and must be unique in a split")
        seen.add(record.id)
    return records


def _parse_rows(path: Path) -> Iterator[Record]:
    try:
        # With or without the mark that spreadsheets put in front of UTF-8.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); save it as CSV in UTF-8") from error
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise DataError(f"{path}: columns are {rows.fieldnames}, must be {list(COLUMNS)}; rerun the stage `data`")
    for row in rows:
        if None in row or None in row.values():
            raise DataError(
                f"{path}:{rows.line_num}: has not {len(COLUMNS)} fields; quote fields that hold a comma, and leave"
                " empty ones empty"
            )
        labels = tuple(filter(None, row["labels"].split(LABEL_SEPARATOR)))
        yield Record(row["id"], row["image"], row["mask"], labels, row["split"], row["caption"])


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
