"""The scores of single images: `evaluate/<stage>-<split>-images.csv`, one row per image."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.errors import DataError
from stages.files import write_csv

COLUMNS = ("id", "miou")  # and one per label


@dataclass(frozen=True)
class ImageScore:
    """The scores of one image alone, percent.

    miou: the mean over `ious`.  ious: one per label in its truth or its mask.
    """

    miou: float
    ious: Mapping[str, float]


def write_image_scores(path: Path, ids: Sequence[str], ious: NDArray[np.float64], labels: Sequence[str]) -> None:
    """Writes the IoUs [images, labels], nan where an image lacks a label, and their mean; atomically.

    An image whose truth is 255 everywhere has no figures.
    """
    rows = []
    for image_id, own in zip(ids, ious, strict=True):
        figures = [float(np.nanmean(own)), *own.tolist()] if not np.isnan(own).all() else [np.nan] * (1 + len(own))
        rows.append((image_id, *("" if np.isnan(figure) else figure for figure in figures)))
    write_csv(path, [(*COLUMNS, *labels), *rows])


def read_image_scores(path: Path) -> dict[str, ImageScore]:
    """Scores by image, skipping images without figures. Raises DataError when the file is missing or damaged."""
    scores = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        # By position, since a class may have the name of a column.
        labels = header[len(COLUMNS) :]
        for image_id, miou, *ious in rows:
            named = {label: float(iou) for label, iou in zip(labels, ious, strict=True) if iou}
            if miou:
                scores[image_id] = ImageScore(float(miou), named)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: no scores of images ({error}); delete it and rerun `evaluate`") from error
    return scores
