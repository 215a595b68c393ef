"""COCO's JSON: all images of a split in one file, an annotation for each connected region."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_masks

from stages.data.coco_json import load_coco
from stages.data.coco_masks import CocoMask, CocoObject
from stages.errors import DataError
from stages.files import write_text
from stages.images import IGNORE
from stages.mask_formats.names import name_of, value_of
from stages.mask_formats.photos import MaskedPhoto
from stages.mask_formats.regions import Region

DESCRIPTION = "Exported by tagmask: an annotation is a connected region of a class, not an instance"


@dataclass
class CocoWriter:
    """Collects the photos of a split. rle: run lengths, which keep every pixel, instead of polygons."""

    classes: Sequence[str]
    rle: bool
    tolerance: float
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    points: int = 0

    def add(self, photo: MaskedPhoto, regions: Iterable[Region]) -> str:
        """Adds a photo; returns a hash of what the file says about it."""
        rows, columns = photo.size
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": photo.image, "height": rows, "width": columns})
        first = len(self.annotations)
        for region in regions:
            self.annotations.append(self._annotation(region, number, photo.size))
        names = dict(enumerate(self.classes, start=1)) | {self._ignored: name_of(IGNORE, self.classes)}
        return hash_of(self.annotations[first:], names)

    @property
    def _ignored(self) -> int:
        return len(self.classes) + 1

    def _annotation(self, region: Region, image: int, size: tuple[int, int]) -> dict[str, Any]:
        ignored = region.value == IGNORE
        outline: Any
        if self.rle or ignored:  # COCO's crowds are run lengths
            encoded = rle_masks.encode(np.asfortranarray(region.in_image(size)))
            outline = {"size": list(size), "counts": encoded["counts"].decode("ascii")}
        else:
            corners = np.round(region.outline(self.tolerance), 2)
            self.points += len(corners)
            outline = [corners.ravel().tolist()]
        return {
            "id": len(self.annotations) + 1,
            "image_id": image,
            "category_id": self._ignored if ignored else region.value,
            "segmentation": outline,
            "area": region.area,
            "bbox": list(region.box),
            "iscrowd": int(ignored),
        }

    def write(self, path: Path) -> None:
        """Writes the file. Categories have the mask values as ids; one more, if there are ignored pixels, for these."""
        names = list(self.classes)
        if any(item["category_id"] == self._ignored for item in self.annotations):
            names.append(name_of(IGNORE, self.classes))
        content = {
            "info": {"description": DESCRIPTION},
            "licenses": [],
            "images": self.images,
            "annotations": self.annotations,
            "categories": [
                {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(names, start=1)
            ],
        }
        write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class CocoPhoto:
    """An image of a COCO file. size: (rows, columns) as it says.  hash: of what it says about the image."""

    file_name: str
    source: Path
    size: tuple[int, int]
    objects: tuple[CocoObject, ...]
    hash: str

    def draw(self, size: tuple[int, int], image: Path) -> NDArray[np.uint8]:
        """The mask [rows, columns] uint8: where regions overlap, the smaller one wins; crowds are ignored. Raises
        DataError for an outline that is none, or if the image, of `size`, has another one here."""
        if size != self.size:
            raise DataError(
                f"{self.source}: {self.file_name} has height {self.size[0]} and width {self.size[1]}, but the photo is"
                f" {size[1]}x{size[0]}; annotate the photo itself"
            )
        return CocoMask(self.file_name, self.source, image, size, self.objects).draw()


def read_coco(path: Path, classes: Sequence[str]) -> tuple[list[CocoPhoto], list[str]]:
    """The images of a COCO file, and what is wrong in single ones, which are left out. Raises DataError if it is not
    such a file."""
    coco = load_coco(path)
    names = {item["id"]: item["name"].strip() for item in coco.dataset["categories"]}
    photos, faults = [], []
    for number in sorted(coco.imgs):
        image, items = coco.imgs[number], coco.imgToAnns.get(number, [])
        try:
            objects = tuple(_object(item, names, classes) for item in sorted(items, key=lambda item: item["id"]))
            size = (int(image["height"]), int(image["width"]))
        except (DataError, KeyError, TypeError, ValueError) as error:
            what = error if isinstance(error, DataError) else f"has no whole entry ({error!r}); export it again"
            faults.append(f"{path}: {image['file_name']}: {what}")
            continue
        photos.append(CocoPhoto(image["file_name"], path, size, objects, hash_of(items, names)))
    return photos, faults


def _object(item: dict[str, Any], names: dict[Any, str], classes: Sequence[str]) -> CocoObject:
    category = item.get("category_id")
    if category not in names:
        raise DataError(f"annotation {item['id']!r} has category_id {category!r}, which is not one of the categories")
    if not item.get("segmentation"):
        raise DataError(f"annotation {item['id']!r} has no segmentation; draw it, or remove the annotation")
    value = value_of(names[category], classes)
    return CocoObject(item["id"], value, bool(item.get("iscrowd", 0)), item["segmentation"])


def hash_of(annotations: Sequence[dict[str, Any]], names: dict[Any, str]) -> str:
    """A hash of an image's annotations, whatever their ids and those of their categories are."""
    said = sorted(
        json.dumps(
            [names.get(item.get("category_id")), item.get("segmentation"), int(bool(item.get("iscrowd")))],
            sort_keys=True,
        )
        for item in annotations
    )
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
