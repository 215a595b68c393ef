"""Writes the frozen features that maps of one shard of a split are made from, for localizers that use `views`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from stages.devices import autocast, pick_device
from stages.errors import SettingsError
from stages.files import atomic_folder
from stages.index import Record, read_index, shard_of
from stages.localize.inference import group_by_size, normalised, read_batch
from stages.localize.map_features import MapFeatures
from stages.networks.pyramid import Pyramid, build_pyramid
from stages.runtime.command import main, parse_settings, parser
from stages.settings import LocalizeSettings, MapSettings, VitBackbone


def write_map_features(
    folder: Path, records: Sequence[Record], root: Path, *, pyramid: Pyramid, settings: MapSettings
) -> None:
    """Writes the features of the images in the same batches in which `make_maps` reads them."""
    device = pick_device()
    pyramid = pyramid.to(device).eval()
    features = MapFeatures(folder)
    with tqdm(total=len(records), desc="frozen features", unit="image", mininterval=1) as progress:
        for number, positions in enumerate(group_by_size(records, root, pyramid.stride, settings)):
            batch = read_batch(positions, records, root, pyramid.stride, settings)
            with torch.inference_mode(), autocast(device):
                features.write(
                    number,
                    [
                        pyramid.features(normalised(images, pyramid, settings, device))
                        for images in batch.scales
                        if isinstance(images, Tensor)
                    ],
                )
            progress.update(len(positions))


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
            pyramid=build_pyramid(settings.backbone, load_file(args.weights)),
            settings=settings.maps,
        )


if __name__ == "__main__":
    main(run, stored=("output",))
