"""Checks an archive for PASCAL VOC's evaluation server and says what is wrong with it."""

import argparse
import logging
from pathlib import Path

from stages.evaluate.submission import TEST_IMAGES, require_right, sizes_of_test
from stages.index import read_classes
from stages.runtime.command import main

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--archive", type=Path, required=True, help="the .tar.gz")
    command.add_argument("--index", type=Path, required=True, help="results/<experiment>/data/test.csv")
    command.add_argument("--root", type=Path, required=True, help="the dataset's folder (`data.root`)")
    command.add_argument("--classes", type=Path, required=True, help="results/<experiment>/data/classes.txt")
    command.add_argument("--images", type=int, default=TEST_IMAGES, help="length of the test list")
    args = command.parse_args(arguments)
    sizes = sizes_of_test(args.index, args.root, images=args.images)
    require_right(args.archive, sizes, classes=read_classes(args.classes))
    log.info("%s: right; %d masks", args.archive, len(sizes))


if __name__ == "__main__":
    main(run)
