"""Writes the table of the segmenters over seeds: on pseudo masks, on true masks, and told the tags on train."""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.command import main
from stages.evaluate.scores import Score, read_score
from stages.evaluate.summarize import sort_scores
from stages.evaluate.tables import markdown_table
from stages.evaluate.write_table import write_csv
from stages.files import write_text

TITLES = {
    "pseudo_masks": "pseudo masks, told the tags",
    "told_segmenter": "segmenter trained on them, told the tags",
    "segmenter": "segmenter trained on them",
    "upper_bound": "segmenter trained on true masks",
}
COLUMNS = ("row", "split", "images", "seeds", "miou", "deviation", "boundary_iou", "share_of_bound")
NOTE = (
    "mIoU in percent, mean and deviation over the segmenter's seeds; the pseudo masks are those of one localizer. The"
    " share is of the mean with true masks on the same split."
)


@dataclass(frozen=True)
class SegmenterRow:
    """The scores of one stage on one split, a seed each."""

    scores: tuple[Score, ...]

    @property
    def miou(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(score.miou for score in self.scores)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation; None for one seed."""
        return statistics.stdev(score.miou for score in self.scores) if len(self.scores) > 1 else None

    @property
    def boundary_iou(self) -> float | None:
        """Mean over the seeds that have one; None where none has."""
        found = [score.boundary_iou for score in self.scores if score.boundary_iou is not None]
        return statistics.fmean(found) if found else None


def group_scores(scores: Sequence[Score]) -> list[SegmenterRow]:
    """A row for each stage and split, in the order of the stages."""
    groups: dict[tuple[str, str], list[Score]] = {}
    for score in sort_scores(scores):
        groups.setdefault((score.stage, score.split), []).append(score)
    return [SegmenterRow(tuple(group)) for group in groups.values()]


def share_of_bound(row: SegmenterRow, rows: Sequence[SegmenterRow]) -> float | None:
    """A segmenter's mean mIoU in percent of the mean with true masks on the same split; None for other rows."""
    first = row.scores[0]
    bounds = [
        other.miou for other in rows if (other.scores[0].stage, other.scores[0].split) == ("upper_bound", first.split)
    ]
    return 100 * row.miou / bounds[0] if first.stage == "segmenter" and bounds and bounds[0] else None


def cells(row: SegmenterRow, rows: Sequence[SegmenterRow], decimals: int) -> list[str]:
    """A row as text, as COLUMNS."""
    first = row.scores[0]
    figures = (row.miou, row.deviation, row.boundary_iou, share_of_bound(row, rows))
    return [
        TITLES[first.stage],
        first.split,
        str(first.images),
        " ".join(str(score.seed) for score in row.scores),
        *("" if figure is None else f"{figure:.{decimals}f}" for figure in figures),
    ]


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--scores", type=Path, required=True, nargs="+", help="score files (JSON)")
    options.add_argument("--table", type=Path, required=True, help="CSV to write")
    options.add_argument("--markdown", type=Path, required=True, help="Markdown to write")
    args = options.parse_args(arguments)
    rows = group_scores([read_score(path) for path in args.scores])
    write_csv(args.table, [COLUMNS, *(cells(row, rows, 2) for row in rows)])
    header = ["", "split", "images", "seeds", "mIoU", "deviation", "boundary IoU", "% of the bound"]
    table = markdown_table(header, [cells(row, rows, 1) for row in rows])
    write_text(args.markdown, f"# Segmenters\n\n{NOTE}\n\n{table}\n")


if __name__ == "__main__":
    main(run)
