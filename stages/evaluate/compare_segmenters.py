"""Writes the table of segmenters over seeds: on pseudo masks, in each round, on true masks, and using the tags."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from stages.evaluate.scores import Score, read_score
from stages.evaluate.summarize import sort_scores
from stages.evaluate.table_content import TableContent, write_content
from stages.evaluate.table_formats import TableRow, content_markdown, language_note
from stages.files import write_csv, write_text
from stages.runtime.command import main, output_path
from stages.words import ROUND_ROWS, SEGMENTER_ROWS

COLUMNS = ("row", "split", "images", "seeds", "miou", "deviation", "boundary_iou", "share_of_bound")
HEADINGS = ("", "split", "images", "seeds", "mIoU", "deviation", "boundary IoU", "% of the bound")
NOTE = (
    "mIoU in percent, mean and deviation over the segmenter's seeds; the pseudo masks are those of one localizer. The"
    " share is of the mean with true masks on the same split."
)

ROUNDS_NOTE = (
    "From round 2 on, the segmenter is trained on the masks that the one of the round before, using the tags, predicts"
    " on train."
)


def group_scores(scores: Sequence[Score]) -> list[TableRow]:
    """One row per stage, split and round, in the order of the stages."""
    groups: dict[tuple[str, str, int], list[Score]] = {}
    for score in sort_scores(scores):
        groups.setdefault((score.stage, score.split, score.round or 1), []).append(score)
    return [TableRow(row_title(stage, number), tuple(group)) for (stage, _, number), group in groups.items()]


def row_title(stage: str, number: int) -> str:
    """What a row is of: the stage, and the segmenter's round."""
    return SEGMENTER_ROWS[stage] if number == 1 else ROUND_ROWS[stage].format(number)


def share_of_bound(row: TableRow, rows: Sequence[TableRow]) -> float | None:
    """A segmenter's mean mIoU as a percentage of the mean with true masks on the same split; None for other rows."""
    first = row.scores[0]
    bounds = [
        other.miou for other in rows if (other.scores[0].stage, other.scores[0].split) == ("upper_bound", first.split)
    ]
    return 100 * row.miou / bounds[0] if first.stage == "segmenter" and bounds and bounds[0] else None


def cells(row: TableRow, rows: Sequence[TableRow], decimals: int) -> list[str]:
    """A row as text, in the order of COLUMNS."""
    first = row.scores[0]
    boundary_iou = row.mean(lambda score: score.boundary_iou)
    figures = (row.miou, row.deviation, boundary_iou, share_of_bound(row, rows))
    return [
        row.title,
        first.split,
        first.images_shown,
        " ".join(str(score.seed) for score in row.scores),
        *("" if figure is None else f"{figure:.{decimals}f}" for figure in figures),
    ]


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--scores", type=Path, required=True, nargs="+", help="score files (JSON)")
    options.add_argument("--table", type=output_path, required=True, help="CSV to write")
    options.add_argument("--markdown", type=output_path, required=True, help="Markdown to write")
    options.add_argument("--content", type=output_path, required=True, help="JSON to write, for the report")
    args = options.parse_args(arguments)
    scores = [read_score(path) for path in args.scores]
    rows = group_scores(scores)
    write_csv(args.table, [COLUMNS, *(cells(row, rows, 2) for row in rows)])
    rounds_note = ROUNDS_NOTE if any(score.round for score in scores) else ""
    content = TableContent(
        title="Segmenters",
        note=" ".join(filter(None, [NOTE, rounds_note, language_note(scores)])),
        columns=HEADINGS,
        rows=tuple(tuple(cells(row, rows, 1)) for row in rows),
    )
    write_text(args.markdown, content_markdown(content))
    write_content(args.content, content)


if __name__ == "__main__":
    main(run)
