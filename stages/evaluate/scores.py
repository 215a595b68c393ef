"""A score and its file: `evaluate/<stage>-<split>.json`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from stages.errors import DataError
from stages.evaluate.confusion import class_ious, error_rates, mean_iou
from stages.files import read_json, write_json
from stages.settings import Strict
from stages.vocabulary import StageName, ThresholdSource


class FixedScore(Strict):
    """The score of maps at the threshold that the stage `refine` uses."""

    threshold: float
    miou: float
    source: ThresholdSource = "fixed"


class ClassificationScore(Strict):
    """How well the localizer's classifier finds the tags of a split's images, in percent.

    map: mean average precision over the tagged classes.  f1: macro F1 at `threshold`, a probability.
    images: those whose tags are known, negatives among them; others do not count.
    """

    map: float
    f1: float
    threshold: float
    images: int


class ObjectScore(Strict):
    """The mean IoU, in percent, of the classes of single images that cover a similar share of their image.

    iou: None if the split has no such object.
    """

    objects: int
    iou: float | None


class Score(Strict):
    """What was scored, how, and the result. All rates in percent.

    per_class: IoU by name, "background" first; None if neither truth nor prediction has the class.
    false_positives, false_negatives: share of the union, averaged as `miou` is; the three sum to 100.
    threshold_source: "fixed" in the config; "auto": chosen without true masks; "oracle": chosen with true masks, for
    maps those of this same split, as in the published tables; None if no threshold is used.
    language: the text-image model behind the maps, and what it was trained on; "none" without one.
    background_power: exponent of the background score (1 - max)^power used for the masks instead of a threshold.
    round: of the segmenter that made the masks, from the second on; None for the first, and for other masks.
    mended: how many of the images have masks mended by hand, which are not the method's; None if the config names none.
    fixed, sweep: maps only; sweep holds (threshold, mIoU) over the grid of `evaluate.thresholds`.
    boundary_iou, boundary_per_class: masks only: IoU along the borders (`stages.evaluate.boundary`).
    object_iou: maps only, at `threshold`: by object size (`stages.evaluate.object_sizes`).
    classification: maps only; None if the shards hold no probabilities or the index no tags.
    """

    stage: StageName
    split: str
    images: int
    miou: float
    per_class: dict[str, float | None]
    false_positives: float
    false_negatives: float
    threshold: float | None
    threshold_source: ThresholdSource | None
    seed: int
    language: str | None = None
    background_power: float | None = None
    round: int | None = None
    mended: int | None = None
    fixed: FixedScore | None = None
    sweep: tuple[tuple[float, float], ...] | None = None
    object_iou: dict[str, ObjectScore] | None = None
    boundary_iou: float | None = None
    boundary_per_class: dict[str, float | None] | None = None
    classification: ClassificationScore | None = None

    @property
    def images_shown(self) -> str:
        """The number of images as tables show it: with that of masks mended by hand, if there are any."""
        return f"{self.images}, {self.mended} mended" if self.mended else str(self.images)


def rates_of(confusion: NDArray[np.int64], classes: Sequence[str]) -> dict:
    """The fields of Score computed from a confusion matrix [1 + classes, 1 + classes]."""
    ious = class_ious(confusion).tolist()
    false_positives, false_negatives = error_rates(confusion)
    return {
        "miou": float(mean_iou(confusion)),
        "per_class": {
            name: None if np.isnan(iou) else iou for name, iou in zip(("background", *classes), ious, strict=True)
        },
        "false_positives": false_positives,
        "false_negatives": false_negatives,
    }


def write_score(path: Path, score: Score) -> None:
    """Writes a score as JSON, atomically."""
    write_json(path, score.model_dump(mode="json"))


def read_score(path: Path) -> Score:
    """Reads what `write_score` wrote. Raises DataError when the file is missing or is not a score."""
    try:
        return Score.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path}: not a score ({error.errors()[0]['msg']}); delete it and rerun `evaluate`") from error
