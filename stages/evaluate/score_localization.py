"""Scores maps of images with one tag as wsolevaluation does: PxAP and pIoU."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stages.errors import DataError
from stages.evaluate.listed_maps import read_images
from stages.evaluate.pixel_precision import SIDE, count_pixels, iou_at, normalise, peak_iou, pixel_average_precision
from stages.evaluate.truth import read_truth
from stages.evaluate.wsol_score import LocalizationScore, read_localization, write_localization
from stages.index import Record, read_index
from stages.mask_folders import find_masks
from stages.runtime.command import main, parser

log = logging.getLogger(__name__)


def read_pairs(
    records: Sequence[Record], shards: Sequence[Path], masks: Path
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Each image's map and mask as the protocol compares them. Raises DataError unless an image has exactly one tag."""
    paths = find_masks([masks], (record.id for record in records))
    for image in read_images(records, shards):
        if len(image.classes) != 1:
            raise DataError(
                f"{image.id}: has {len(image.classes)} tags, but PxAP needs images with one; leave"
                " evaluate.localization empty for such data"
            )
        yield normalise(image.maps[0]), read_truth(paths[image.id], 1, (SIDE, SIDE))


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "masks", many=("maps",), outputs=("output",), settings=False)
    command.add_argument("--split", required=True, help="name of the split")
    command.add_argument("--seed", type=int, required=True, help="the experiment's seed, noted in the score")
    command.add_argument("--language", help="the text-image model behind the maps, in words, noted in the score")
    command.add_argument("--chosen", type=Path, help="score of val, whose threshold is used; default: chosen here")
    args = command.parse_args(arguments)
    records = read_index(args.index)
    pairs = read_pairs(records, args.maps, args.masks)
    counts = count_pixels(tqdm(pairs, total=len(records), unit="image", desc="score localization", mininterval=1))
    if counts.objects.sum() == 0:
        raise DataError(f"{args.masks}: no mask shows an object; without one there is no PxAP")
    peak, threshold = peak_iou(counts)
    chosen = read_localization(args.chosen).peak_threshold if args.chosen else threshold
    score = LocalizationScore(
        split=args.split,
        images=len(records),
        pxap=pixel_average_precision(counts),
        piou=peak,
        peak_threshold=threshold,
        threshold=chosen,
        iou=iou_at(counts, chosen),
        seed=args.seed,
        language=args.language,
    )
    write_localization(args.output, score)
    log.info("%s: PxAP %.2f, pIoU %.2f, IoU %.2f at val's threshold", args.split, score.pxap, score.piou, score.iou)


if __name__ == "__main__":
    main(run)
