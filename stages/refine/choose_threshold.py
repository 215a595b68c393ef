"""Chooses the background threshold: without true masks (auto), or from a score of the maps (oracle, for tables)."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stages.errors import DataError, SettingsError
from stages.files import read_json
from stages.index import read_index
from stages.pool import over_processes
from stages.refine.agreement import agreement, agreement_counts
from stages.refine.maps_of_images import known_images
from stages.runtime.command import main, parse_settings, parser
from stages.settings import CrfSettings, RefineSettings
from stages.shards import ImageMaps, read_shard
from stages.thresholds import Threshold, write_threshold

log = logging.getLogger(__name__)

AUTO = "mean IoU of background and objects between the maps' seeds and their own CRF masks, percent"
ORACLE = "mIoU of the maps with true masks, percent"


def auto_threshold(
    jobs: Iterator[tuple[Path, ImageMaps, tuple[float, ...], CrfSettings]],
    thresholds: Sequence[float],
    processes: int,
) -> list[tuple[float, float]]:
    """The agreement at each threshold, percent, over all jobs' images."""
    total = sum(over_processes(agreement_counts, jobs, processes, title="choose threshold"))
    if isinstance(total, int):
        raise DataError("no maps to choose a threshold on; rerun `localize`, or set a number")
    return [(value, float(mean)) for value, mean in zip(thresholds, agreement(total), strict=True)]


def oracle_curve(score: Path) -> list[tuple[float, float]]:
    """mIoU at each threshold, from the score file of the maps."""
    content = read_json(score)
    if content.get("stage") != "maps" or not content.get("sweep"):
        raise DataError(f"{score}: no score of maps with a sweep; rerun `evaluate`")
    return [(float(threshold), float(miou)) for threshold, miou in content["sweep"]]


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", outputs=("output",))
    command.add_argument("--maps", type=Path, nargs="+", default=[], help="map shards of train (auto)")
    command.add_argument("--score", type=Path, help="score of the maps (oracle)")
    command.add_argument("--processes", type=int, default=os.cpu_count(), help="processes that share the images")
    args = command.parse_args(arguments)
    settings = parse_settings(RefineSettings, args.settings)
    if settings.background_threshold == "oracle":
        if args.score is None:
            raise SettingsError("refine.background_threshold: oracle needs --score, the score of the maps")
        source, criterion, curve = "oracle", ORACLE, oracle_curve(args.score)
    elif settings.background_threshold == "auto":
        source, criterion, curve = "auto", AUTO, _auto_curve(args, settings)
    else:
        raise SettingsError(f"refine.background_threshold: {settings.background_threshold} is chosen already")
    # The lowest if several are equal, and never 0, where nothing is background.
    best = max((point for point in curve if point[0] > 0), key=lambda point: point[1])
    write_threshold(args.output, Threshold(best[0], source), curve, criterion=criterion)  # type: ignore[arg-type]
    log.info("background threshold %.3f (%s): %s %.1f", best[0], source, criterion, best[1])


def _auto_curve(args, settings: RefineSettings) -> list[tuple[float, float]]:
    records = [record for record in read_index(args.index) if record.labels]
    step = max(1, len(records) // settings.auto.images)
    chosen = {record.id for record in records[::step][: settings.auto.images]}
    thresholds = tuple(np.round(np.arange(1, settings.auto.steps) / settings.auto.steps, 6).tolist())
    known = known_images((image for shard in args.maps for image in read_shard(shard) if image.id in chosen), records)
    jobs = ((args.root / record.image, image, thresholds, settings.auto.crf) for image, record in known)
    return auto_threshold(jobs, thresholds, args.processes)


if __name__ == "__main__":
    main(run, stored=("output",))
