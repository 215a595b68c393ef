"""Photos of a folder: finds them, and predicts each at a size similar to the training images."""

import csv
import logging
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from stages.errors import DataError
from stages.finite import check_finite
from stages.images import PHOTO_SUFFIXES
from stages.segment.inference import NOT_WHOLE, class_probabilities
from stages.segment.labels import mask_of
from stages.segment.model import Segmenter
from stages.settings import InferenceSettings

log = logging.getLogger(__name__)

# What predictions of a folder consist of.
MASKS, OVERLAYS, AREAS = "masks", "overlays", "areas.csv"
COLUMNS = ("image", "class", "pixels", "share")
LONGEST_STEM = 240  # bytes: file systems allow 255, and a file that is being written has fourteen more


@dataclass
class _Found:
    """What is below a folder: photos, folders of predictions, and the other files by extension."""

    photos: list[Path] = field(default_factory=list)
    predicted: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def find_photos(folder: Path, *, output: Path | None = None) -> list[Path]:
    """All photos below a folder, relative to it, sorted. Linked folders are searched too, each folder once.

    Predictions are no photos: the masks and overlays in `output`, and those beside a table of areas, are left out, and
    the log says so. Raises DataError when there is no photo, when two would have one mask, or when a name is not text.
    """
    if not folder.is_dir():
        cure = f"name the folder with the photos: {folder.parent}" if folder.is_file() else "correct the path"
        raise DataError(f"--images: {folder} is no folder; {cure}")
    found = _search(folder, output)
    for place in found.predicted:
        log.info("%s: left out, since it holds predictions", place)
    if found.others:
        log.info("no photos: %s", ", ".join(f"{count} {name}" for name, count in sorted(found.others.items())))
    photos = sorted(path.relative_to(folder) for path in found.photos)
    if not photos:
        besides = " but predictions" if found.predicted else ""
        raise DataError(f"--images: {folder} holds no photo{besides} ({', '.join(PHOTO_SUFFIXES)})")
    _check_names(folder, photos)
    return photos


def _search(folder: Path, output: Path | None) -> _Found:
    """Linked folders come last, so that a folder that is found both ways keeps its own name."""
    found, seen = _Found(), set[Path]()
    if any(_is_predicted(place, output) for place in (folder.resolve(), *folder.resolve().parents)):
        found.predicted.append(folder)
        return found
    waiting, linked = deque([folder]), deque[Path]()
    while waiting or linked:
        place = (waiting or linked).popleft()
        real = place.resolve()
        if real in seen:
            continue
        seen.add(real)
        if _is_predicted(real, output):
            found.predicted.append(place)
            continue
        for path, is_folder in _entries(place):
            if is_folder:
                (linked if path.is_symlink() else waiting).append(path)
            elif path.suffix.lower() in PHOTO_SUFFIXES:
                found.photos.append(path)
            else:
                found.others[path.suffix.lower() or path.name] += 1
    return found


def _entries(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The entries of a folder by name, and which of them are folders."""
    try:
        with os.scandir(folder) as entries:
            yield from [(Path(entry.path), _leads_to_folder(entry)) for entry in sorted(entries, key=lambda e: e.name)]
    except OSError as error:
        raise DataError(f"--images: {folder} cannot be searched ({error.strerror}); make it readable") from error


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a link to itself, or to where nobody may look
        log.warning("%s: no folder to search (%s)", entry.path, error.strerror)
        return False


def _is_predicted(folder: Path, output: Path | None) -> bool:
    if folder.name not in (MASKS, OVERLAYS):
        return False
    return is_predictions(folder.parent) or (output is not None and folder.parent == output.resolve())


def is_predictions(folder: Path) -> bool:
    """Whether a folder holds predictions: it has their table of areas."""
    try:
        with (folder / AREAS).open(newline="", encoding="utf-8") as stream:
            return tuple(next(csv.reader(stream), ())) == COLUMNS
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def check_output(output: Path) -> None:
    """Raises DataError if predictions written to a folder would mix with files that are none, or replace them."""
    if os.path.lexists(output) and not output.is_dir():
        kind = "a file" if output.exists() else "a link to nothing"
        raise DataError(f"--output: {output} is {kind}; name a folder")
    if is_predictions(output):
        return
    for name in (MASKS, OVERLAYS, AREAS):
        place = output / name
        if place.is_file() or (place.is_dir() and any(place.iterdir())):
            raise DataError(f"--output: {place} is there already and holds no predictions; choose another folder")


def _check_names(folder: Path, photos: Sequence[Path]) -> None:
    """Raises DataError unless every photo can have a mask of its own, and a row in the table."""
    stems: dict[Path, Path] = {}
    for photo in photos:
        try:
            str(photo).encode()
        except UnicodeEncodeError as error:
            raise DataError(f"--images: the name of {str(folder / photo)!r} is not UTF-8; rename it") from error
        if len(photo.stem.encode()) > LONGEST_STEM:
            raise DataError(
                f"--images: the name of {folder / photo} is too long for its mask's; shorten it to {LONGEST_STEM} bytes"
            )
        other = stems.setdefault(photo.with_suffix(""), photo)
        if other != photo:
            raise DataError(f"--images: {folder / other} and {folder / photo} would have one mask; rename one of them")
    written = {photo.with_suffix(suffix): photo for photo in photos for suffix in (".png", ".jpg")}
    for photo in photos:
        if taken := next((place for place in photo.parents if place in written), None):
            raise DataError(
                f"--images: the mask of {folder / written[taken]} would have the name of the folder {taken}; rename one"
                " of them"
            )


def predict_photo(
    segmenter: Segmenter, photo: Image.Image, settings: InferenceSettings, *, longest_side: int, name: str = "photo"
) -> NDArray[np.uint8]:
    """The mask [rows, columns] uint8 of a photo, at its size.

    A longer photo is predicted at `longest_side` pixels: objects then have sizes as in training, and memory is bounded.
    Its probabilities, not its labels, are enlarged. Raises DataError, which begins with `name`, if they are not finite.
    """
    scale = min(1.0, longest_side / max(photo.size))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    small = np.array(photo if size == photo.size else photo.resize(size, Image.Resampling.LANCZOS))
    device = next(segmenter.model.parameters()).device
    pixels = torch.from_numpy(small).permute(2, 0, 1).to(device)
    scores = class_probabilities(segmenter.model, pixels, settings)
    check_finite(name, {"a probability": scores}, NOT_WHOLE)
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
