"""Makes a gallery: a page on which a split's images can be filtered and sorted, with small pictures in a folder."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from stages.errors import SettingsError
from stages.evaluate.doubt_table import Doubt, read_doubts
from stages.evaluate.image_scores import ImageScore, read_image_scores
from stages.files import atomic_folder, write_text
from stages.index import read_classes, read_index, shard_of
from stages.mask_folders import find_masks
from stages.pool import over_processes
from stages.report.gallery import Item, render_gallery, write_item
from stages.report.panels import read_maps
from stages.runtime.command import main, parser
from stages.segment.rounds import PSEUDO_MASKS
from stages.vocabulary import SPLITS

log = logging.getLogger(__name__)


def write_numbered(item: Item, folder: Path) -> tuple[int, dict]:
    """`write_item` with the item's number, for work that finishes in any order."""
    return item.number, write_item(item, folder)


def find_items(
    results: Path,
    root: Path,
    shards: int,
    *,
    split: str,
    segmenter: str,
    view: str,
    scores: Mapping[str, ImageScore],
    doubts: Mapping[str, Doubt],
) -> Iterator[Item]:
    """The images of a split with their files, scores and doubts, shard by shard, so that only one shard's maps are in
    memory at a time. segmenter: its folder below `segment/`.  view: in which its predictions are shown.

    Raises DataError when a stage's files are missing."""
    records = read_index(results / f"data/{split}.csv")
    numbers = {record.id: number for number, record in enumerate(records)}
    for shard in range(shards):
        own = shard_of(records, shard, shards)
        ids = [record.id for record in own]
        predictions = find_masks([results / f"segment/{segmenter}/{view}/{split}/{shard}"], ids)
        pseudo_masks = find_masks([results / f"refine/masks/{split}/{shard}"], ids)
        maps = read_maps([results / f"localize/maps/{split}/{shard}.safetensors"], ids, split)
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
                doubt=doubts.get(record.id),
            )


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "results", "root", outputs=("pictures", "output"), settings=False)
    command.add_argument("--experiment", required=True, help="name of the experiment")
    command.add_argument("--split", choices=SPLITS, default="val", help="the split whose images are shown")
    command.add_argument("--segmenter", default=PSEUDO_MASKS, help="folder of the segmenter, below segment/")
    command.add_argument("--view", default="predictions", help="of the segmenter, in which predictions are shown")
    command.add_argument("--shards", type=int, required=True, help="shards of the split (data.shards)")
    command.add_argument("--images", type=Path, help="scores of its images (CSV), to sort by")
    command.add_argument("--doubt", type=Path, help="doubts of its pseudo masks (CSV), to sort by")
    command.add_argument("--links", default="{}", help="galleries of other splits, next to the page: JSON, split: file")
    command.add_argument("--processes", type=int, default=1)
    args = command.parse_args(arguments)
    classes = read_classes(args.results / "data/classes.txt")
    scores = read_image_scores(args.images) if args.images else {}
    try:
        links = json.loads(args.links)
    except json.JSONDecodeError as error:
        raise SettingsError(f"--links is not JSON ({error}); give the file of each split") from error
    items = find_items(
        args.results,
        args.root,
        args.shards,
        split=args.split,
        segmenter=args.segmenter,
        view=args.view,
        scores=scores,
        doubts=read_doubts(args.doubt) if args.doubt else {},
    )
    with atomic_folder(args.pictures) as folder:
        jobs = ((item, folder) for item in items)
        entries = dict(over_processes(write_numbered, jobs, args.processes, title="gallery"))
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    page = render_gallery(
        experiment=args.experiment,
        split=args.split,
        classes=classes,
        entries=[entries[number] for number in sorted(entries)],
        folder=args.pictures.name,
        told=args.view != "predictions",
        links=links,
    )
    write_text(args.output, page)
    log.info(
        "%s: %d images, %.1f MB of pictures, %.2f MB the page", args.output, len(entries), megabytes, len(page) / 1e6
    )


if __name__ == "__main__":
    main(run)
