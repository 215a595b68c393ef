"""The table of doubts: `evaluate/doubt-<split>.csv`, a row for each image and for each of its classes."""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from stages.errors import DataError
from stages.files import write_csv

# Of the reasons in the doubt; chosen on the demo's training images (docs/method.md).
WEIGHTS = {"crf": 2.0, "segmenter": 1.0, "margin": 1.0}
COLUMNS = ("id", "class", "doubt", *WEIGHTS)
SHOWN = 10  # images in a summary


@dataclass(frozen=True)
class Reasons:
    """Why to doubt the region of a class, or a whole mask, each in [0, 1].

    crf: 1 - IoU with the mask by a weaker CRF.  segmenter: 1 - IoU with the segmenter's prediction.
    margin: 1 - the difference of that CRF's best and second best probability, mean over the region.
    """

    crf: float
    segmenter: float
    margin: float

    @property
    def doubt(self) -> float:
        """The weighted mean of the reasons.

        >>> Reasons(0, 0, 0).doubt, Reasons(1, 1, 1).doubt
        (0.0, 1.0)
        """
        return float(np.average(astuple(self), weights=list(WEIGHTS.values())))

    @staticmethod
    def mean(several: Sequence["Reasons"]) -> "Reasons":
        """The mean of each reason over the classes of an image.

        >>> Reasons.mean([Reasons(0, 0.5, 1), Reasons(1, 0.5, 0)])
        Reasons(crf=0.5, segmenter=0.5, margin=0.5)
        """
        return Reasons(*np.mean([astuple(own) for own in several], axis=0).tolist())


NO_DOUBT = Reasons(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Doubt:
    """The reasons to doubt the pseudo mask of an image, and the regions of its classes, by name."""

    id: str
    whole: Reasons
    classes: Mapping[str, Reasons]


def write_doubts(path: Path, doubts: Iterable[Doubt]) -> None:
    """Writes each image's row, whose class is empty, followed by those of its classes; atomically."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for image in doubts:
        for name, reasons in {"": image.whole, **image.classes}.items():
            numbers = (reasons.doubt, *astuple(reasons))
            rows.append((image.id, name, *(f"{number:.4f}" for number in numbers)))
    write_csv(path, rows)


def read_doubts(path: Path) -> dict[str, Doubt]:
    """Doubts by image, in the order of the file. Raises DataError when the file is missing or damaged."""
    found: dict[str, Reasons] = {}
    classes: dict[str, dict[str, Reasons]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        if tuple(header) != COLUMNS:
            raise ValueError(f"columns {', '.join(header)} instead of {', '.join(COLUMNS)}")
        for image_id, name, _, *numbers in rows:
            reasons = Reasons(**dict(zip(WEIGHTS, map(float, numbers), strict=True)))
            if name:
                classes[image_id][name] = reasons
            else:
                found[image_id], classes[image_id] = reasons, {}
    except (OSError, LookupError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: no table of doubts ({error}); delete it and rerun `evaluate`") from error
    return {image_id: Doubt(image_id, whole, classes[image_id]) for image_id, whole in found.items()}


def most_doubtful_first(doubts: Iterable[Doubt], *, mended: Collection[str] = ()) -> list[Doubt]:
    """The doubts in descending order, equal ones by id.

    mended: ids of images whose masks people have mended by hand: nothing in them is doubted.
    """
    settled = (without_doubt(image) if image.id in mended else image for image in doubts)
    return sorted(settled, key=lambda image: (-image.whole.doubt, image.id))


def without_doubt(image: Doubt) -> Doubt:
    """The same image and classes, without a reason to doubt."""
    return Doubt(image.id, NO_DOUBT, dict.fromkeys(image.classes, NO_DOUBT))


def summary_of(doubts: Sequence[Doubt]) -> str:
    """The first images as text, one line each; `doubts` in descending order."""
    shown = [image for image in doubts[:SHOWN] if image.whole.doubt > 0]
    return "\n".join(f"{image.whole.doubt:.2f}  {image.id}" for image in shown) or "none is doubted"
