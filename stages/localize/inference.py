"""From images to localization maps: scales and flips summed at one size, each tagged class scaled to [0, 1]."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms
from tqdm import tqdm

from stages.devices import autocast
from stages.images import read_image
from stages.index import Record
from stages.localize.model import Localization, Localizer
from stages.localize.views import multi_hot
from stages.settings import MapSettings
from stages.shards import ImageMaps


def make_maps(
    records: Sequence[Record],
    root: Path,
    *,
    localizer: Localizer,
    classes: Sequence[str],
    settings: MapSettings,
    device: torch.device,
) -> Iterator[ImageMaps]:
    """Yields the maps of each image for the classes that it is tagged with; an image without tags has none."""
    localizer = localizer.to(device).eval()
    labels = multi_hot(records, classes)
    for record, own in zip(tqdm(records, desc="maps", unit="image"), labels, strict=True):
        image = read_image(root / record.image)
        present = own.nonzero().flatten()
        size = (image.height, image.width)
        stored = (-(-image.height // settings.stride), -(-image.width // settings.stride))
        with torch.inference_mode(), autocast(device):
            maps = image_maps(image, localizer, settings=settings, size=stored, device=device)[present]
        yield ImageMaps(record.id, scale_to_one(maps).cpu().numpy(), present.numpy().astype(np.int64), size)


def image_maps(
    image: Image.Image, localizer: Localizer, *, settings: MapSettings, size: tuple[int, int], device: torch.device
) -> Tensor:
    """Maps of all classes, summed over scales and flips: [C, *size] float32, not yet scaled."""
    total = torch.zeros(len(localizer.visual_tokens), *size, device=device)
    for scale in settings.scales:
        resized = resize_to_stride(image, round(settings.size * scale), localizer.encoder.stride)
        batch = transforms.normalize(
            transforms.to_dtype(transforms.pil_to_tensor(resized), torch.float32, scale=True),
            *map(list, localizer.encoder.statistics),
        )[None].to(device)
        if settings.flip:
            batch = torch.cat((batch, batch.flip(-1)))
        maps = variant_maps(localizer, batch, settings)
        if settings.flip:
            maps = torch.stack((maps[0], maps[1].flip(-1)))
        total += F.interpolate(maps, size=size, mode="bilinear", align_corners=False).sum(dim=0)
    return total


def variant_maps(localizer: Localizer, images: Tensor, settings: MapSettings) -> Tensor:
    """The maps that the settings choose, for normalised images [B, 3, H, W]: [B, C, rows, columns] float32, >= 0."""
    wants_attention = settings.class_attention or settings.patch_affinity
    output = localizer(images, attention_blocks=settings.attention_blocks if wants_attention else 0)
    maps = select_maps(output, settings).float()
    if settings.patch_affinity:
        assert output.patch_attention is not None  # asked for above
        maps = maps @ output.patch_attention.float().mT
    rows, columns = output.grid
    return rearrange(maps, "b c (rows columns) -> b c rows columns", rows=rows, columns=columns)


def select_maps(output: Localization, settings: MapSettings) -> Tensor:
    """ReLU of the text, visual or summed maps, each times its class-to-patch attention where asked: [B, C, N]."""
    kinds = {"visual": output.visual} | ({"text": output.text} if output.text is not None else {})
    # Without textual tokens the visual maps are all there is, whatever the setting's default says.
    chosen = kinds if settings.source == "sum" or settings.source not in kinds else [settings.source]
    attention = {}
    if settings.class_attention and output.class_attention is not None:
        attention = dict(zip(kinds, output.class_attention.chunk(len(kinds), dim=1), strict=True))
    maps = [torch.relu(kinds[name].maps) * attention.get(name, 1.0) for name in chosen]
    return torch.stack(maps).sum(dim=0)


def resize_to_stride(image: Image.Image, shorter: int, stride: int) -> Image.Image:
    """The image with its shorter side near `shorter`, both sides multiples of `stride`, its shape kept."""
    factor = shorter / min(image.size)
    columns, rows = (max(stride, round(side * factor / stride) * stride) for side in image.size)
    return image.resize((columns, rows), Image.Resampling.BILINEAR)


def scale_to_one(maps: Tensor) -> Tensor:
    """Each map [K, rows, columns] scaled to [0, 1] by its own minimum and maximum; a flat map becomes 0."""
    low = maps.amin(dim=(-2, -1), keepdim=True)
    span = maps.amax(dim=(-2, -1), keepdim=True) - low
    return torch.where(span > 0, (maps - low) / span.clamp(min=torch.finfo(maps.dtype).tiny), 0.0)
