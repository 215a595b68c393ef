"""Joins the doubts of a split's shards into one table, the most doubtful image first, and names the first ten."""

import logging
from pathlib import Path

from stages.data.id_lists import read_ids
from stages.evaluate.doubt_table import most_doubtful_first, read_doubts, summary_of, write_doubts
from stages.runtime.command import main, parser

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, many=("doubts",), outputs=("output",), settings=False)
    command.add_argument("--mended", type=Path, help="list of ids, one per line, whose masks were mended by hand")
    args = command.parse_args(arguments)
    images = {name: image for path in args.doubts for name, image in read_doubts(path).items()}
    mended = frozenset(read_ids(args.mended, known=images.__contains__) if args.mended else ())
    doubts = most_doubtful_first(images.values(), mended=mended)
    write_doubts(args.output, doubts)
    log.info(
        "%d images in %s. Look at these masks first (doubt, id):\n%s", len(doubts), args.output, summary_of(doubts)
    )


if __name__ == "__main__":
    main(run)
