"""Training examples of the localizer: random crops of images, or frozen features of such crops computed once."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2
from tqdm import tqdm

from stages.devices import autocast, pick_device
from stages.errors import DataError
from stages.files import atomic_path
from stages.images import read_image
from stages.index import Record
from stages.localize.encoders import Encoder, HybridEncoder
from stages.settings import HybridBackbone, LocalizerTraining, LocalizeSettings

log = logging.getLogger(__name__)

Statistics = tuple[Sequence[float], Sequence[float]]


def training_transform(settings: LocalizerTraining, statistics: Statistics) -> v2.Compose:
    """A random crop, mirrored half the time, normalised: [3, crop, crop] float32."""
    return v2.Compose(
        [
            v2.RandomResizedCrop(settings.crop, scale=settings.crop_area, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*statistics),
        ]
    )


def multi_hot(records: Sequence[Record], classes: Sequence[str]) -> Tensor:
    """Tags as [images, C] float32 in {0, 1}. Raises DataError for a tag that is no class."""
    position = {name: index for index, name in enumerate(classes)}
    labels = torch.zeros(len(records), len(classes))
    for row, record in enumerate(records):
        for name in record.labels:
            if name not in position:
                raise DataError(f"{record.id}: tag {name!r} is not in `data.classes`; add the class or remove the tag")
            labels[row, position[name]] = 1
    return labels


def embeddings_of(records: Sequence[Record], embeddings: Mapping[str, Tensor]) -> Tensor:
    """The frozen embedding of each image, [images, E]; [images, 0] where the settings use none."""
    if not embeddings:
        return torch.zeros(len(records), 0)
    missing = [record.id for record in records if record.id not in embeddings]
    if missing:
        raise DataError(f"{len(missing)} images have no embedding, first {missing[0]!r}; rerun the stage `encode`")
    return torch.stack([embeddings[record.id].float() for record in records])


class ImageViews(Dataset):
    """One random crop of each image, anew every time it is asked for."""

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
    """One of several views of each image, drawn anew every time, as frozen features that were computed once.

    features: one memory-mapped array a level, [images, views, channels, rows, columns] float16.
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


def precompute_features(
    images: ImageViews, encoder: HybridEncoder, *, views: int, folder: Path, seed: int, batch_size: int
) -> list[np.ndarray]:
    """Frozen features of `views` random crops of each image, kept in `folder` and mapped from there.

    Returns one array a level, [images, views, channels, rows, columns] float16. A finished computation found in the
    folder is used again, so a resumed training sees the very same views.
    """
    paths = [folder / f"features-{level}.npy" for level in range(len(encoder.levels))]
    if not all(path.is_file() for path in paths):
        _compute_features(images, encoder, views=views, paths=paths, seed=seed, batch_size=batch_size)
    return [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]


def _compute_features(
    images: ImageViews, encoder: HybridEncoder, *, views: int, paths: Sequence[Path], seed: int, batch_size: int
) -> None:
    device = pick_device()
    encoder = encoder.to(device).to(memory_format=torch.channels_last).eval()
    torch.manual_seed(seed)
    # All views of one image stand side by side, so an image is decoded for each view but kept in memory for none.
    wanted = [(image, view) for image in range(len(images)) for view in range(views)]
    arrays: list[np.ndarray] = []
    with tqdm(total=len(wanted), desc="frozen features", unit="view") as progress:
        for start in range(0, len(wanted), batch_size):
            batch = wanted[start : start + batch_size]
            crops = torch.stack([images[image]["inputs"] for image, _ in batch]).to(device)
            with torch.inference_mode(), autocast(device):
                levels = encoder.features(crops.contiguous(memory_format=torch.channels_last))
            if not arrays:
                arrays = [np.empty((len(images), views, *level.shape[1:]), dtype=np.float16) for level in levels]
            for array, level in zip(arrays, levels, strict=True):
                for (image, view), values in zip(batch, level.float().cpu().numpy(), strict=True):
                    array[image, view] = values
            progress.update(len(batch))
    for path, array in zip(paths, arrays, strict=True):
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
    log.info("frozen features: %.0f MB in %s", sum(array.nbytes for array in arrays) / 1e6, paths[0].parent)


def training_dataset(
    images: ImageViews, encoder: Encoder, settings: LocalizeSettings, *, folder: Path, seed: int
) -> Dataset:
    """Crops anew every epoch, or, where the settings ask a hybrid encoder for `views`, their frozen features."""
    backbone = settings.backbone
    if isinstance(encoder, HybridEncoder) and isinstance(backbone, HybridBackbone) and backbone.views:
        features = precompute_features(
            images, encoder, views=backbone.views, folder=folder, seed=seed, batch_size=settings.training.batch_size
        )
        return FeatureViews(features, labels=images.labels, embeddings=images.embeddings)
    return images
