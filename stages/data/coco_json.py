"""COCO's own annotation files, read by pycocotools."""

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pycocotools.coco import COCO

from stages.errors import DataError
from stages.settings import DataSettings

log = logging.getLogger(__name__)


def coco_name(settings: DataSettings, split: str) -> str:
    """The name of a split in COCO's files. Raises DataError for test, whose annotations are not public."""
    names = {"train": settings.coco.train, "val": settings.coco.val}
    if split not in names:
        raise DataError(
            "data.format coco: test annotations are not public; leave test out of segment.predict and evaluate"
        )
    return names[split]


def load_coco(path: Path) -> COCO:
    """A JSON file of annotations. Raises DataError if it is missing or not such a file."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; unpack annotations_trainval2014.zip below data.root")
    try:
        # pycocotools prints its progress on stdout.
        with contextlib.redirect_stdout(io.StringIO()) as messages:
            coco = COCO(str(path))
    except (ValueError, KeyError, AssertionError, TypeError) as error:
        raise DataError(f"{path}: not a JSON file of COCO annotations ({error!r}); unpack it again") from error
    log.info("%s: %s", path, " ".join(messages.getvalue().split()))
    if "images" not in coco.dataset or "annotations" not in coco.dataset:
        raise DataError(f"{path}: has no images or no annotations; use COCO's instances or captions file")
    nameless = next((number for number, image in coco.imgs.items() if not image.get("file_name")), None)
    if nameless is not None:
        raise DataError(f"{path}: image {nameless} has no file_name; add it, or unpack the file again")
    return coco


def load_instances(root: Path, name: str) -> tuple[COCO, Path]:
    """annotations/instances_<name>.json and its path."""
    path = root / "annotations" / f"instances_{name}.json"
    return load_coco(path), path


def tagged_or_kept(coco: COCO, split: str, settings: DataSettings) -> list[int]:
    """The images of a split that are used, by number: those with an object, or all if `data.coco.untagged` says so."""
    kept = split in settings.coco.untagged
    return [number for number in sorted(coco.imgs) if kept or coco.imgToAnns.get(number)]


def fault_of(coco: COCO, number: int, values: Mapping[int, int], path: Path, *, drawn: bool) -> str:
    """What is wrong with an image's entries in the file at `path`, with the cure; empty if nothing is.

    drawn: whether its mask is drawn from them.
    """
    image = coco.imgs[number]
    for item in coco.imgToAnns.get(number, ()):
        place = f"{path}: annotation {item.get('id')!r} of {image['file_name']}"
        if item.get("category_id") not in values:
            return (
                f"{place} has category_id {item.get('category_id')!r}, which is not one of the categories; correct it"
            )
        if drawn and not item.get("segmentation"):
            return f"{place} has no segmentation; add one, or remove the annotation"
    sizes = [image.get(side) for side in ("height", "width")]
    if drawn and not all(isinstance(side, int) and side > 0 for side in sizes):
        return f"{path}: {image['file_name']} has height and width {sizes}; they must be whole numbers above 0"
    return ""


def class_values(coco: COCO, classes: Sequence[str], path: Path) -> dict[int, int]:
    """Mask value (from 1, in the config's order) of each category id. Raises DataError unless the names agree."""
    names = {category["id"]: category["name"] for category in coco.dataset.get("categories", [])}
    missing = sorted(set(names.values()) - set(classes))
    unknown = sorted(set(classes) - set(names.values()))
    if missing or unknown:
        parts = [
            f"{label} {', '.join(map(repr, found[:5]))}{' ...' if len(found) > 5 else ''}"
            for label, found in (("lacks", missing), ("also has", unknown))
            if found
        ]
        raise DataError(f"{path}: data.classes must be its {len(names)} categories, but {' and '.join(parts)}")
    return {number: classes.index(name) + 1 for number, name in names.items()}
