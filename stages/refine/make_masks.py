"""Refines the maps of one shard to pseudo masks: a folder of indexed PNGs."""

import logging
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from stages.command import main, parse_settings, parser
from stages.errors import DataError
from stages.files import atomic_folder
from stages.index import Record, read_index
from stages.refine.pseudo_masks import write_pseudo_mask
from stages.settings import RefineSettings
from stages.shards import ImageMaps, read_shard

log = logging.getLogger(__name__)

Job = tuple[Path, ImageMaps, RefineSettings, Path]


def refine_jobs(
    images: Iterable[ImageMaps], records: Mapping[str, Record], root: Path, folder: Path, settings: RefineSettings
) -> Iterator[Job]:
    """The arguments of `write_pseudo_mask`, image by image. Raises DataError for an image that the index has not."""
    for image in images:
        if image.id not in records:
            raise DataError(
                f"maps of image {image.id!r}, which the index has not; delete the maps and rerun `localize`"
            )
        yield root / records[image.id].image, image, settings, folder / f"{image.id}.png"


def make_masks(jobs: Iterable[Job], processes: int) -> int:
    """Runs the jobs in `processes` processes (pydensecrf has one thread) and returns how many there were.

    At most two jobs a process wait at a time and no result is kept, so memory does not grow with the shard.
    """
    count = 0
    waiting: set[Future[None]] = set()
    # Spawned, not forked: fork copies the locks of tqdm's and the pool's threads in whatever state they are.
    with (
        ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool,
        tqdm(desc="refine", unit="image", mininterval=1) as progress,
    ):
        for job in jobs:
            waiting.add(pool.submit(write_pseudo_mask, *job))
            if len(waiting) >= 2 * processes:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                count += _collect(done, progress)
        count += _collect(waiting, progress)
    return count


def _collect(done: set[Future[None]], progress: tqdm) -> int:
    for future in done:
        future.result()  # raises what the job raised
        progress.update()
    return len(done)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "maps", "output")
    command.add_argument("--processes", type=int, default=os.cpu_count(), help="processes that share the images")
    args = command.parse_args(arguments)
    settings = parse_settings(RefineSettings, args.settings)
    records = {record.id: record for record in read_index(args.index)}
    with atomic_folder(args.output) as folder:
        count = make_masks(refine_jobs(read_shard(args.maps), records, args.root, folder, settings), args.processes)
    log.info("%d pseudo masks in %s", count, args.output)


if __name__ == "__main__":
    main(run)
