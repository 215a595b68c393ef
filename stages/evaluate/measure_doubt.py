"""Measures how much the pseudo masks of one shard are to be doubted, without true masks."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from stages.evaluate.doubt import doubt_image
from stages.evaluate.doubt_table import write_doubts
from stages.index import Record, read_classes, read_index
from stages.mask_folders import find_masks
from stages.pool import over_processes
from stages.refine.background import Background
from stages.refine.make_masks import chosen_backgrounds, chosen_walker
from stages.refine.maps_of_images import known_images
from stages.refine.pseudo_masks import ImageScores
from stages.refine.scoring import Walker
from stages.runtime.command import main, parse_settings, parser
from stages.settings import CrfSettings, LocalizeSettings, RefineSettings
from stages.shards import ImageMaps, read_shard
from stages.thresholds import read_threshold

log = logging.getLogger(__name__)

Job = tuple[Path, ImageScores, list[str], CrfSettings, Path, Path]


def doubt_jobs(
    images: Iterable[tuple[ImageMaps, Record]],
    root: Path,
    classes: Sequence[str],
    *,
    walker: Walker,
    backgrounds: Sequence[Background],
    crf: CrfSettings,
    masks: Mapping[str, Path],
    predictions: Mapping[str, Path],
) -> Iterator[Job]:
    """The arguments of `doubt_image`, image by image; the next image's walk runs while others are compared."""
    for image, record in images:
        path = root / record.image
        names = [classes[position] for position in image.classes]
        yield path, walker(path, image, backgrounds), names, crf, masks[image.id], predictions[image.id]


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", "maps", "masks", "predictions", outputs=("output",))
    command.add_argument("--threshold", help="background threshold of the masks: a number, or its file")
    command.add_argument("--affinity", type=Path, help="trained affinity network, or the localizer (attention)")
    command.add_argument("--localize", help="settings of that localizer's maps: the section `localize`, as JSON")
    command.add_argument("--processes", type=int, default=os.cpu_count(), help="processes that share the images")
    args = command.parse_args(arguments)
    settings = parse_settings(RefineSettings, args.settings)
    threshold = read_threshold(args.threshold).value if args.threshold else None
    localize = parse_settings(LocalizeSettings, args.localize) if args.localize else None
    ids = [image.id for image in read_shard(args.maps)]
    jobs = doubt_jobs(
        known_images(read_shard(args.maps), read_index(args.index)),
        args.root,
        read_classes(args.classes),
        walker=chosen_walker(settings, args.affinity, localize),
        backgrounds=chosen_backgrounds(settings, threshold, band=False),
        crf=settings.crf,
        masks=find_masks([args.masks], ids),
        predictions=find_masks([args.predictions], ids),
    )
    found = {image.id: image for image in over_processes(doubt_image, jobs, args.processes, title="doubt")}
    write_doubts(args.output, [found[image_id] for image_id in ids])
    log.info("doubts of %d pseudo masks in %s", len(ids), args.output)


if __name__ == "__main__":
    main(run)
