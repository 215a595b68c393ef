"""The confusion matrix as a table and as a picture."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stages.errors import DataError
from stages.files import atomic_path, write_csv

# With more labels the numbers in the cells would overlap.
MOST_WITH_NUMBERS = 25
MOST_WITH_NAMES = 100
INCHES_A_LABEL = 0.42


def write_confusion(path: Path, confusion: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Pixel counts [labels, labels] as CSV, atomically: one row per true label, one column per predicted label."""
    counts = ((label, *row) for label, row in zip(labels, confusion.tolist(), strict=True))
    write_csv(path, [("true", *labels), *counts])


def read_confusion(path: Path) -> NDArray[np.int64]:
    """The pixel counts [labels, labels] that `write_confusion` wrote. Raises DataError when the file is not one."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))[1:]
        counts = np.array([[int(value) for value in row[1:]] for row in rows], dtype=np.int64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a confusion matrix ({error}); delete it and rerun `evaluate`") from error
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise DataError(f"{path}: not a confusion matrix (of {counts.shape}); delete it and rerun `evaluate`")
    return counts


def shares(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Percent of each true label's pixels predicted as each label; nan in the rows of labels without pixels."""
    totals = confusion.sum(axis=1, keepdims=True)
    return 100 * np.divide(confusion, totals, out=np.full(confusion.shape, np.nan), where=totals > 0)


def plain(name: str) -> str:
    """A user's name escaped for matplotlib, where `$` would start a formula."""
    return name.replace("$", r"\$")


def confusion_figure(confusion: NDArray[np.int64], labels: Sequence[str], *, title: str) -> Figure:
    """A heat map of `shares`, true labels as rows, with numbers if there is room for them."""
    count = len(labels)
    side = 2.2 + INCHES_A_LABEL * min(count, 60)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    values = shares(confusion)
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, shrink=0.8, label="% of the true class's pixels")
    axes.set_title(title)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    size = 9 if count <= MOST_WITH_NUMBERS else 6
    if count <= MOST_WITH_NAMES:
        names = [plain(label) for label in labels]
        axes.set_xticks(range(count), names, rotation=90, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
    if count <= MOST_WITH_NUMBERS:
        for row, column in np.argwhere(~np.isnan(values)):
            value = values[row, column]
            axes.text(
                column, row, f"{value:.0f}", ha="center", va="center", fontsize=8,
                color="black" if value > 60 else "white",
            )  # fmt: skip
    return figure


def draw_confusion(path: Path, confusion: NDArray[np.int64], labels: Sequence[str], *, title: str) -> None:
    """Writes the picture as PNG, atomically."""
    with atomic_path(path) as temporary:
        confusion_figure(confusion, labels, title=title).savefig(temporary, format="png", dpi=110)
