"""Writes the card of a trained model: what it is, what it was trained on, how good it is, how to use it."""

import logging
from pathlib import Path

from stages.evaluate.scores import read_score
from stages.evaluate.wsol_score import read_localization
from stages.files import write_text
from stages.report.cards import localizer_card, read_origin, segmenter_card
from stages.runtime.command import main, parser

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "provenance", "results", "output", settings=False)
    command.add_argument("--model", choices=("localizer", "segmenter"), required=True)
    command.add_argument("--scores", type=Path, nargs="*", default=[], help="scores of the experiment")
    command.add_argument("--localization", type=Path, nargs="*", default=[], help="scores by wsolevaluation's protocol")
    args = command.parse_args(arguments)
    origin = read_origin(args.provenance)
    scores = [read_score(path) for path in args.scores]
    if args.model == "localizer":
        card = localizer_card(origin, scores, [read_localization(path) for path in args.localization], args.results)
    else:
        card = segmenter_card(origin, scores, args.results)
    write_text(args.output, card)
    log.info("card of the %s: %s", args.model, args.output)


if __name__ == "__main__":
    main(run)
