"""Predicts the masks of one shard of a split; with `--told`, only of the images' tags and background."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from stages.devices import pick_device
from stages.errors import DataError
from stages.files import atomic_folder
from stages.images import read_image, write_mask
from stages.index import Record, read_classes, read_index, shard_of
from stages.pool import over_processes
from stages.runtime.command import main, parse_settings, parser
from stages.segment.inference import class_probabilities, mask_of, told
from stages.segment.model import Segmenter, load_segmenter
from stages.settings import CrfSettings, InferenceSettings, SegmentSettings

Job = tuple[NDArray[np.uint8], NDArray[np.float32], CrfSettings | None, Path]


def probabilities_of(
    segmenter: Segmenter, records: Iterable[Record], root: Path, settings: InferenceSettings, *, tags: bool
) -> Iterator[tuple[str, NDArray[np.uint8], Tensor]]:
    """Yields each image's id, pixels [rows, columns, 3] and class probabilities [1 + C, rows, columns].

    tags: classes that are not among the image's tags get probability 0.
    """
    device = next(segmenter.model.parameters()).device
    positions = {name: position for position, name in enumerate(segmenter.classes)}
    for record in records:
        image = np.array(read_image(root / record.image))
        scores = class_probabilities(segmenter.model, torch.from_numpy(image).permute(2, 0, 1).to(device), settings)
        if tags:
            scores = told(scores, [positions[name] for name in record.labels])
        yield record.id, image, scores


def write_labels(
    image: NDArray[np.uint8], probabilities: NDArray[np.float32], crf: CrfSettings | None, path: Path
) -> None:
    """Writes the mask of one image."""
    write_mask(path, mask_of(image, probabilities, crf))


def write_masks(
    predicted: Iterable[tuple[str, NDArray[np.uint8], Tensor]],
    folder: Path,
    crf: CrfSettings | None,
    *,
    images: int,
    processes: int,
) -> None:
    """Writes `<id>.png` for each image; a CRF runs in several processes while the next image is predicted."""
    jobs: Iterator[Job] = (
        (image, scores.cpu().numpy(), crf, folder / f"{image_id}.png") for image_id, image, scores in predicted
    )
    if crf is None:
        for job in tqdm(jobs, total=images, desc="predict", unit="image"):
            write_labels(*job)
        return
    for _ in over_processes(write_labels, jobs, processes, title="predict and CRF"):
        pass


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", "segmenter", outputs=("output",))
    command.add_argument("--shard", type=int, required=True)
    command.add_argument("--shards", type=int, required=True)
    command.add_argument("--told", action="store_true", help="the images' tags are known")
    command.add_argument("--processes", type=int, default=1, help="processes of the CRF, if there is one")
    args = command.parse_args(arguments)
    settings = parse_settings(SegmentSettings, args.settings).inference
    segmenter = load_segmenter(args.segmenter)
    classes = read_classes(args.classes)
    if classes != segmenter.classes:
        raise DataError(f"{args.segmenter}: trained on {segmenter.classes}, not on {classes}; rerun its training")
    segmenter.model.to(pick_device())
    records = shard_of(read_index(args.index), args.shard, args.shards)
    predicted = probabilities_of(segmenter, records, args.root, settings, tags=args.told)
    with atomic_folder(args.output) as folder:
        write_masks(predicted, folder, settings.crf, images=len(records), processes=args.processes)


if __name__ == "__main__":
    main(run, stored=("output",))
