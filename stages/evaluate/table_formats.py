"""Tables that compare variants of the localizer: means and deviations over seeds, next to published figures.

They are made from the scores of each row's maps, seed by seed, and from the cost of the trainings if known.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stages.evaluate.scores import Score
from stages.evaluate.table_content import TableContent
from stages.language import NONE


@dataclass(frozen=True)
class Cost:
    """What a localizer costs. None: not measured, or nothing is trained.

    epoch_seconds: one pass over the training images.  images_per_second: at inference.  memory_mb: peak in training.
    """

    epoch_seconds: float | None = None
    images_per_second: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True)
class TableRow:
    """A row: its title, the scores of its seeds, the corresponding published mIoU on VOC train, and its cost."""

    title: str
    scores: tuple[Score, ...]
    published: float | None = None
    cost: Cost | None = None

    def mean(self, value: Callable[[Score], float | None]) -> float | None:
        """The mean of a figure over the seeds that have it; None if none has."""
        found = [own for own in map(value, self.scores) if own is not None]
        return statistics.fmean(found) if found else None

    @property
    def miou(self) -> float:
        """Mean mIoU over the seeds, percent."""
        return statistics.fmean(score.miou for score in self.scores)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of the mIoU over the seeds; None for a single one."""
        return statistics.stdev(score.miou for score in self.scores) if len(self.scores) > 1 else None

    @property
    def miou_text(self) -> str:
        """Written as in a paper: 55.1 ± 0.8."""
        return f"{self.miou:.1f}" + ("" if self.deviation is None else f" ± {self.deviation:.1f}")


def object_iou(size: str) -> Callable[[Score], float | None]:
    """A function that takes the IoU of objects of a size from a score."""
    return lambda score: score.object_iou[size].iou if score.object_iou else None


def tag_map(score: Score) -> float | None:
    """The mean average precision of the image scores, from a score."""
    return score.classification.map if score.classification else None


# Column -> its figure; the sizes are those in stages.evaluate.object_sizes.
FIGURES: Mapping[str, Callable[[TableRow], float | None]] = {
    "miou": lambda row: row.miou,
    "deviation": lambda row: row.deviation,
    "false_positives": lambda row: row.mean(lambda score: score.false_positives),
    "false_negatives": lambda row: row.mean(lambda score: score.false_negatives),
    "small_objects": lambda row: row.mean(object_iou("small")),
    "medium_objects": lambda row: row.mean(object_iou("medium")),
    "large_objects": lambda row: row.mean(object_iou("large")),
    "tags_map": lambda row: row.mean(tag_map),
    "published_voc_train": lambda row: row.published,
}
COSTS: Mapping[str, Callable[[Cost], float | None]] = {
    "epoch_seconds": lambda cost: cost.epoch_seconds,
    "images_per_second": lambda cost: cost.images_per_second,
    "training_memory_mb": lambda cost: cost.memory_mb,
}


def table_csv(rows: Sequence[TableRow]) -> list[list[str]]:
    """Header and rows; figures with two decimals, empty if there is none."""
    costs = COSTS if any(row.cost for row in rows) else {}
    header = ["row", "split", "images", "seeds", *FIGURES, *costs]
    lines = [header]
    for row in rows:
        first = row.scores[0]
        seeds = " ".join(str(score.seed) for score in row.scores)
        figures = [figure(row) for figure in FIGURES.values()]
        figures += [cost(row.cost or Cost()) for cost in costs.values()]
        lines.append([row.title, first.split, str(first.images), seeds, *(_number(own, 2) for own in figures)])
    return lines


def class_means(rows: Sequence[TableRow]) -> dict[str, list[float | None]]:
    """Class -> mean IoU of each row over its seeds."""
    names = list(rows[0].scores[0].per_class)
    return {
        name: [row.mean(lambda score, name=name: score.per_class[name]) for row in rows]  # type: ignore[misc]
        for name in names
    }


def classes_csv(rows: Sequence[TableRow]) -> list[list[str]]:
    """Header and rows of the mean IoU of each class."""
    means = class_means(rows)
    lines = [["row", *means]]
    for position, row in enumerate(rows):
        lines.append([row.title, *(_number(own[position], 2) for own in means.values())])
    return lines


def row_cells(rows: Sequence[TableRow]) -> tuple[list[str], list[list[str]]]:
    """Columns that have any figure, then costs, and their cells as printed after the mIoU: one decimal, or empty."""
    columns = ["FP", "FN", "small", "medium", "large", "tags mAP", "published, VOC train"]
    cells = [[_number(FIGURES[name](row), 1) for name in list(FIGURES)[2:]] for row in rows]
    # Masks have no figures for objects and tags.
    kept = [position for position in range(len(columns)) if any(own[position] for own in cells)]
    columns, cells = [columns[position] for position in kept], [[own[position] for position in kept] for own in cells]
    if any(row.cost for row in rows):
        columns += ["s an epoch", "images/s", "training MB"]
        for row, own in zip(rows, cells, strict=True):
            own += [_number(cost(row.cost or Cost()), 1) for cost in COSTS.values()]
    return columns, cells


def table_content(rows: Sequence[TableRow], *, title: str, note: str) -> TableContent:
    """The table in the form used in papers."""
    columns, cells = row_cells(rows)
    body = [(row.title, row.miou_text, *own) for row, own in zip(rows, cells, strict=True)]
    return TableContent(title=title, note=note, columns=("", "mIoU", *columns), rows=tuple(body))


def table_markdown(content: TableContent, rows: Sequence[TableRow]) -> str:
    """The table, with the table per class below it."""
    means = class_means(rows)
    classes = [[row.title, *(_number(own[position], 1) for own in means.values())] for position, row in enumerate(rows)]
    return f"{content_markdown(content)}\nIoU of each class:\n\n{markdown_table(['', *means], classes)}\n"


def content_markdown(content: TableContent) -> str:
    """A table with its title and note."""
    return f"# {content.title}\n\n{content.note}\n\n{markdown_table(content.columns, content.rows)}\n"


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Rows of text below a header, as Markdown."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines)


def language_note(scores: Iterable[Score]) -> str:
    """Which text-image models the scores depend on, as a sentence; empty if the scores don't say."""
    found = list(dict.fromkeys(score.language for score in scores if score.language))
    named = [language for language in found if language != NONE]
    if not found:
        return ""
    if not named:
        return "Language: none."
    return f"Language: {'; '.join(named)}{', and none in other rows' if NONE in found else ''}."


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"
