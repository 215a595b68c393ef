"""Scores localization maps against true masks at every background threshold, and image scores against tags."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stages.evaluate.classification import Probabilities
from stages.evaluate.confusion import mean_iou
from stages.evaluate.listed_maps import read_images
from stages.evaluate.object_sizes import ObjectIous
from stages.evaluate.scores import FixedScore, ObjectScore, Score, rates_of, write_score
from stages.evaluate.threshold_sweep import Sample, sweep_confusions, threshold_grid
from stages.evaluate.truth import chosen_records, read_truth, require_masks
from stages.index import Record, read_classes, read_index
from stages.labelling import enlarge_maps
from stages.negatives import add_negatives
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EvaluateSettings
from stages.shards import ImageMaps
from stages.thresholds import Threshold, read_threshold

log = logging.getLogger(__name__)


def read_samples(images: Iterable[ImageMaps], records: Sequence[Record], root: Path, classes: int) -> Iterator[Sample]:
    """Maps at the image's size with the true mask of each image, one at a time."""
    masks = {record.id: root / record.mask for record in records}
    for image in images:
        truth = read_truth(masks[image.id], classes, image.size)
        yield Sample(enlarge_maps(image.maps, image.size), image.classes, truth)


def score_sweep(
    samples: Iterator[Sample],
    classes: Sequence[str],
    *,
    steps: int,
    threshold: Threshold | None,
    split: str,
    images: int,
    seed: int,
    language: str | None = None,
) -> Score:
    """The score at the best threshold of the sweep ("oracle"; the lowest if several), at `threshold`, and the sweep."""
    grid = threshold_grid(steps)
    thresholds = threshold_grid(steps, *([threshold.value] if threshold else []))
    objects = ObjectIous(len(thresholds))
    confusions = sweep_confusions(samples, thresholds, len(classes), objects=objects)
    on_grid = np.isin(thresholds, grid)
    mious = mean_iou(confusions)
    best = np.flatnonzero(on_grid)[mious[on_grid].argmax()]
    fixed = None
    if threshold:
        own = int(np.flatnonzero(thresholds == np.float32(threshold.value))[0])
        fixed = FixedScore(threshold=threshold.value, miou=float(mious[own]), source=threshold.source)
    return Score(
        stage="maps",
        split=split,
        images=images,
        threshold=round(float(thresholds[best]), 6),
        threshold_source="oracle",
        seed=seed,
        language=language,
        fixed=fixed,
        sweep=tuple((round(float(value), 6), float(miou)) for value, miou in zip(grid, mious[on_grid], strict=True)),
        object_iou={name: ObjectScore(objects=count, iou=iou) for name, count, iou in objects.means(int(best))},
        **rates_of(confusions[best], classes),
    )


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", many=("maps",), outputs=("output",))
    command.add_argument("--split", required=True, help="name of the split")
    command.add_argument("--seed", type=int, required=True, help="the experiment's seed, noted in the score")
    command.add_argument("--threshold", help="background threshold that `refine` uses: a number, or its file")
    command.add_argument(
        "--class-threshold", type=float, default=0.5, help="probability from which a class counts as found"
    )
    command.add_argument("--language", help="the text-image model behind the maps, in words, noted in the score")
    command.add_argument("--only", type=Path, help="list of the ids to score, one per line; default: all")
    add_negatives(command)
    args = command.parse_args(arguments)
    settings = parse_settings(EvaluateSettings, args.settings)
    listed, classes = read_index(args.index), read_classes(args.classes)
    records = chosen_records(listed, args.only)
    require_masks(records, args.split, "evaluate.maps")
    chosen = {record.id for record in records}
    probabilities = Probabilities()
    images = probabilities.collect(image for image in read_images(listed, args.maps) if image.id in chosen)
    samples = read_samples(images, records, args.root, len(classes))
    score = score_sweep(
        iter(tqdm(samples, total=len(records), unit="image", desc="score maps", mininterval=1)),
        classes,
        steps=settings.thresholds,
        threshold=read_threshold(args.threshold) if args.threshold else None,
        split=args.split,
        images=len(records),
        seed=args.seed,
        language=args.language,
    )
    classification = probabilities.score(records, classes, threshold=args.class_threshold, negatives=args.negatives)
    write_score(args.output, score.model_copy(update={"classification": classification}))
    log.info("maps on %s: mIoU %.2f at threshold %.2f (best)", args.split, score.miou, score.threshold)
    if classification:
        log.info("tags on %s: mAP %.2f, macro F1 %.2f", args.split, classification.map, classification.f1)


if __name__ == "__main__":
    main(run)
