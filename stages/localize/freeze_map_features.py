"""Writes the frozen features that maps of one shard of a split are made from, for localizers that use `views`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from stages.devices import autocast, memory_for, pick_device
from stages.errors import SettingsError
from stages.files import atomic_folder
from stages.index import Record, read_index, shard_of
from stages.localize.batches import group_by_size, read_batch, sizes_on_grid
from stages.localize.inference import MEMORY_CURE, described, normalised
from stages.localize.map_features import MapFeatures
from stages.networks.pyramid import Pyramid, build_pyramid
from stages.runtime.command import main, parse_settings, parser
from stages.settings import LocalizeSettings, MapSettings, VitBackbone
from stages.tensors import read_tensors


def write_map_features(
    folder: Path, records: Sequence[Record], root: Path, *, pyramid: Pyramid, settings: MapSettings
) -> None:
    """Writes the features that `make_maps` reads, of images of one size together: a CNN cannot mix sizes."""
    device = pick_device()
    pyramid = pyramid.to(device).eval()
    features = MapFeatures(folder)
    with tqdm(total=len(records), desc="frozen features", unit="image", mininterval=1) as progress:
        grids = sizes_on_grid(records, root, pyramid.stride, settings)
        for parts in group_by_size(grids, settings.batch_size):
            batch = read_batch(parts, records, root, pyramid.stride, settings)
            for scale, (images,) in enumerate(batch.scales):
                assert isinstance(images, Tensor)  # read_batch gives no features
                memory = memory_for(described(batch, records), MEMORY_CURE)
                with memory, torch.inference_mode(), autocast(device):
                    levels = pyramid.features(normalised(images, pyramid, settings, device))
                features.write(batch.positions, scale, levels)
            progress.update(len(batch.positions))


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", "weights", outputs=("output",))
    options.add_argument("--shard", type=int, required=True)
    options.add_argument("--shards", type=int, required=True)
    args = options.parse_args(arguments)
    settings = parse_settings(LocalizeSettings, args.settings)
    if isinstance(settings.backbone, VitBackbone):
        raise SettingsError("localize.backbone.kind: `vit` has no frozen CNN whose features could be computed once")
    with atomic_folder(args.output) as folder:
        write_map_features(
            folder,
            shard_of(read_index(args.index), args.shard, args.shards),
            args.root,
            pyramid=build_pyramid(settings.backbone, read_tensors(args.weights, stage="encode")),
            settings=settings.maps,
        )


if __name__ == "__main__":
    main(run, stored=("output",))
