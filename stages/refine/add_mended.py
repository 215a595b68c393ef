"""Puts masks mended by hand in the place of the pseudo masks of one shard."""

import logging
import shutil
from pathlib import Path

from stages.errors import DataError
from stages.files import atomic_folder
from stages.images import read_mask, write_mask
from stages.refine.mended import filled
from stages.runtime.command import main, parser

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "masks", "mended", outputs=("output",), settings=False)
    command.add_argument("--fill", action="store_true", help="ignored pixels keep the pseudo mask's label, for scores")
    args = command.parse_args(arguments)
    if not args.masks.is_dir():
        raise DataError(f"{args.masks}: no such folder of pseudo masks; rerun `refine`")
    made = sorted(args.masks.glob("*.png"))
    count = 0
    with atomic_folder(args.output) as folder:
        for path in made:
            mended: Path = args.mended / path.name
            if not mended.is_file():
                shutil.copyfile(path, folder / path.name)
                continue
            count += 1
            if args.fill:
                write_mask(folder / path.name, filled(read_mask(mended), read_mask(path)))
            else:
                shutil.copyfile(mended, folder / path.name)
    log.info("%d of %d masks of %s are mended by hand", count, len(made), args.masks)


if __name__ == "__main__":
    main(run)
