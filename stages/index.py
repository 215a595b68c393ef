"""The index: one CSV per split, one row per image. Every stage after `data` starts from it."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stages.class_names import background_fault
from stages.errors import DataError
from stages.files import write_csv, write_text

COLUMNS = ("id", "image", "mask", "labels", "split", "caption")
BESIDE = "./"  # paths that start with this are relative to the index itself
LABEL_SEPARATOR = ";"  # class names may contain spaces (COCO's do)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Record:
    """One image: paths relative to the dataset root, class names as tags; `mask` and `caption` may be empty.

    A mask that tagmask made is next to the index: its path is absolute here, and `./...` in the file.
    fault: what the reader found wrong with it, with the cure; no index contains an image with a fault.
    """

    id: str
    image: str
    mask: str
    labels: tuple[str, ...]
    split: str
    caption: str = ""
    fault: str = ""


def write_index(path: Path, records: Sequence[Record]) -> None:
    """Writes an index CSV atomically."""
    write_csv(path, [COLUMNS, *(_to_row(record, Path(path).parent) for record in records)])


def read_index(path: Path) -> list[Record]:
    """Reads an index CSV. Raises DataError for a missing file, other columns, or a duplicate id."""
    records = read_rows(path)
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise DataError(f"{path}: id {record.id!r} is duplicated; ids name files and must be unique in a split")
        seen.add(record.id)
    return records


def read_rows(path: Path) -> list[Record]:
    """`read_index` without the check for duplicate ids."""
    return [record for _, record in numbered_rows(path)]


def numbered_rows(path: Path) -> list[tuple[int, Record]]:
    """`read_rows`, with the line of each row."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such index; the stage `data` writes it")
    return list(_parse_rows(path))


def tagged(records: Sequence[Record]) -> list[Record]:
    """The records that have tags: what compares images with texts learns from these."""
    return [record for record in records if record.labels]


def read_utf8(path: Path) -> str:
    """The text of a file, with its line ends unchanged. Raises DataError if it is not UTF-8."""
    try:
        # With or without the byte order mark that spreadsheets write.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); save it in UTF-8") from error


class Table(csv.DictReader):
    """The rows of a CSV. Raises DataError, with file and line, if the quoting is broken or a column is duplicated."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.StringIO(read_utf8(path), newline=""), strict=True)
        self.path = path
        names = self._checked(lambda: list(self.fieldnames or ()))
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{path}: column {twice!r} is duplicated; keep one of the two")

    def __next__(self) -> dict[str, str]:
        return self._checked(super().__next__)

    def _checked(self, read: Callable[[], Value]) -> Value:
        line = self.reader.line_num + 1
        try:
            return read()
        except csv.Error as error:
            raise DataError(
                f"{self.path}:{line}: the row that begins here is not CSV ({error}); put fields that contain a comma"
                " or a quote in quotes, and double each quote within"
            ) from error


def _to_row(record: Record, folder: Path) -> tuple[str, ...]:
    labels = LABEL_SEPARATOR.join(record.labels)
    return record.id, record.image, _to_file(record.mask, folder), labels, record.split, record.caption


def _to_file(mask: str, folder: Path) -> str:
    """A mask's path as written in an index in `folder`, so that results can be moved as a whole."""
    if mask and Path(mask).is_relative_to(folder.absolute()):
        return f"{BESIDE}{Path(mask).relative_to(folder.absolute()).as_posix()}"
    return mask


def _from_file(mask: str, folder: Path) -> str:
    return str(folder.absolute() / mask.removeprefix(BESIDE)) if mask.startswith(BESIDE) else mask


def _parse_rows(path: Path) -> Iterator[tuple[int, Record]]:
    rows = Table(path)
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise DataError(f"{path}: columns are {rows.fieldnames}, must be {list(COLUMNS)}; rerun the stage `data`")
    for row in rows:
        if None in row or None in row.values():
            raise DataError(
                f"{path}:{rows.line_num}: does not have {len(COLUMNS)} fields; quote fields that contain a comma, and"
                " leave empty ones empty"
            )
        labels = tuple(filter(None, row["labels"].split(LABEL_SEPARATOR)))
        mask = _from_file(row["mask"], path.parent)
        yield rows.line_num, Record(row["id"], row["image"], mask, labels, row["split"], row["caption"])


def write_classes(path: Path, classes: Sequence[str]) -> None:
    """Writes class names, one per line; line k (from 1) is mask value k."""
    write_text(path, "".join(f"{name}\n" for name in classes))


def read_classes(path: Path) -> tuple[str, ...]:
    """Reads the class names that `write_classes` wrote. Raises DataError if they name the background, whose value is 0
    in every mask: each class would be scored under its neighbour's name."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such class list; the stage `data` writes it")
    classes = tuple(read_utf8(path).splitlines())
    if fault := background_fault(classes):
        raise DataError(f"{path}: {fault}")
    return classes


def evenly_spaced(items: Sequence[Value], count: int) -> list[Value]:
    """`count` of the items at even distances, the first and the last among them; all where there are no more."""
    count = min(count, len(items))
    step = (len(items) - 1) / (count - 1) if count > 1 else 0.0
    return [items[round(place * step)] for place in range(count)]


def shard_of(records: Sequence[Record], shard: int, shards: int) -> list[Record]:
    """The rows of shard `shard` of `shards`: every `shards`-th row, so that shards are similar in size and content."""
    return list(records[shard::shards])
