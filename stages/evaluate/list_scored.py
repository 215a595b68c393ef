"""Lists the training images to score, those in `evaluate.train_list`; checked before anything is trained."""

import logging
from collections.abc import Sequence
from pathlib import Path

from stages.data.left_out import read_left_out
from stages.errors import DataError
from stages.evaluate.truth import read_list
from stages.files import write_text
from stages.index import read_index
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EvaluateSettings

log = logging.getLogger(__name__)


def scored_ids(wanted: Sequence[str], there: Sequence[str], left_out: Sequence[str], *, source: Path) -> list[str]:
    """The listed ids that exist, in the list's order; ids of images that were left out are skipped.

    Raises DataError for an id that is no image's, and if no id remains.
    """
    known = set(there)
    expected = known | set(left_out)
    asked = dict.fromkeys(wanted)
    unknown = [name for name in asked if name not in expected]
    if unknown:
        raise DataError(
            f"evaluate.train_list: {source} lists {len(unknown)} ids that are no training image, first {unknown[0]!r};"
            " give a list of images of train"
        )
    kept = [name for name in asked if name in known]
    if not kept:
        raise DataError(f"evaluate.train_list: {source} lists no usable image; give a list of images of train")
    if len(kept) < len(asked):
        count = len(asked) - len(kept)
        log.warning("%s: %d of %d images were left out of train (data.on_error: skip)", source, count, len(asked))
    return kept


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", outputs=("output",))
    command.add_argument("--left-out", type=Path, required=True, help="table of the training images left out")
    args = command.parse_args(arguments)
    source = parse_settings(EvaluateSettings, args.settings).train_list
    if source is None:
        raise DataError("evaluate.train_list: names no list of images; all of train are scored")
    left_out = [row.id for row in read_left_out(args.left_out)]
    there = [record.id for record in read_index(args.index)]
    ids = scored_ids(read_list(source, {*there, *left_out}), there, left_out, source=source)
    write_text(args.output, "".join(f"{name}\n" for name in ids))
    log.info("%d training images are scored", len(ids))


if __name__ == "__main__":
    main(run)
