"""Reads the user's own dataset: `<root>/<split>.csv` with the columns of the index."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from stages.data.image_paths import image_key, refuse_misspelt
from stages.errors import DataError
from stages.index import COLUMNS, Record, numbered_rows
from stages.settings import DataSettings


def read_csv_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the CSV that lists them; an empty column `split` is filled in, and the tags of several
    rows of one id and image are joined.

    Raises DataError if the CSV is missing, has other columns, or contains rows of another split, rows of one image
    that contradict each other, or one image under several ids.
    """
    source = root / f"{split}.csv"
    if not source.is_file():
        raise DataError(f"{source}: no such file; data.format csv reads one CSV per split, columns {','.join(COLUMNS)}")
    joined: dict[tuple[str, str], Record] = {}
    first: dict[tuple[str, str], int] = {}
    rows = numbered_rows(source)
    refuse_misspelt(root, ((line, record.image.strip()) for line, record in rows), source=source)
    for line, record in rows:
        if record.split not in ("", split):
            raise DataError(
                f"{source}: {record.id} has split {record.split!r}, but this file is the split {split!r}; move the row"
            )
        own = _below_root(record, root, split)
        key = (own.id, image_key(root, own.image))
        if key in joined:
            own = join(joined[key], own, place=f"{source}:{line}", before=first[key])
        joined[key] = own
        first.setdefault(key, line)
    _refuse_several_ids(joined, first, source)
    return list(joined.values()), source


def _below_root(record: Record, root: Path, split: str) -> Record:
    """A row as its record: without the spaces around its fields, which would make two images of one."""
    labels = tuple(dict.fromkeys(filter(None, (label.strip() for label in record.labels))))
    below = Path(record.mask).is_relative_to(root.absolute())
    mask = str(Path(record.mask).relative_to(root.absolute())) if below else record.mask
    return dataclasses.replace(
        record, id=record.id.strip(), image=record.image.strip(), mask=mask.strip(), split=split, labels=labels
    )


def _refuse_several_ids(
    joined: Mapping[tuple[str, str], Record], first: Mapping[tuple[str, str], int], source: Path
) -> None:
    """Raises DataError if one image has several ids with other tags or masks, as tables with a row an object have: it
    would be learned, and scored, as background of what its other rows are tagged with."""
    known: dict[str, tuple[str, str]] = {}
    for key, record in joined.items():
        before = known.setdefault(key[1], key)
        other = joined[before]
        tags = record.labels and other.labels and set(record.labels) != set(other.labels)
        if tags or (record.mask and other.mask and record.mask != other.mask):
            raise DataError(
                f"{source}:{first[key]}: {record.image} has the id {record.id!r} here, but {other.id!r} in line"
                f" {first[before]}, with other {'tags' if tags else 'masks'}; give all rows of an image one id and one"
                " mask: their tags are joined"
            )


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
