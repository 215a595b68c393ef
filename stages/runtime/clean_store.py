"""Lists what a store of shared results contains, and deletes what no results use any more (`--delete`)."""

import argparse
import shutil
from pathlib import Path

from stages.errors import DataError
from stages.runtime.command import main
from stages.runtime.store import entries_of, size_of, unused


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--store", type=Path, required=True, help="the folder that the setting `store` names")
    options.add_argument("--delete", action="store_true", help="delete what no results use")
    args = options.parse_args(arguments)
    if not args.store.is_dir():
        raise DataError(f"{args.store}: no such folder; give the one in the setting `store`")
    entries = entries_of(args.store)
    free = unused(args.store)
    total, freed = (sum(map(size_of, chosen)) / 1e6 for chosen in (entries, free))
    print(f"{len(entries)} entries, {total:.1f} MB; {len(free)} of them, {freed:.1f} MB, unused")
    if args.delete:
        for entry in free:
            shutil.rmtree(entry)
        print(f"deleted {len(free)} entries")


if __name__ == "__main__":
    main(run)
