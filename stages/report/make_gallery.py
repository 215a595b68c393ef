"""Makes the gallery: a page on which all val images can be filtered and sorted, with small pictures in a folder."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from stages.evaluate.image_scores import ImageScore, read_image_scores
from stages.files import atomic_folder, write_text
from stages.index import read_classes, read_index, shard_of
from stages.mask_folders import find_masks
from stages.pool import over_processes
from stages.report.gallery import Item, render_gallery, write_item
from stages.report.panels import read_maps
from stages.runtime.command import main, parser

log = logging.getLogger(__name__)


def write_numbered(item: Item, folder: Path) -> tuple[int, dict]:
    """`write_item` with the item's number, for work that finishes in any order."""
    return item.number, write_item(item, folder)


def find_items(results: Path, root: Path, shards: int, scores: Mapping[str, ImageScore]) -> Iterator[Item]:
    """The val images with their files and scores, shard by shard, so that only one shard's maps are in memory at a
    time. Raises DataError when a stage's files are missing."""
    records = read_index(results / "data/val.csv")
    numbers = {record.id: number for number, record in enumerate(records)}
    for shard in range(shards):
        own = shard_of(records, shard, shards)
        ids = [record.id for record in own]
        predictions = find_masks([results / f"segment/pseudo_masks/predictions/val/{shard}"], ids)
        pseudo_masks = find_masks([results / f"refine/masks/val/{shard}"], ids)
        maps = read_maps([results / f"localize/maps/val/{shard}.safetensors"], ids)
        for record in own:
            found = maps.pop(record.id).maps
            yield Item(
                number=numbers[record.id],
                id=record.id,
                image=root / record.image,
                tags=record.labels,
                pseudo_mask=pseudo_masks[record.id],
                prediction=predictions[record.id],
                truth=root / record.mask if record.mask else None,
                score=scores.get(record.id),
                heat=found.max(axis=0) if len(found) else None,
            )


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "results", "root", outputs=("pictures", "output"), settings=False)
    command.add_argument("--experiment", required=True, help="name of the experiment")
    command.add_argument("--shards", type=int, required=True, help="shards of val (data.shards)")
    command.add_argument("--images", type=Path, help="scores of val's images (CSV); without them nothing is ranked")
    command.add_argument("--processes", type=int, default=1)
    args = command.parse_args(arguments)
    classes = read_classes(args.results / "data/classes.txt")
    scores = read_image_scores(args.images) if args.images else {}
    items = find_items(args.results, args.root, args.shards, scores)
    with atomic_folder(args.pictures) as folder:
        jobs = ((item, folder) for item in items)
        entries = dict(over_processes(write_numbered, jobs, args.processes, title="gallery"))
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    page = render_gallery(
        experiment=args.experiment,
        split="val",
        classes=classes,
        entries=[entries[number] for number in sorted(entries)],
        folder=args.pictures.name,
    )
    write_text(args.output, page)
    log.info(
        "%s: %d images, %.1f MB of pictures, %.2f MB the page", args.output, len(entries), megabytes, len(page) / 1e6
    )


if __name__ == "__main__":
    main(run)
