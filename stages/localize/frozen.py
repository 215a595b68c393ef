"""Frozen features of the training images, computed once and mapped from disk by every training that uses them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torchvision.transforms import v2
from tqdm import tqdm

from stages.devices import autocast, pick_device
from stages.errors import DataError
from stages.finite import check_finite
from stages.images import read_image
from stages.index import Record
from stages.localize.map_features import OVERFLOW
from stages.networks.pyramid import Pyramid

log = logging.getLogger(__name__)

BATCH = 32  # crops per step


def write_features(
    folder: Path,
    records: Sequence[Record],
    root: Path,
    *,
    pyramid: Pyramid,
    transform: v2.Compose,
    views: int,
    seed: int,
) -> None:
    """Writes features of `views` random crops of each image, one `level-<k>.npy` per level of the pyramid:
    [images, views, channels, rows, columns] float16, written batch by batch and never all in memory."""
    device = pick_device()
    pyramid = pyramid.to(device).eval()
    torch.manual_seed(seed)
    wanted = [(image, view) for image in range(len(records)) for view in range(views)]
    arrays: list[np.memmap] = []
    with tqdm(total=len(wanted), desc="frozen features", unit="view", mininterval=1) as progress:
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            images = {image: read_image(root / records[image].image) for image in {image for image, _ in batch}}
            crops = torch.stack([transform(images[image]) for image, _ in batch]).to(device)
            with torch.inference_mode(), autocast(device):
                levels = pyramid.features(crops)
            if not arrays:
                shapes = [(len(records), views, *level.shape[1:]) for level in levels]
                arrays = [
                    open_memmap(folder / f"level-{number}.npy", mode="w+", dtype=np.float16, shape=shape)
                    for number, shape in enumerate(shapes)
                ]
            for array, level in zip(arrays, levels, strict=True):
                stored = level.half().cpu().numpy()
                check_finite(f"{folder}: features from {records[batch[0][0]].id} on", {"a feature": stored}, OVERFLOW)
                for (image, view), values in zip(batch, stored, strict=True):
                    array[image, view] = values
            progress.update(len(batch))
    for array in arrays:
        array.flush()
    log.info("frozen features: %.0f MB in %s", sum(array.nbytes for array in arrays) / 1e6, folder)


def read_features(folder: Path, *, images: int) -> list[np.ndarray]:
    """The levels that `write_features` wrote, memory-mapped. Raises DataError unless they are for this many images."""
    paths = sorted(folder.glob("level-*.npy"))
    try:
        levels = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    except ValueError as error:
        raise DataError(f"{folder}: no whole features ({error}); delete the folder and rerun `localize`") from error
    if not levels or any(len(level) != images for level in levels):
        raise DataError(f"{folder}: not the features of {images} images; delete the folder and rerun `localize`")
    return levels
