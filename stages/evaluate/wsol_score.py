"""The score of maps by wsolevaluation's protocol, and its file: `evaluate/localization-<split>.json`."""

from pathlib import Path

from pydantic import ValidationError

from stages.errors import DataError
from stages.files import read_json, write_json
from stages.settings import Strict
from stages.vocabulary import SplitName


class LocalizationScore(Strict):
    """PxAP and pIoU, in percent, and what was scored.

    piou: the best IoU over all thresholds of this same split, at `peak_threshold`, as published tables give it.
    language: as in Score.
    iou: the IoU at `threshold`, which is val's best: on val the same as piou, on test chosen without test's masks.
    """

    split: SplitName
    images: int
    pxap: float
    piou: float
    peak_threshold: float
    iou: float
    threshold: float
    seed: int
    language: str | None = None


def write_localization(path: Path, score: LocalizationScore) -> None:
    """Writes a score as JSON, atomically."""
    write_json(path, score.model_dump(mode="json"))


def read_localization(path: Path) -> LocalizationScore:
    """Reads what `write_localization` wrote. Raises DataError when the file is missing or is no such score."""
    try:
        return LocalizationScore.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path}: not a score ({error.errors()[0]['msg']}); delete it and rerun `evaluate`") from error
