"""Marks sure foreground and background in the images of one shard, for training the affinity network."""

import logging
import os

from stages.errors import SettingsError
from stages.files import atomic_folder
from stages.index import read_index
from stages.pool import over_processes
from stages.refine.maps_of_images import known_images
from stages.refine.sure_regions import write_sure_regions
from stages.runtime.command import main, parse_settings, parser
from stages.settings import LearnedAffinity, RefineSettings
from stages.shards import read_shard

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "maps", outputs=("output",))
    command.add_argument("--processes", type=int, default=os.cpu_count(), help="processes that share the images")
    args = command.parse_args(arguments)
    affinity = parse_settings(RefineSettings, args.settings).affinity
    if not isinstance(affinity, LearnedAffinity):
        raise SettingsError(f"refine.affinity.kind: {affinity.kind!r} learns nothing; set `learned`")
    known = known_images(read_shard(args.maps), read_index(args.index))
    with atomic_folder(args.output) as folder:
        jobs = ((args.root / record.image, image, affinity, folder / f"{image.id}.png") for image, record in known)
        count = sum(1 for _ in over_processes(write_sure_regions, jobs, args.processes, title="sure regions"))
    log.info("sure regions of %d images in %s", count, args.output)


if __name__ == "__main__":
    main(run, stored=("output",))
