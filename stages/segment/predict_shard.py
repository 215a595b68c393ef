"""Predicts the masks of one shard of a split; with `--told`, only of the images' tags and background."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stages.errors import DataError
from stages.files import atomic_folder
from stages.images import image_size
from stages.index import read_classes, read_index, shard_of
from stages.pool import over_processes
from stages.runtime.command import main, parse_settings, parser
from stages.segment.labels import Labels, Probabilities, winners, write_labels
from stages.settings import CrfSettings, SegmentSettings

Size = tuple[int, int]
Job = tuple[NDArray[np.uint8], Labels, Probabilities, CrfSettings | None, Path, Size]


def write_masks(
    predicted: Iterable[tuple[str, NDArray[np.uint8], Probabilities]],
    folder: Path,
    crf: CrfSettings | None,
    *,
    sizes: Mapping[str, Size],
    processes: int,
) -> None:
    """Writes `<id>.png` for each image, at its size (rows, columns) of `sizes`; a CRF runs in several processes while
    the next image is predicted."""
    # Of 81 classes few win a pixel; to hand all to another process would cost more than to find them.
    jobs: Iterator[Job] = (
        (image, *winners(scores), crf, folder / f"{image_id}.png", sizes[image_id])
        for image_id, image, scores in predicted
    )
    if crf is None:
        for job in tqdm(jobs, total=len(sizes), desc="predict", unit="image"):
            write_labels(*job)
        return
    for _ in over_processes(write_labels, jobs, processes, title="predict and CRF"):
        pass


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", "segmenter", outputs=("output",))
    command.add_argument("--shard", type=int, required=True)
    command.add_argument("--shards", type=int, required=True)
    command.add_argument("--told", action="store_true", help="the images' tags are known")
    command.add_argument("--untagged-free", action="store_true", help="with --told: not in images without tags")
    command.add_argument("--processes", type=int, default=1, help="processes of the CRF, if there is one")
    command.add_argument("--longest-side", type=int, help="pixels at which larger images are predicted")
    args = command.parse_args(arguments)
    settings = parse_settings(SegmentSettings, args.settings).inference
    # Imported here, not above: each process of the pool imports this module again and does not need torch.
    from stages.devices import pick_device
    from stages.segment.inference import predict_images
    from stages.segment.model import load_segmenter

    segmenter = load_segmenter(args.segmenter)
    classes = read_classes(args.classes)
    if classes != segmenter.classes:
        raise DataError(f"{args.segmenter}: trained on {segmenter.classes}, not on {classes}; rerun its training")
    segmenter.model.to(pick_device())
    records = shard_of(read_index(args.index), args.shard, args.shards)
    predicted = predict_images(
        segmenter,
        records,
        args.root,
        settings,
        tags=args.told,
        untagged_free=args.untagged_free,
        longest_side=args.longest_side,
    )
    sizes = {record.id: image_size(args.root / record.image) for record in records}
    with atomic_folder(args.output) as folder:
        write_masks(predicted, folder, settings.crf, sizes=sizes, processes=args.processes)


if __name__ == "__main__":
    main(run, stored=("output",))
