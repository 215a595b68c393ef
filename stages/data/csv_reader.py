"""Reads the user's own dataset: `<root>/<split>.csv` with the columns of the index."""

import dataclasses
from pathlib import Path

from stages.errors import DataError
from stages.index import COLUMNS, Record, read_rows
from stages.settings import DataSettings


def read_csv_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the CSV that lists them; an empty column `split` is filled in.

    Raises DataError if the CSV is missing, has other columns, or contains rows of another split.
    """
    source = root / f"{split}.csv"
    if not source.is_file():
        raise DataError(f"{source}: no such file; data.format csv reads one CSV per split, columns {','.join(COLUMNS)}")
    records = []
    for record in read_rows(source):
        if record.split not in ("", split):
            raise DataError(
                f"{source}: {record.id} has split {record.split!r}, but this file is the split {split!r}; move the row"
            )
        labels = tuple(dict.fromkeys(label.strip() for label in record.labels))
        below = Path(record.mask).is_relative_to(root.absolute())
        mask = str(Path(record.mask).relative_to(root.absolute())) if below else record.mask
        records.append(dataclasses.replace(record, mask=mask, split=split, labels=labels))
    return records, source
