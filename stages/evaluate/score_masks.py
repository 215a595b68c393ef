"""Scores masks (pseudo masks or predictions) against true masks."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stages.command import main, parse_settings, parser
from stages.errors import DataError
from stages.evaluate.confusion import confusion_matrix
from stages.evaluate.scores import Score, StageName, rates_of, write_score
from stages.evaluate.truth import check_mask, read_truth, require_masks
from stages.images import IGNORE, read_mask
from stages.index import read_classes, read_index
from stages.mask_folders import find_masks
from stages.settings import EvaluateSettings
from stages.thresholds import Threshold, read_threshold

log = logging.getLogger(__name__)

MASK_STAGES = tuple(name for name in get_args(StageName) if name != "maps")


def count_masks(pairs: Iterable[tuple[Path, Path]], classes: int) -> NDArray[np.int64]:
    """Confusion matrix [1 + classes, 1 + classes] int64 over pairs of files: true mask, predicted mask.

    Raises DataError for masks of two sizes, for a value that is no class, and for 255 in a prediction: leaving such
    pixels out would raise the score.
    """
    total = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for truth_path, predicted_path in pairs:
        predicted = read_mask(predicted_path)
        truth = read_truth(truth_path, classes, predicted.shape)
        check_mask(predicted_path, predicted, classes, predicted.shape)
        if (predicted == IGNORE).any():
            raise DataError(
                f"{predicted_path}: a mask to be scored may not hold 255 (ignore); give every pixel a class"
            )
        total += confusion_matrix(truth, predicted, classes)
    return total


def score_pairs(
    pairs: Sequence[tuple[Path, Path]],
    classes: Sequence[str],
    *,
    stage: StageName,
    split: str,
    seed: int,
    threshold: Threshold | None,
    power: float | None = None,
) -> Score:
    """The score of masks; `threshold` or `power` is what made their background, None where there was none."""
    confusion = count_masks(tqdm(pairs, unit="image", desc=f"score {stage}", mininterval=1), len(classes))
    return Score(
        stage=stage,
        split=split,
        images=len(pairs),
        threshold=threshold.value if threshold else None,
        threshold_source=threshold.source if threshold else None,
        background_power=power,
        seed=seed,
        **rates_of(confusion, classes),
    )


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", "output", many=("masks",))
    command.add_argument("--stage", required=True, choices=MASK_STAGES, help="what made the masks")
    command.add_argument("--split", required=True, help="name of the split")
    command.add_argument("--seed", type=int, required=True, help="the experiment's seed, noted in the score")
    command.add_argument("--threshold", help="background threshold that made the masks, if any: a number, or its file")
    command.add_argument("--power", type=float, help="exponent of the background score that made the masks, if any")
    args = command.parse_args(arguments)
    parse_settings(EvaluateSettings, args.settings)
    records, classes = read_index(args.index), read_classes(args.classes)
    require_masks(records, args.split, "evaluate.maps" if args.stage == "pseudo_masks" else "evaluate.segmenter")
    masks = find_masks(args.masks, (record.id for record in records))
    pairs = [(args.root / record.mask, masks[record.id]) for record in records]
    threshold = read_threshold(args.threshold) if args.threshold else None
    score = score_pairs(
        pairs, classes, stage=args.stage, split=args.split, seed=args.seed, threshold=threshold, power=args.power
    )
    write_score(args.output, score)
    log.info("%s on %s: mIoU %.2f", score.stage, score.split, score.miou)


if __name__ == "__main__":
    main(run)
