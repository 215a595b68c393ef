"""Scores masks (pseudo masks or predictions) against true masks."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stages.errors import DataError
from stages.evaluate.boundary import boundary_counts, boundary_ious
from stages.evaluate.confusion import class_ious, confusion_matrix
from stages.evaluate.confusion_picture import draw_confusion, write_confusion
from stages.evaluate.image_scores import write_image_scores
from stages.evaluate.scores import Score, rates_of, write_score
from stages.evaluate.truth import check_mask, chosen_records, read_truth, require_masks
from stages.images import BACKGROUND_NAME, IGNORE, read_mask
from stages.index import Record, read_classes, read_index
from stages.mask_folders import find_masks
from stages.refine.mended import read_mended_list
from stages.runtime.command import main, parser
from stages.thresholds import read_threshold
from stages.vocabulary import MASK_STAGES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskCounts:
    """Pixels counted over all images: confusion [1 + C, 1 + C], and intersection and union of borders [2, 1 + C].

    images: IoU of each label on each single image [images, 1 + C], percent; nan if the image has no such label.
    """

    confusion: NDArray[np.int64]
    boundary: NDArray[np.int64]
    images: NDArray[np.float64]


def count_masks(pairs: Iterable[tuple[Path, Path]], classes: int) -> MaskCounts:
    """Counts over pairs of files: true mask, predicted mask.

    Raises DataError for masks of different sizes, for a value that is not a class, and for 255 in a prediction:
    leaving such pixels out would raise the score.
    """
    confusion = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    boundary = np.zeros((2, classes + 1), dtype=np.int64)
    images = []
    for truth_path, predicted_path in pairs:
        predicted = read_mask(predicted_path)
        truth = read_truth(truth_path, classes, predicted.shape)
        check_mask(predicted_path, predicted, classes, predicted.shape)
        if (predicted == IGNORE).any():
            raise DataError(
                f"{predicted_path}: a mask to be scored may not hold 255 (ignore); give every pixel a class"
            )
        own = confusion_matrix(truth, predicted, classes)
        confusion += own
        images.append(class_ious(own))
        boundary += boundary_counts(truth, predicted, classes)
    return MaskCounts(confusion, boundary, np.array(images).reshape(-1, classes + 1))


def boundary_fields(counts: MaskCounts, classes: Sequence[str]) -> dict:
    """The fields of Score for borders, averaged over the labels that have an IoU, as in mIoU."""
    ious = boundary_ious(counts.boundary)
    named = zip((BACKGROUND_NAME, *classes), ious.tolist(), strict=True)
    return {
        "boundary_iou": float(np.nanmean(ious)),
        "boundary_per_class": {name: None if np.isnan(iou) else iou for name, iou in named},
    }


def count_mended(records: Sequence[Record], listed: Path | None) -> int | None:
    """How many of the scored images have masks mended by hand; None without a list of them."""
    if listed is None:
        return None
    mended = {row.id for row in read_mended_list(listed)}
    return sum(record.split == "train" and record.id in mended for record in records)


def run(arguments: list[str] | None = None) -> None:
    command = parser(
        __doc__,
        "index",
        "root",
        "classes",
        many=("masks",),
        outputs=("output", "confusion", "picture", "images"),
        settings=False,
    )
    command.add_argument("--stage", required=True, choices=MASK_STAGES, help="what made the masks")
    command.add_argument("--split", required=True, help="name of the split")
    command.add_argument("--seed", type=int, required=True, help="the experiment's seed, noted in the score")
    command.add_argument("--threshold", help="background threshold that made the masks, if any: a number, or its file")
    command.add_argument("--power", type=float, help="exponent of the background score that made the masks, if any")
    command.add_argument("--language", help="the text-image model behind the masks, in words, noted in the score")
    command.add_argument("--round", type=int, help="of the segmenter that made the masks, from the second on")
    command.add_argument("--only", type=Path, help="list of the ids to score, one per line; default: all")
    command.add_argument("--mended", type=Path, help="list of the masks mended by hand, to be counted")
    args = command.parse_args(arguments)
    records, classes = chosen_records(read_index(args.index), args.only), read_classes(args.classes)
    of_maps = args.stage in ("pseudo_masks", "told_segmenter")
    require_masks(records, args.split, "evaluate.maps" if of_maps else "evaluate.segmenter")
    masks = find_masks(args.masks, (record.id for record in records))
    pairs = [(args.root / record.mask, masks[record.id]) for record in records]
    threshold = read_threshold(args.threshold) if args.threshold else None
    counts = count_masks(tqdm(pairs, unit="image", desc=f"score {args.stage}", mininterval=1), len(classes))
    score = Score(
        stage=args.stage,
        split=args.split,
        images=len(pairs),
        threshold=threshold.value if threshold else None,
        threshold_source=threshold.source if threshold else None,
        background_power=args.power,
        round=args.round,
        mended=count_mended(records, args.mended),
        seed=args.seed,
        language=args.language,
        **rates_of(counts.confusion, classes),
        **boundary_fields(counts, classes),
    )
    labels = (BACKGROUND_NAME, *classes)
    write_confusion(args.confusion, counts.confusion, labels)
    title = f"{args.stage.replace('_', ' ')}, {args.split}: mIoU {score.miou:.1f}"
    draw_confusion(args.picture, counts.confusion, labels, title=title)
    write_image_scores(args.images, [record.id for record in records], counts.images, labels)
    write_score(args.output, score)
    log.info("%s on %s: mIoU %.2f, boundary IoU %.2f", score.stage, score.split, score.miou, score.boundary_iou)


if __name__ == "__main__":
    main(run)
