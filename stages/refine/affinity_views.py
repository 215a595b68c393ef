"""Training examples for the affinity network: crops of images with the sure regions at the network's nodes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from stages.errors import DataError
from stages.images import IGNORE, image_size, read_image, read_mask, working_size

Statistics = tuple[Sequence[float], Sequence[float]]


def affinity_transform(crop: int, statistics: Statistics) -> v2.Compose:
    """A random crop (outside the image: unsure), mirrored half the time, with jittered colours, normalised: of a Pillow
    image, whose colours take half the time of a tensor's, and a mask.

    Crop, mirroring and colours as in PSA (brightness, contrast, saturation 0.3, hue 0.1).
    """
    return v2.Compose(
        [
            v2.RandomCrop(crop, pad_if_needed=True, fill={Image: 0, tv_tensors.Mask: IGNORE}),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
            v2.ToImage(),
            v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            v2.Normalize(*statistics),
        ]
    )


def at_nodes(regions: Tensor, stride: int) -> Tensor:
    """Mask values [rows, columns] at the centre of each node's pixels, [rows / stride, columns / stride]."""
    return regions[stride // 2 :: stride, stride // 2 :: stride]


class AffinityViews(Dataset):
    """One random crop of each image, a new one every time: `inputs` [3, crop, crop], `regions` [crop / stride,
    crop / stride]."""

    def __init__(
        self, images: Sequence[Path], regions: Sequence[Path], *, crop: int, stride: int, statistics: Statistics
    ) -> None:
        self.images, self.regions, self.stride = images, regions, stride
        self.transform = affinity_transform(crop, statistics)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        mask = read_mask(self.regions[index])
        rows, columns = mask.shape
        # The regions of a large image are smaller, as it is labelled.
        if working_size(image_size(self.images[index]), max(rows, columns)) != (rows, columns):
            raise DataError(f"{self.regions[index]}: not of its image's size; delete the folder and rerun `refine`")
        image = read_image(self.images[index], (rows, columns))
        pixels, regions = self.transform(image, tv_tensors.Mask(torch.from_numpy(mask)))
        return {
            "inputs": pixels.as_subclass(Tensor),
            "regions": at_nodes(regions.as_subclass(Tensor), self.stride),
        }
