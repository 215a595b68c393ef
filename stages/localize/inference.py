"""From images to localization maps: scales and flips summed at one size, each present class scaled to [0, 1].

Images of similar size run together, each with its mirrored copy. While the main thread computes, one thread reads the
next batch and another finishes the previous one.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms
from tqdm import tqdm

from stages.devices import autocast
from stages.images import image_size, read_image
from stages.index import Record
from stages.localize.localizer import Localizer
from stages.localize.map_features import MapFeatures
from stages.localize.views import multi_hot
from stages.networks.pyramid import Pyramid
from stages.settings import LocalizeSettings, MapSettings
from stages.shards import ImageMaps

Size = tuple[int, int]  # rows, columns


@dataclass(frozen=True)
class Batch:
    """Images with the same size on the patch grid at every scale.

    positions: rows of the index.  sizes: of the images themselves.  scales: the localizer's input at each scale:
    images, uint8 [B, 3, H, W], or the levels of their `MapFeatures`.
    """

    positions: list[int]
    sizes: list[Size]
    scales: list[Tensor | list[Tensor]]


def make_maps(
    records: Sequence[Record],
    root: Path,
    *,
    localizer: Localizer,
    classes: Sequence[str],
    settings: LocalizeSettings,
    device: torch.device,
    features: MapFeatures | None = None,
) -> Iterator[ImageMaps]:
    """Yields each image's maps of its tagged classes, batch by batch (not in the index's order).

    With `classes: predicted`, an image without tags gets maps of the classes that the classifier finds in it. With the
    frozen CNN's `features` of these images, made with the same settings, no image is decoded.
    """
    # A CNN's convolutions are faster in this layout, twice as fast on CPUs; a ViT has only one.
    localizer = localizer.to(device).to(memory_format=torch.channels_last).eval()
    labels = multi_hot(records, classes)
    batches = group_by_size(records, root, localizer.stride, settings.maps)

    def read(number: int) -> Batch:
        if features is None:
            return read_batch(batches[number], records, root, localizer.stride, settings.maps)
        return frozen_batch(number, batches[number], records, root, features, settings.maps)

    with (
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as finisher,
        tqdm(total=len(records), desc="maps", unit="image", mininterval=1) as progress,
    ):
        coming: Future[Batch] | None = None
        finishing: Future[list[ImageMaps]] | None = None
        for number, positions in enumerate(batches):
            batch = (coming or reader.submit(read, number)).result()
            if number + 1 < len(batches):
                coming = reader.submit(read, number + 1)
            with torch.inference_mode(), autocast(device):
                maps, scores = locate_batch(batch, localizer, settings.maps, device)
            if finishing is not None:
                yield from finishing.result()
            finishing = finisher.submit(finish_batch, batch, maps, scores, records, labels, settings)
            progress.update(len(positions))
        if finishing is not None:
            yield from finishing.result()


def group_by_size(records: Sequence[Record], root: Path, stride: int, settings: MapSettings) -> list[list[int]]:
    """Rows of the index in batches whose images have the same size on the patch grid at every scale."""
    groups: defaultdict[tuple[Size, ...], list[int]] = defaultdict(list)
    for position, record in enumerate(records):
        size = image_size(root / record.image)
        groups[tuple(size_on_grid(size, round(settings.size * scale), stride) for scale in settings.scales)].append(
            position
        )
    length = settings.batch_size
    return [group[start : start + length] for group in groups.values() for start in range(0, len(group), length)]


def read_batch(
    positions: Sequence[int], records: Sequence[Record], root: Path, stride: int, settings: MapSettings
) -> Batch:
    """Decodes the images and resizes them to every scale."""
    images = [read_image(root / records[position].image) for position in positions]
    scaled: list[Tensor | list[Tensor]] = [
        torch.stack(
            [transforms.pil_to_tensor(resize_to_grid(image, round(settings.size * scale), stride)) for image in images]
        )
        for scale in settings.scales
    ]
    return Batch(list(positions), [(image.height, image.width) for image in images], scaled)


def frozen_batch(
    number: int,
    positions: Sequence[int],
    records: Sequence[Record],
    root: Path,
    features: MapFeatures,
    settings: MapSettings,
) -> Batch:
    """The same batch, with features instead of images."""
    sizes = [image_size(root / records[position].image) for position in positions]
    images = len(positions) * (2 if settings.flip else 1)
    return Batch(list(positions), sizes, list(features.read(number, images=images, scales=len(settings.scales))))


def normalised(images: Tensor, localizer: Localizer | Pyramid, settings: MapSettings, device: torch.device) -> Tensor:
    """Images [B, 3, H, W] uint8 prepared for a network, followed by mirrored copies: float32, channels last."""
    images = transforms.to_dtype(images.to(device), torch.float32, scale=True)
    images = transforms.normalize(images, *map(list, localizer.statistics))
    if settings.flip:
        images = torch.cat((images, images.flip(-1)))
    return images.contiguous(memory_format=torch.channels_last)


def locate_batch(
    batch: Batch, localizer: Localizer, settings: MapSettings, device: torch.device
) -> tuple[list[Tensor], Tensor]:
    """Maps of all classes summed over scales and flips, each image's [C, rows, columns] at its stored size, and the
    mean of the image scores over them, logits [B, C]."""
    stored = [stored_size(size, settings.stride) for size in batch.sizes]
    totals: list[Tensor] = []
    scores: list[Tensor] = []
    for given in batch.scales:
        if isinstance(given, Tensor):
            located = localizer.locate(normalised(given, localizer, settings, device), settings)
        else:
            located = localizer.locate([level.to(device).float() for level in given], settings)
        count = len(batch.positions)
        maps = located.maps.float()
        if settings.flip:
            maps = maps[:count] + maps[count:].flip(-1)
        scores.append(located.scores.float().unflatten(0, (-1, count)).mean(dim=0))
        enlarged = [
            F.interpolate(own[None], size=size, mode="bilinear", align_corners=False)[0]
            for own, size in zip(maps, stored, strict=True)
        ]
        totals = [total + more for total, more in zip(totals, enlarged, strict=True)] if totals else enlarged
    return totals, torch.stack(scores).mean(dim=0)


def finish_batch(
    batch: Batch,
    maps: Sequence[Tensor],
    scores: Tensor,
    records: Sequence[Record],
    labels: Tensor,
    settings: LocalizeSettings,
) -> list[ImageMaps]:
    """The maps to keep, scaled to [0, 1], with the probability of every class."""
    finished = []
    for position, size, own, probabilities in zip(
        batch.positions, batch.sizes, maps, torch.sigmoid(scores).cpu(), strict=True
    ):
        present = labels[position] > 0
        if settings.classes == "predicted" and not present.any():
            present = probabilities >= settings.class_threshold
        kept = present.nonzero().flatten()
        finished.append(
            ImageMaps(
                records[position].id,
                scale_to_one(own[kept.to(own.device)]).cpu().numpy(),
                kept.numpy().astype(np.int64),
                size,
                probabilities.numpy(),
            )
        )
    return finished


def stored_size(size: Size, stride: int) -> Size:
    """The size at which maps of an image are stored."""
    return -(-size[0] // stride), -(-size[1] // stride)


def size_on_grid(size: Size, shorter: int, stride: int) -> Size:
    """The size scaled so that its shorter side is near `shorter`, both sides rounded to multiples of `stride`."""
    factor = shorter / min(size)
    rows, columns = (max(stride, round(side * factor / stride) * stride) for side in size)
    return rows, columns


def resize_to_grid(image: Image.Image, shorter: int, stride: int) -> Image.Image:
    """The image resized to its `size_on_grid`."""
    rows, columns = size_on_grid((image.height, image.width), shorter, stride)
    return image.resize((columns, rows), Image.Resampling.BILINEAR)


def scale_to_one(maps: Tensor) -> Tensor:
    """Each map [K, rows, columns] scaled to [0, 1] by its own minimum and maximum; a flat map becomes 0."""
    low = maps.amin(dim=(-2, -1), keepdim=True)
    span = maps.amax(dim=(-2, -1), keepdim=True) - low
    return torch.where(span > 0, (maps - low) / span.clamp(min=torch.finfo(maps.dtype).tiny), 0.0)
