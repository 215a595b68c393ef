"""Makes the gallery: a page on which all val images can be filtered and sorted, with small pictures beside it."""

import logging
from pathlib import Path

from stages.command import main, parse_settings, parser
from stages.files import atomic_folder, write_text
from stages.index import read_classes, read_index
from stages.mask_folders import find_masks
from stages.pool import over_processes
from stages.report.gallery import Item, render_gallery, write_item
from stages.report.panels import mask_shards, read_maps
from stages.settings import ReportSettings

log = logging.getLogger(__name__)


def write_numbered(item: Item, classes: tuple[str, ...], folder: Path) -> tuple[int, dict]:
    """`write_item` with the item's number, for work that finishes in any order."""
    return item.number, write_item(item, classes, folder)


def find_items(results: Path, root: Path) -> list[Item]:
    """The val images with their files. Raises DataError when a stage's files are missing."""
    records = read_index(results / "data/val.csv")
    ids = [record.id for record in records]
    predictions = find_masks(mask_shards(results / "segment/pseudo_masks/predictions/val"), ids)
    pseudo_masks = find_masks(mask_shards(results / "refine/masks/val"), ids)
    maps = read_maps(sorted((results / "localize/maps/val").glob("*.safetensors")), ids)
    return [
        Item(
            number=number,
            id=record.id,
            image=root / record.image,
            tags=record.labels,
            pseudo_mask=pseudo_masks[record.id],
            prediction=predictions[record.id],
            truth=root / record.mask if record.mask else None,
            maps=maps[record.id],
        )
        for number, record in enumerate(records)
    ]


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "results", "root", "pictures", "output")
    command.add_argument("--experiment", required=True, help="name of the experiment")
    command.add_argument("--processes", type=int, default=1)
    args = command.parse_args(arguments)
    parse_settings(ReportSettings, args.settings)
    classes = read_classes(args.results / "data/classes.txt")
    items = find_items(args.results, args.root)
    with atomic_folder(args.pictures) as folder:
        jobs = ((item, classes, folder) for item in items)
        entries = dict(over_processes(write_numbered, jobs, args.processes, title="gallery"))
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    page = render_gallery(
        experiment=args.experiment,
        split="val",
        classes=classes,
        entries=[entries[number] for number in range(len(items))],
        folder=args.pictures.name,
    )
    write_text(args.output, page)
    log.info(
        "%s: %d images, %.1f MB of pictures, %.2f MB the page", args.output, len(items), megabytes, len(page) / 1e6
    )


if __name__ == "__main__":
    main(run)
