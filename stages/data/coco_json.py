"""COCO's own annotation files, read by pycocotools."""

import contextlib
import io
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pycocotools.coco import COCO

from stages.class_names import is_background
from stages.data.coco_content import check_instances, read_content, used_categories
from stages.data.coco_outlines import is_empty
from stages.errors import DataError
from stages.settings import DataSettings

log = logging.getLogger(__name__)

MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # Pillow reads no larger image


def coco_name(settings: DataSettings, split: str) -> str:
    """The name of a split in COCO's files. Raises DataError for test, whose annotations are not public."""
    names = {"train": settings.coco.train, "val": settings.coco.val}
    if split not in names:
        raise DataError(
            "data.format coco: test annotations are not public; leave test out of segment.predict and evaluate"
        )
    return names[split]


def load_coco(path: Path) -> COCO:
    """A file of instances, checked and indexed by pycocotools. Raises DataError if it is missing or not such a file."""
    content = read_content(path)
    check_instances(content, path)
    coco = COCO()
    # Without categories, which would be indexed as well: one that is unknown is a fault of its image alone.
    coco.dataset = {name: value for name, value in content.items() if name != "categories"}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco.createIndex()
    coco.dataset = content
    log.info("%s: %d images, %d annotations", path, len(coco.imgs), len(content["annotations"]))
    return coco


def load_instances(root: Path, name: str) -> tuple[COCO, Path]:
    """annotations/instances_<name>.json and its path."""
    path = root / "annotations" / f"instances_{name}.json"
    return load_coco(path), path


def tagged_or_kept(coco: COCO, split: str, settings: DataSettings) -> list[int]:
    """The images of a split that are used, by number: those with an object, or all if `data.coco.untagged` says so."""
    kept = split in settings.coco.untagged
    return [number for number in sorted(coco.imgs) if kept or coco.imgToAnns.get(number)]


def has_outlines(coco: COCO) -> bool:
    """Whether masks can be drawn, which they cannot of boxes alone; without any object, they are empty."""
    annotations = coco.dataset["annotations"]
    return not annotations or any(not is_empty(item.get("segmentation")) for item in annotations)


def fault_of(coco: COCO, number: int, values: Mapping[int, int], path: Path, *, drawn: bool) -> str:
    """What is wrong with an image's entries in the file at `path`, with the cure; empty if nothing is.

    drawn: whether its mask is drawn from them.
    """
    image = coco.imgs[number]
    for item in coco.imgToAnns.get(number, ()):
        place, category = f"{path}: annotation {item.get('id')!r} of {image['file_name']}", item.get("category_id")
        if type(category) not in (int, float, str) or category not in values:
            return f"{place} has category_id {category!r}, which is not one of the categories; correct it"
        if drawn and is_empty(item.get("segmentation")):
            return (
                f"{place} has no segmentation; add one, or remove the annotation (only where nothing is scored may a"
                " file do without any)"
            )
        if item.get("iscrowd", 0) not in (0, 1, None):
            return f"{place} has iscrowd {item['iscrowd']!r}; it must be 0 or 1"
    return _fault_of_size(image, path) if drawn else ""


def _fault_of_size(image: Mapping[str, Any], path: Path) -> str:
    sizes: list[Any] = [image.get(side) for side in ("height", "width")]
    # Table programs write whole numbers as 480.0.
    if not all(type(side) in (int, float) and 0 < side < math.inf and side == int(side) for side in sizes):
        return f"{path}: {image['file_name']} has height and width {sizes}; they must be whole numbers above 0"
    if math.prod(sizes) > MOST_PIXELS:
        return f"{path}: {image['file_name']} has height and width {sizes}, too large for an image; correct them"
    return ""


def class_values(coco: COCO, classes: Sequence[str], path: Path) -> dict[int, int]:
    """Mask value (from 1, in the config's order) of each category id. Raises DataError unless the names agree.

    A category without any object that is not among the classes is none of the dataset's: annotation programs write
    some, for the background or for groups of classes.
    """
    used = used_categories(coco.dataset["annotations"])
    names = {item["id"]: item["name"].strip() for item in coco.dataset["categories"]}
    names = {number: name for number, name in names.items() if used[number] or name in classes}
    missing = sorted(set(names.values()) - set(classes))
    for number, name in names.items():
        if name in missing and is_background(name):
            raise DataError(
                f"{path}: {used[number]:,} annotations are of the category {name!r}, which is no class: what no object"
                " covers is background; remove them"
            )
    unknown = sorted(set(classes) - set(names.values()))
    if missing or unknown:
        parts = [
            f"{label} {', '.join(map(repr, found[:5]))}{' ...' if len(found) > 5 else ''}"
            for label, found in (("lacks", missing), ("also has", unknown))
            if found
        ]
        count = len(set(names.values()))
        raise DataError(f"{path}: data.classes must be its {count} categories, but {' and '.join(parts)}")
    return {number: classes.index(name) + 1 for number, name in names.items()}
