"""Puts all scores of an experiment into one table."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.evaluate.scores import Score, read_score
from stages.files import write_csv
from stages.runtime.command import main, output_path
from stages.settings import parts_of
from stages.vocabulary import SCORED_STAGES, SPLITS

COLUMNS = (
    "stage",
    "split",
    "images",
    "miou",
    "boundary_iou",
    "threshold",
    "threshold_source",
    "share_of_bound",
    "seed",
    "language",
    "mended",
    "round",
)


def sort_scores(scores: Iterable[Score]) -> list[Score]:
    """Sorts by stage, then train, val, test, then combined splits, then round."""
    return sorted(
        scores, key=lambda score: (SCORED_STAGES.index(score.stage), *split_order(score.split), score.round or 1)
    )


def split_order(split: str) -> tuple[int, list[int]]:
    """Sort key of a split: train, val, test, then combined splits."""
    places = [SPLITS.index(part) for part in parts_of(split)]
    return len(places), places


def share_of_bound(score: Score, scores: Iterable[Score]) -> float | None:
    """A segmenter's mIoU in percent of the upper bound's on the same split; None for other stages or without it."""
    bounds = [other.miou for other in scores if (other.stage, other.split) == ("upper_bound", score.split)]
    return 100 * score.miou / bounds[0] if score.stage == "segmenter" and bounds and bounds[0] else None


def table_rows(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    """One row of text per score, in the order of COLUMNS; rates with two decimals; empty if there is no value."""
    rows: list[tuple[str, ...]] = []
    for score in sort_scores(scores):
        share = share_of_bound(score, scores)
        rows.append(
            (
                score.stage,
                score.split,
                str(score.images),
                f"{score.miou:.2f}",
                "" if score.boundary_iou is None else f"{score.boundary_iou:.2f}",
                "" if score.threshold is None else f"{score.threshold:g}",
                score.threshold_source or "",
                "" if share is None else f"{share:.1f}",
                str(score.seed),
                score.language or "",
                "" if score.mended is None else str(score.mended),
                "" if score.round is None else str(score.round),
            )
        )
    return rows


def run(arguments: list[str] | None = None) -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--scores", type=Path, required=True, nargs="*", help="score files (JSON)")
    command.add_argument("--output", type=output_path, required=True, help="the table (CSV)")
    args = command.parse_args(arguments)
    rows = table_rows([read_score(path) for path in args.scores])
    write_csv(args.output, [COLUMNS, *rows])


if __name__ == "__main__":
    main(run)
