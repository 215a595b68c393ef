"""Refines the maps of one shard into pseudo masks: a folder of indexed PNGs."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stages.errors import SettingsError
from stages.files import atomic_folder
from stages.index import Record, read_index
from stages.pool import over_processes
from stages.refine.background import Background
from stages.refine.maps_of_images import known_images
from stages.refine.pseudo_masks import ImageScores, write_pseudo_mask
from stages.refine.scoring import Walker, stay
from stages.runtime.command import main, parse_settings, parser
from stages.settings import CrfSettings, LocalizeSettings, RefineSettings
from stages.shards import ImageMaps, read_shard
from stages.thresholds import read_threshold

log = logging.getLogger(__name__)

# What needs less memory in a walk.
WALK_CURES = {
    "learned": "lower data.longest_side",
    "attention": "lower localize.maps.size",
    "features": "lower refine.affinity.size",
}
Job = tuple[Path, ImageScores, CrfSettings, Path, float | None]


def refine_jobs(
    images: Iterable[tuple[ImageMaps, Record]],
    root: Path,
    folder: Path,
    *,
    walker: Walker,
    backgrounds: Sequence[Background],
    crf: CrfSettings,
    ignore_below: float | None = None,
) -> Iterator[Job]:
    """The arguments of `write_pseudo_mask`, image by image; the next image's walk runs while others are labelled."""
    for image, record in images:
        path = root / record.image
        yield path, walker(path, image, backgrounds), crf, folder / f"{image.id}.png", ignore_below


def chosen_backgrounds(settings: RefineSettings, threshold: float | None, *, band: bool) -> list[Background]:
    """The background of the masks, or the two backgrounds of the ignore band where the training masks have one."""
    if band and not settings.ignores:
        raise SettingsError("refine.ignore_band: --band needs its two thresholds, or refine.ignore_below")
    if not band or settings.ignore_band is None:
        return [Background(settings, threshold)]
    between = settings.model_copy(update={"background": "threshold"})
    return [Background(between, limit) for limit in settings.ignore_band]


def chosen_walker(settings: RefineSettings, affinity: Path | None, localize: LocalizeSettings | None = None) -> Walker:
    """The walk chosen in the settings, or none. localize: of the localizer whose attention it follows."""
    if settings.affinity.kind == "none":
        return stay
    # Imported here, not above: each process of the pool imports this module again and does not need torch.
    from stages.devices import memory_for, pick_device
    from stages.refine.walkers import build_walker

    walker = build_walker(settings, affinity, pick_device(), localize)

    def walk(path: Path, image: ImageMaps, backgrounds: Sequence[Background]) -> ImageScores:
        with memory_for(f"{path} {image.size}", WALK_CURES[settings.affinity.kind]):
            return walker(path, image, backgrounds)

    return walk


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "maps", outputs=("output",))
    command.add_argument("--threshold", help="background threshold: a number, or the file of choose_threshold")
    command.add_argument(
        "--affinity",
        type=Path,
        help="trained affinity network, the localizer (attention), or weights of a frozen network (features)",
    )
    command.add_argument("--localize", help="settings of that localizer's maps: the section `localize`, as JSON")
    command.add_argument("--band", action="store_true", help="training masks: `ignore_band` and `ignore_below` as 255")
    command.add_argument("--processes", type=int, default=os.cpu_count(), help="processes that share the images")
    args = command.parse_args(arguments)
    settings = parse_settings(RefineSettings, args.settings)
    threshold = read_threshold(args.threshold).value if args.threshold else None
    backgrounds = chosen_backgrounds(settings, threshold, band=args.band)
    localize = parse_settings(LocalizeSettings, args.localize) if args.localize else None
    walker = chosen_walker(settings, args.affinity, localize)
    known = known_images(read_shard(args.maps), read_index(args.index))
    with atomic_folder(args.output) as folder:
        jobs = refine_jobs(
            known,
            args.root,
            folder,
            walker=walker,
            backgrounds=backgrounds,
            crf=settings.crf,
            ignore_below=settings.ignore_below if args.band else None,
        )
        count = sum(1 for _ in over_processes(write_pseudo_mask, jobs, args.processes, title="refine"))
    log.info("%d pseudo masks in %s", count, args.output)


if __name__ == "__main__":
    main(run, stored=("output",))
