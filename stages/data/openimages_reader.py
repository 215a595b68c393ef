"""Reads OpenImages30k, the benchmark of Choe et al. (Evaluating Weakly Supervised Object Localization Methods Right,
CVPR 2020), from the lists that its authors publish."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stages.data.image_paths import image_key
from stages.errors import DataError
from stages.images import BACKGROUND, IGNORE, image_size, opened
from stages.index import Record, read_utf8
from stages.settings import DataSettings

MOST_DIGITS = 4  # of a class's number
CURE = (
    "unpack OpenImages_images.zip and OpenImages_annotations.zip of github.com/clovaai/wsolevaluation into data.root,"
    " and put its metadata/OpenImages there as metadata (data.openimages.metadata)"
)


def read_openimages_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the file that lists them: `<image>,<class from 0>` per line, one class per image.

    The id is the file's name; the mask is empty: `make_truth` makes it. Raises DataError for a missing or invalid list.
    """
    source = root / settings.openimages.metadata / split / "class_labels.txt"
    records = []
    first: dict[str, tuple[int, int]] = {}
    for number, (image, text) in _rows(source, 2):
        if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) >= len(settings.classes):
            raise DataError(
                f"{source}:{number}: class {text!r} must be a number from 0 to {len(settings.classes) - 1}, a"
                " position in data.classes"
            )
        label = int(text)
        key = image_key(root, image)
        if key in first:
            line, other = first[key]
            if label == other:
                continue
            raise DataError(
                f"{source}:{number}: {image} has class {label} here, but {other} in line {line}; the benchmark has one"
                " class an image: use the published list, or data.format csv for several tags"
            )
        first[key] = (number, label)
        tags = (settings.classes[label],)
        records.append(Record(id=PurePosixPath(image).stem, image=image, mask="", labels=tags, split=split))
    return records, source


@dataclass(frozen=True)
class OpenImagesMask:
    """An image's mask, to be merged from those of its instances; `ignored` marks what is not counted outside them.

    side: rows and columns of the mask to make; None for the image's own.  source: the list that names the masks.
    """

    id: str
    instances: tuple[Path, ...]
    ignored: Path | None
    value: int
    image: Path
    side: int | None
    source: Path

    def draw(self) -> NDArray[np.uint8]:
        """[rows, columns] uint8: `value`, 255 where ignored, 0 elsewhere. Each file is first resized by nearest, as in
        wsolevaluation (`get_mask`). Raises DataError if the list has no mask, or one that cannot be read."""
        if not self.instances:
            raise DataError(
                f"{self.source}: has no mask of {self.image}; complete the list or remove the image from its split"
            )
        size = (self.side, self.side) if self.side else image_size(self.image)
        mask = np.full(size, BACKGROUND, dtype=np.uint8)
        if self.ignored is not None:
            mask[nearest(_read_set(self.ignored), size)] = IGNORE
        for path in self.instances:
            mask[nearest(_read_set(path), size)] = self.value
        return mask


def openimages_masks(
    root: Path, split: str, settings: DataSettings, side: int | None = None
) -> Iterator[OpenImagesMask]:
    """The masks of a split, at the size of its images or, if `side` is given, at (side, side) with the value 1.

    The benchmark has none for train. Raises DataError for invalid lists.
    """
    source = root / settings.openimages.metadata / split / "localization.txt"
    if split == "train" and not source.is_file():
        return
    folder = root / settings.openimages.masks
    instances: dict[str, list[Path]] = {}
    ignored: dict[str, Path] = {}
    for _, (image, mask, ignore) in _rows(source, 3):
        key = image_key(root, image)
        instances.setdefault(key, []).append(folder / mask)
        if ignore:
            ignored[key] = folder / ignore
    for record in read_openimages_split(root, split, settings)[0]:
        key = image_key(root, record.image)
        yield OpenImagesMask(
            id=record.id,
            instances=tuple(instances.get(key, ())),
            ignored=ignored.get(key),
            value=1 if side else settings.classes.index(record.labels[0]) + 1,
            image=root / record.image,
            side=side,
            source=source,
        )


def nearest(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask resized like OpenCV's INTER_NEAREST: from the pixel at floor(place x scale). Pillow picks another."""
    rows, columns = (
        # OpenCV inverts its scale twice, and rounding then decides where place x scale is whole.
        np.minimum(np.floor(np.arange(new) * (1 / (new / old))).astype(int), old - 1)
        for old, new in zip(mask.shape, size, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _read_set(path: Path) -> NDArray[np.bool_]:
    """Where a mask file is not black, whatever its mode."""
    missing = "unpack the benchmark's annotations (OpenImages_annotations.zip) below data.root"
    with opened(path, kind="mask", missing=missing, broken="unpack it again") as image:
        return np.asarray(image.convert("L")) > 0


def _rows(source: Path, fields: int) -> Iterator[tuple[int, list[str]]]:
    if not source.is_file():
        raise DataError(f"{source}: no such list; {CURE}")
    rows = csv.reader(io.StringIO(read_utf8(source), newline=""), strict=True)
    number = 1
    try:
        for number, row in enumerate(rows, start=1):
            if row and len(row) != fields:
                raise DataError(f"{source}:{number}: has {len(row)} fields, not {fields}; use the published list")
            if row:
                yield number, row
    except csv.Error as error:
        raise DataError(f"{source}:{number + 1}: not CSV ({error}); use the published list") from error
