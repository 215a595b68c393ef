"""Training examples of the localizer: random crops of images, or frozen features of such crops computed once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from stages.errors import DataError
from stages.images import read_image
from stages.index import Record
from stages.settings import LocalizerTraining

Statistics = tuple[Sequence[float], Sequence[float]]


# timm's RandAugment draws two changes per image and applies each of them half the time (Cubuk et al., NeurIPS 2020,
# draw two and apply both). Its strength goes up to 10, so torchvision's gets that many steps.
CHANGES = 2
CHANGE_SHARE = 0.5
STRONGEST = 10
# Random erasing: share of the crop's area and range of the rectangle's aspect ratio (Zhong et al., AAAI 2020).
ERASED_AREA = (0.02, 1 / 3)
ERASED_RATIO = (0.3, 1 / 0.3)


def training_transform(settings: LocalizerTraining, statistics: Statistics) -> v2.Compose:
    """A random crop of a PIL image, mirrored half the time, changed by RandAugment, normalised, partly erased:
    [3, crop, crop] float32."""
    interpolation = v2.InterpolationMode(settings.interpolation)
    steps: list[v2.Transform] = [
        v2.RandomResizedCrop(settings.crop, scale=settings.crop_area, interpolation=interpolation, antialias=True),
        v2.RandomHorizontalFlip(),
    ]
    if settings.randaugment:
        fill = [round(255 * mean) for mean in statistics[0]]
        change = v2.RandAugment(1, settings.randaugment, STRONGEST + 1, interpolation=interpolation, fill=fill)
        steps += [v2.RandomApply([change], p=CHANGE_SHARE)] * CHANGES
    steps += [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*statistics)]
    if settings.erasing:
        # After normalisation, so that the noise has the deviation of images.
        steps.append(v2.RandomErasing(settings.erasing, scale=ERASED_AREA, ratio=ERASED_RATIO, value="random"))
    return v2.Compose(steps)


def multi_hot(records: Sequence[Record], classes: Sequence[str]) -> Tensor:
    """Tags as [images, C] float32 in {0, 1}. Raises DataError for a tag that is not a class."""
    position = {name: index for index, name in enumerate(classes)}
    labels = torch.zeros(len(records), len(classes))
    for row, record in enumerate(records):
        for name in record.labels:
            if name not in position:
                raise DataError(f"{record.id}: tag {name!r} is not in `data.classes`; add the class or remove the tag")
            labels[row, position[name]] = 1
    return labels


def embeddings_of(records: Sequence[Record], embeddings: Mapping[str, Tensor]) -> Tensor:
    """The frozen embedding of each image, [images, E]; [images, 0] if the settings use none. That of an image without
    tags, which no loss compares with its class tokens, is 0."""
    if not embeddings:
        return torch.zeros(len(records), 0)
    missing = [record.id for record in records if record.labels and record.id not in embeddings]
    if missing:
        raise DataError(f"{len(missing)} images have no embedding, first {missing[0]!r}; rerun the stage `encode`")
    none = torch.zeros_like(next(iter(embeddings.values())).float())
    return torch.stack([embeddings[record.id].float() if record.labels else none for record in records])


class ImageViews(Dataset):
    """One random crop of each image, a new one on every access."""

    def __init__(
        self, records: Sequence[Record], root: Path, *, transform: v2.Compose, labels: Tensor, embeddings: Tensor
    ) -> None:
        self.records, self.root, self.transform = records, root, transform
        self.labels, self.embeddings = labels, embeddings

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image = read_image(self.root / self.records[index].image)
        return {
            "inputs": self.transform(image),
            "labels": self.labels[index],
            "embedding": self.embeddings[index],
        }


class FeatureViews(Dataset):
    """One of several views of each image, drawn at random on every access, as precomputed frozen features.

    features: one memory-mapped array per level, [images, views, channels, rows, columns] float16.
    """

    def __init__(self, features: Sequence[np.ndarray], *, labels: Tensor, embeddings: Tensor) -> None:
        self.features, self.labels, self.embeddings = features, labels, embeddings

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor | list[Tensor]]:
        view = int(torch.randint(self.features[0].shape[1], ()))
        return {
            "inputs": [torch.from_numpy(level[index, view].astype(np.float32)) for level in self.features],
            "labels": self.labels[index],
            "embedding": self.embeddings[index],
        }
