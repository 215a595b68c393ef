"""Joins the doubts of a split's shards into one table, the most doubtful image first, and names the first ten."""

import logging
from pathlib import Path

from stages.evaluate.doubt_table import most_doubtful_first, read_doubts, summary_of, write_doubts
from stages.refine.mended import read_mended_list
from stages.runtime.command import main, parser

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, many=("doubts",), outputs=("output",), settings=False)
    command.add_argument("--mended", type=Path, help="list of the masks mended by hand, which are not doubted")
    args = command.parse_args(arguments)
    images = {name: image for path in args.doubts for name, image in read_doubts(path).items()}
    mended = frozenset(row.id for row in read_mended_list(args.mended)) if args.mended else frozenset()
    doubts = most_doubtful_first(images.values(), mended=mended)
    write_doubts(args.output, doubts)
    log.info(
        "%d images in %s. Look at these masks first (doubt, id):\n%s", len(doubts), args.output, summary_of(doubts)
    )


if __name__ == "__main__":
    main(run)
