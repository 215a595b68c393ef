"""Joins the indexes of several splits into one, for training or scoring on them together."""

import argparse
from pathlib import Path

from stages.errors import DataError
from stages.index import Record, read_index, write_index
from stages.runtime.command import main, output_path


def join_indexes(paths: list[Path]) -> list[Record]:
    """The records of all indexes, in order. Raises DataError if an id is in two of them."""
    records: dict[str, Record] = {}
    for path in paths:
        for record in read_index(path):
            if record.id in records:
                raise DataError(
                    f"{path}: id {record.id!r} is also in {records[record.id].split}, so the two splits cannot be"
                    " combined; rename one of the files, or use the splits separately"
                )
            records[record.id] = record
    return list(records.values())


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--indexes", type=Path, nargs="+", required=True, help="the indexes, in order")
    options.add_argument("--output", type=output_path, required=True)
    args = options.parse_args(arguments)
    write_index(args.output, join_indexes(args.indexes))


if __name__ == "__main__":
    main(run)
