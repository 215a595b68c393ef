"""Photos of a folder: finds them, and predicts each at a size similar to the training images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from stages.errors import DataError
from stages.segment.inference import class_probabilities
from stages.segment.labels import mask_of
from stages.segment.model import Segmenter
from stages.settings import InferenceSettings

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def find_photos(folder: Path) -> list[Path]:
    """All photos below a folder, relative to it, sorted.

    Raises DataError when there is none, or when two differ only in their extension and would share one mask.
    """
    if not folder.is_dir():
        raise DataError(f"--images: {folder} is no folder; name the folder with the photos")
    photos = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not photos:
        raise DataError(f"--images: {folder} holds no photo ({', '.join(SUFFIXES)})")
    stems: dict[Path, Path] = {}
    for photo in photos:
        other = stems.setdefault(photo.with_suffix(""), photo)
        if other != photo:
            raise DataError(f"--images: {folder / other} and {folder / photo} would have one mask; rename one of them")
    return photos


def predict_photo(
    segmenter: Segmenter, photo: Image.Image, settings: InferenceSettings, *, longest_side: int
) -> NDArray[np.uint8]:
    """The mask [rows, columns] uint8 of a photo, at its size.

    A longer photo is predicted at `longest_side` pixels: objects then have sizes as in training, and memory is bounded.
    Its probabilities, not its labels, are enlarged.
    """
    scale = min(1.0, longest_side / max(photo.size))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    small = np.array(photo if size == photo.size else photo.resize(size, Image.Resampling.LANCZOS))
    device = next(segmenter.model.parameters()).device
    pixels = torch.from_numpy(small).permute(2, 0, 1).to(device)
    scores = class_probabilities(segmenter.model, pixels, settings)
    if settings.crf:
        mask = mask_of(small, scores.cpu().numpy(), settings.crf)
        labels = torch.from_numpy(mask).long()
        scores = torch.nn.functional.one_hot(labels, len(scores)).permute(2, 0, 1).float()
    return enlarged_labels(scores, (photo.height, photo.width)).cpu().numpy()


def enlarged_labels(scores: Tensor, size: Sequence[int]) -> Tensor:
    """Best label [rows, columns] uint8 of scores [labels, rows, columns] enlarged to `size`, one label at a time:
    all at once, a photo of 12 megapixels with 81 labels would need 4 GB."""
    best = torch.full(tuple(size), -1.0, device=scores.device)
    labels = torch.zeros(tuple(size), dtype=torch.uint8, device=scores.device)
    for label, score in enumerate(scores):
        enlarged = interpolate(score[None, None], tuple(size), mode="bilinear", align_corners=False)[0, 0]
        wins = enlarged > best
        labels[wins] = label
        best = torch.where(wins, enlarged, best)
    return labels
