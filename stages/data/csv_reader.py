"""Reads the user's own dataset: `<root>/<split>.csv` with the columns of the index."""

import dataclasses
from pathlib import Path

from stages.errors import DataError
from stages.index import COLUMNS, Record, numbered_rows
from stages.settings import DataSettings


def read_csv_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the CSV that lists them; an empty column `split` is filled in, and the tags of several
    rows of one id and image are joined.

    Raises DataError if the CSV is missing, has other columns, or contains rows of another split or rows of one image
    that contradict each other.
    """
    source = root / f"{split}.csv"
    if not source.is_file():
        raise DataError(f"{source}: no such file; data.format csv reads one CSV per split, columns {','.join(COLUMNS)}")
    joined: dict[tuple[str, str], Record] = {}
    first: dict[tuple[str, str], int] = {}
    for line, record in numbered_rows(source):
        if record.split not in ("", split):
            raise DataError(
                f"{source}: {record.id} has split {record.split!r}, but this file is the split {split!r}; move the row"
            )
        labels = tuple(dict.fromkeys(filter(None, (label.strip() for label in record.labels))))
        below = Path(record.mask).is_relative_to(root.absolute())
        mask = str(Path(record.mask).relative_to(root.absolute())) if below else record.mask
        own = dataclasses.replace(record, mask=mask, split=split, labels=labels)
        key = (own.id, own.image)
        if key in joined:
            own = join(joined[key], own, place=f"{source}:{line}", before=first[key])
        joined[key] = own
        first.setdefault(key, line)
    return list(joined.values()), source


def join(known: Record, other: Record, *, place: str, before: int) -> Record:
    """Two rows of one image as one: CSVs with a row a tag repeat it. place: file and line, for errors.  before: the
    line of the known row. Raises DataError if they name two masks or captions."""
    for name in ("mask", "caption"):
        old, new = getattr(known, name), getattr(other, name)
        if old and new and old != new:
            raise DataError(
                f"{place}: {known.id} has the {name} {new!r} here, but {old!r} in line {before}; rows of one image add"
                " tags, and must agree in all else"
            )
    return dataclasses.replace(
        known,
        labels=tuple(dict.fromkeys((*known.labels, *other.labels))),
        mask=known.mask or other.mask,
        caption=known.caption or other.caption,
    )
