"""Compares doubts with true masks: how well each reason, and the doubt, orders images and regions by their IoU."""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from stages.errors import DataError
from stages.evaluate.doubt_table import Doubt, Reasons, read_doubts
from stages.evaluate.image_scores import ImageScore, read_image_scores
from stages.runtime.command import main

WORST = 0.1  # share of images that one wants to find
SHARES = (0.1, 0.2, 0.3)  # of images that one looks at
Pair = tuple[Reasons, float]  # and the true IoU


def pairs_of_images(doubts: Mapping[str, Doubt], scores: Mapping[str, ImageScore]) -> list[Pair]:
    """Each image's reasons and true mIoU, of those that have both. Raises DataError if fewer than two have."""
    found = [(doubt.whole, scores[name].miou) for name, doubt in doubts.items() if name in scores]
    if len(found) < 2:
        raise DataError("fewer than two images have a doubt and a score; give tables of the same split")
    return found


def pairs_of_classes(doubts: Mapping[str, Doubt], scores: Mapping[str, ImageScore]) -> list[Pair]:
    """The same of each class in each image; a class that is in neither truth nor mask has no IoU."""
    return [
        (reasons, scores[name].ious[label])
        for name, doubt in doubts.items()
        if name in scores
        for label, reasons in doubt.classes.items()
        if label in scores[name].ious
    ]


def judge(doubts: Sequence[float], ious: Sequence[float]) -> tuple[float, ...]:
    """Spearman's rank correlation of doubt and error (1: the same order), then the share of the worst tenth that is
    among the most doubtful tenth, fifth, and three tenths. Without any order the correlation is nan.

    >>> judge([0.9, 0.5, 0.1, 0.0], [10, 20, 30, 40])
    (1.0, 1.0, 1.0, 1.0)
    """
    varied = len(set(doubts)) > 1 and len(set(ious)) > 1
    correlation = float(spearmanr(doubts, [-iou for iou in ious]).statistic) if varied else math.nan
    return correlation, *(found_share(np.array(doubts), np.array(ious), share) for share in SHARES)


def found_share(doubts: NDArray[np.float64], ious: NDArray[np.float64], share: float) -> float:
    """The share of the worst tenth, by IoU, that is among the most doubtful `share`; at least one image each."""
    worst = np.argsort(ious, kind="stable")[: max(1, round(WORST * len(ious)))]
    seen = np.argsort(-doubts, kind="stable")[: max(1, math.ceil(share * len(ious)))]
    return len(np.intersect1d(worst, seen)) / len(worst)


def table_of(pairs: Sequence[Pair], title: str) -> str:
    """A table in Markdown: a row for each reason and for the doubt."""
    ious = [iou for _, iou in pairs]
    columns = {name: [asdict(reasons)[name] for reasons, _ in pairs] for name in asdict(pairs[0][0])}
    columns["doubt"] = [reasons.doubt for reasons, _ in pairs]
    head = [f"{title}, {len(pairs)}", "rank correlation", *(f"worst 10 % in first {share:.0%}" for share in SHARES)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, values in columns.items():
        correlation, *found = judge(values, ious)
        shown = "-" if math.isnan(correlation) else f"{correlation:.2f}"
        lines.append(f"| {name} | {shown} | {' | '.join(f'{share:.0%}' for share in found)} |")
    return "\n".join(lines)


def run(arguments: list[str] | None = None) -> None:
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--doubt", type=Path, required=True, help="doubts of a split: evaluate/doubt-SPLIT.csv")
    command.add_argument(
        "--images", type=Path, required=True, help="scores of its images: evaluate/pseudo_masks-SPLIT-images.csv"
    )
    args = command.parse_args(arguments)
    doubts, scores = read_doubts(args.doubt), read_image_scores(args.images)
    print(table_of(pairs_of_images(doubts, scores), "images"), end="\n\n")
    print(table_of(pairs_of_classes(doubts, scores), "classes in images"))


if __name__ == "__main__":
    main(run)
