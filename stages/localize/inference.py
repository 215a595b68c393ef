"""From images to localization maps: scales and flips summed at one size, each present class scaled to [0, 1].

Images run in batches, each with its mirrored copy: those of one size, or of similar areas where that is faster. While
the main thread computes, one thread reads the next batch and another finishes the previous one.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms
from tqdm import tqdm

from stages.devices import autocast, memory_for
from stages.finite import check_finite
from stages.index import Record
from stages.localize.batches import (
    Batch,
    Grouping,
    Parts,
    Size,
    frozen_batch,
    group_by_area,
    group_by_size,
    read_batch,
    sizes_on_grid,
)
from stages.localize.localizer import Localizer
from stages.localize.map_features import MapFeatures
from stages.localize.views import multi_hot
from stages.networks.pyramid import Pyramid
from stages.settings import LocalizeSettings, MapSettings
from stages.shards import ImageMaps

BROKEN = "the localizer or its backbone's weights are not whole; train it again from other weights or at a lower rate"
MEMORY_CURE = "lower localize.maps.size, scales or batch_size"


def make_maps(
    records: Sequence[Record],
    root: Path,
    *,
    localizer: Localizer,
    classes: Sequence[str],
    settings: LocalizeSettings,
    device: torch.device,
    features: MapFeatures | None = None,
    grouping: Grouping | None = None,
    longest_side: int | None = None,
    negatives: Collection[str] = (),
) -> Iterator[ImageMaps]:
    """Yields each image's maps of its tagged classes, batch by batch (not in the index's order).

    With `classes: predicted`, an image without tags gets maps of the classes that the classifier finds in it, except in
    the splits `negatives`, where it shows none. With the frozen CNN's `features` of these images, made with the same
    settings, no image is decoded.
    grouping: default, the faster one of this localizer on this device.  longest_side: larger images will be labelled at
    this size, so their maps are stored for it.
    """
    # A CNN's convolutions are faster in this layout, twice as fast on CPUs; a ViT has only one.
    localizer = localizer.to(device).to(memory_format=torch.channels_last).eval()
    labels = multi_hot(records, classes)
    predicted = settings.classes == "predicted"
    unknown = [predicted and not record.labels and record.split not in negatives for record in records]
    grids = sizes_on_grid(records, root, localizer.stride, settings.maps)
    batches = (grouping or faster_grouping(localizer, device))(grids, settings.maps.batch_size)

    def read(parts: Parts) -> Batch:
        if features is None:
            batch = read_batch(parts, records, root, localizer.stride, settings.maps)
        else:
            batch = frozen_batch(parts, records, root, features, settings.maps)
        return dataclasses.replace(batch, longest_side=longest_side)

    with (
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as finisher,
        tqdm(total=len(records), desc="maps", unit="image", mininterval=1) as progress,
    ):
        coming: Future[Batch] | None = None
        finishing: Future[list[ImageMaps]] | None = None
        for number, parts in enumerate(batches):
            batch = (coming or reader.submit(read, parts)).result()
            if number + 1 < len(batches):
                coming = reader.submit(read, batches[number + 1])
            with memory_for(described(batch, records), MEMORY_CURE), torch.inference_mode(), autocast(device):
                tags = labels[batch.positions] > 0
                maps, scores = locate_batch(batch, localizer, settings.maps, device, tags=tags)
            if finishing is not None:
                yield from finishing.result()
            finishing = finisher.submit(
                finish_batch, batch, maps, scores, records, labels, unknown, threshold=settings.class_threshold
            )
            progress.update(len(batch.positions))
        if finishing is not None:
            yield from finishing.result()


def described(batch: Batch, records: Sequence[Record]) -> str:
    """The images of a batch and their sizes."""
    pairs = zip(batch.positions, batch.sizes, strict=True)
    return ", ".join(f"{records[position].image} {size}" for position, size in pairs)


def faster_grouping(localizer: Localizer, device: torch.device) -> Grouping:
    """A GPU needs full batches. A CPU is busy with one image of each size, and would only compute what fills up the
    shorter ones (benchmarks/README.md, "map_batches")."""
    return group_by_area if localizer.mixes_sizes and device.type != "cpu" else group_by_size


def normalised(images: Tensor, localizer: Localizer | Pyramid, settings: MapSettings, device: torch.device) -> Tensor:
    """Images [B, 3, H, W] uint8 prepared for a network, followed by mirrored copies: float32, channels last."""
    images = transforms.to_dtype(images.to(device), torch.float32, scale=True)
    images = transforms.normalize(images, *map(list, localizer.statistics))
    if settings.flip:
        images = torch.cat((images, images.flip(-1)))
    return images.contiguous(memory_format=torch.channels_last)


def locate_batch(
    batch: Batch, localizer: Localizer, settings: MapSettings, device: torch.device, *, tags: Tensor | None = None
) -> tuple[list[Tensor], Tensor]:
    """Maps of all classes summed over scales and flips, each image's [C, rows, columns] at its stored size, and the
    mean of the image scores over them, logits [B, C].

    tags: the classes of each image as far as they are known, [B, C] bool; None: nothing is known of any.
    """
    copies_of = [own.to(device).repeat(1 + settings.flip, 1) for own in _split(tags, batch)] if tags is not None else []
    stored = [stored_size(size, settings.stride) for size in batch.working_sizes]
    totals: list[Tensor] = []
    scores: list[Tensor] = []
    for given in batch.scales:
        inputs = [_on_device(own, localizer, settings, device) for own in given]
        maps: list[Tensor] = []
        of_parts: list[Tensor] = []
        if tags is None:
            each = localizer.locate_each(inputs, settings)
        else:
            each = localizer.locate_tagged(inputs, settings, copies_of)
        for part, located in zip(batch.parts, each, strict=True):
            copies = located.maps.float().unflatten(0, (-1, len(part)))  # [1 or 2, b, C, rows, columns]
            maps += list(copies[0] + copies[1].flip(-1) if settings.flip else copies[0])
            of_parts.append(located.scores.float().unflatten(0, (-1, len(part))).mean(dim=0))
        scores.append(torch.cat(of_parts))
        enlarged = [
            F.interpolate(own[None], size=size, mode="bilinear", align_corners=False)[0]
            for own, size in zip(maps, stored, strict=True)
        ]
        totals = [total + more for total, more in zip(totals, enlarged, strict=True)] if totals else enlarged
    return totals, torch.stack(scores).mean(dim=0)


def _split(rows: Tensor, batch: Batch) -> tuple[Tensor, ...]:
    return rows.split([len(part) for part in batch.parts])


def _on_device(
    given: Tensor | list[Tensor], localizer: Localizer, settings: MapSettings, device: torch.device
) -> Tensor | list[Tensor]:
    if isinstance(given, Tensor):
        return normalised(given, localizer, settings, device)
    return [level.to(device).float() for level in given]


def finish_batch(
    batch: Batch,
    maps: Sequence[Tensor],
    scores: Tensor,
    records: Sequence[Record],
    labels: Tensor,
    unknown: Sequence[bool],
    *,
    threshold: float,
) -> list[ImageMaps]:
    """The maps to keep, scaled to [0, 1], with the probability of every class. Raises DataError if the localizer's maps
    are not finite, which scaling would hide.

    labels: tags of all records, [images, C].  unknown: records of which the maps of classes with a probability of
    `threshold` or more are kept, instead of those of the tags.
    """
    finished = []
    for position, size, working, own, probabilities in zip(
        batch.positions, batch.sizes, batch.working_sizes, maps, torch.sigmoid(scores).cpu(), strict=True
    ):
        check_finite(f"{records[position].id}: localization maps", {"a map": own}, BROKEN)
        present = probabilities >= threshold if unknown[position] else labels[position] > 0
        kept = present.nonzero().flatten()
        finished.append(
            ImageMaps(
                records[position].id,
                scale_to_one(own[kept.to(own.device)]).cpu().numpy(),
                kept.numpy().astype(np.int64),
                size,
                probabilities.numpy(),
                working if working != size else None,
            )
        )
    return finished


def stored_size(size: Size, stride: int) -> Size:
    """The size at which maps of an image are stored."""
    return -(-size[0] // stride), -(-size[1] // stride)


def scale_to_one(maps: Tensor) -> Tensor:
    """Each map [K, rows, columns] scaled to [0, 1] by its own minimum and maximum; a flat map becomes 0."""
    low = maps.amin(dim=(-2, -1), keepdim=True)
    span = maps.amax(dim=(-2, -1), keepdim=True) - low
    return torch.where(span > 0, (maps - low) / span.clamp(min=torch.finfo(maps.dtype).tiny), 0.0)
