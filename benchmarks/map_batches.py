"""Times maps of photos that all differ in size: in batches of one size, and in batches that mix sizes. Writes JSON.

Which of them is ours depends on the device (`stages.localize.inference.faster_grouping`). Both must give the same maps.
Weights are random; the precision is the device's usual one.

    python -m benchmarks.map_batches --json ratios.json
    python -m benchmarks.map_batches --json ratios.json --photos folder
"""

import argparse
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.timing import OURS, TABLE_HEAD, Way, ratios_to_ours
from stages.devices import pick_device
from stages.files import write_json
from stages.index import Record
from stages.localize.batches import Grouping, group_by_area, group_by_size, sizes_on_grid
from stages.localize.checkpoint import build_localizer
from stages.localize.inference import faster_grouping, make_maps
from stages.localize.localizer import Localizer
from stages.settings import LocalizeSettings, MapSettings, VitBackbone
from stages.shards import ImageMaps

CLASSES = tuple(f"class{number}" for number in range(20))
GROUPINGS: dict[str, Grouping] = {"by_size": group_by_size, "by_area": group_by_area}
SHORTEST, STEP, ASPECTS = 240, 16, 10  # of the generated photos: the shorter side, what sizes differ by, pixels


def write_photos(folder: Path, count: int, sources: Sequence[Path]) -> list[Record]:
    """Photos of `count` sizes, half of them upright: the sources in turn, resized, or coarse noise."""
    random = np.random.default_rng(0)
    records = []
    for number in range(count):
        sides = (SHORTEST + STEP * (number // ASPECTS), SHORTEST + STEP * (number // ASPECTS + number % ASPECTS))
        size = sides if number % 2 else sides[::-1]
        if sources:
            picture = Image.open(sources[number % len(sources)]).convert("RGB")
        else:
            picture = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        picture.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=95)
        tags = (CLASSES[number % 20], CLASSES[(number + 7) % 20])
        records.append(Record(f"photo{number}", f"{number}.jpg", "", tags, "val"))
    return records


def check_equal(ours: Sequence[ImageMaps], other: Sequence[ImageMaps]) -> None:
    """Raises AssertionError where maps, in [0, 1], differ by more than the arithmetic's precision."""
    by_name = {image.id: image for image in other}
    assert len(by_name) == len(ours)
    for image in ours:
        difference = float(np.abs(image.maps - by_name[image.id].maps).mean())
        assert difference < 0.01, f"{image.id}: maps differ by {difference:.4f}"


def compare(
    records: Sequence[Record], root: Path, *, localizer: Localizer, settings: LocalizeSettings, pairs: int
) -> tuple[dict[str, float], list[str]]:
    """Ratios by name, the other way's time over ours, and a table."""
    device = pick_device()
    usual = faster_grouping(localizer, device)

    def maps(grouping: Grouping) -> list[ImageMaps]:
        made = make_maps(
            records,
            root,
            localizer=localizer,
            classes=CLASSES,
            settings=settings,
            device=device,
            grouping=grouping,
        )
        return list(made)

    check_equal(*(maps(grouping) for grouping in GROUPINGS.values()))
    ways: dict[str, Way] = {OURS: lambda: maps(usual)}
    ways |= {name: lambda own=own: maps(own) for name, own in GROUPINGS.items() if own is not usual}  # type: ignore[misc]
    ratios, rows = ratios_to_ours(ways, pairs=pairs, device=device)
    return ratios, [*TABLE_HEAD, *rows]


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file for {name: ratio}")
    parser.add_argument("--photos", type=Path, help="folder of JPEGs to resize; default: noise")
    parser.add_argument("--images", type=int, default=100, help="photos, each of a size of its own; at most 100")
    parser.add_argument("--model", default="vit_small_patch16_224", help="timm ViT")
    parser.add_argument("--size", type=int, default=224, help="shorter side at scale 1, pixels")
    parser.add_argument("--batch-size", type=int, default=8, help="images that run at once")
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which every way is timed once")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    settings = LocalizeSettings(
        backbone=VitBackbone(model=args.model),
        maps=MapSettings(size=args.size, batch_size=args.batch_size, class_attention=True, patch_affinity=True),
    )
    text = F.normalize(torch.randn(len(CLASSES), 512), dim=1)
    localizer = build_localizer(settings, weights=None, text=text)
    sources = sorted(args.photos.glob("*.jp*g")) if args.photos else []
    with tempfile.TemporaryDirectory() as folder:
        records = write_photos(Path(folder), args.images, sources)
        grids = sizes_on_grid(records, Path(folder), localizer.stride, settings.maps)
        for name, grouping in GROUPINGS.items():
            logging.info("%s: %d batches", name, len(grouping(grids, args.batch_size)))
        ratios, lines = compare(records, Path(folder), localizer=localizer, settings=settings, pairs=args.pairs)
    write_json(args.json, ratios)
    print("\n".join(lines))


if __name__ == "__main__":
    run()
