"""Reads what the stages wrote under results/<experiment>: scores and training curves."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.errors import DataError
from stages.evaluate.scores import Score, read_score
from stages.evaluate.summarize import sort_scores
from stages.vocabulary import SCORED_STAGES


@dataclass(frozen=True)
class Curve:
    """One logged quantity over the steps of a training."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


def read_scores(paths: Sequence[Path]) -> list[Score]:
    """Scores in the order of the stages. Raises DataError for a file that is missing or is not a score."""
    return sort_scores(read_score(path) for path in paths)


def find_scores(folder: Path) -> list[Path]:
    """All score files of an experiment except those of wsolevaluation's protocol. Raises DataError if there is none."""
    paths = sorted(path for stage in SCORED_STAGES for path in folder.glob(f"{stage}-*.json"))
    if not paths:
        raise DataError(f"{folder}: no scores (*.json); run the stage `evaluate`")
    return paths


def read_curves(path: Path) -> dict[str, Curve]:
    """Curves by name from a training.csv with columns step, name, value. Raises DataError when it is missing."""
    if not path.is_file():
        raise DataError(f"{path}: no training curves; run the training that writes them")
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            for row in csv.DictReader(stream):
                points[row["name"]].append((int(row["step"]), float(row["value"])))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not a table of step, name, value ({error!r}); rerun the training") from error
    return {
        name: Curve(*(tuple(column) for column in zip(*sorted(pairs), strict=True))) for name, pairs in points.items()
    }
