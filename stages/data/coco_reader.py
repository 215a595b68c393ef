"""Reads COCO's own files: tags from annotations/instances_<name>.json, captions from captions_<name>.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.data.coco_content import check_captions, read_content, used_categories
from stages.data.coco_json import class_values, coco_name, fault_of, has_outlines, load_instances, tagged_or_kept
from stages.errors import DataError
from stages.index import Record
from stages.settings import DataSettings


def read_coco_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split in the order of their ids, and the JSON file that lists them.

    Tags are the categories of an image's objects, including crowds. Images without any object are left out, unless
    `data.coco.untagged` names the split: this leaves 82,081 of 82,783 training images and 40,137 of 40,504 val images.
    The mask is empty: `make_truth` makes it. A fault in an image's annotations is stored in its record. Raises
    DataError for files that are missing or not COCO's.
    """
    name = coco_name(settings, split)
    coco, source = load_instances(root, name)
    values = class_values(coco, settings.classes, source)
    captions: dict[Any, str] = {}
    if settings.coco.captions:
        captions = read_coco_captions(root / "annotations" / f"captions_{name}.json", list(coco.imgs))
    drawn = settings.coco.masks is None and has_outlines(coco)
    records = []
    numbers = tagged_or_kept(coco, split, settings)
    if coco.imgs and not numbers:
        raise DataError(
            f"{source}: lists no image of this split: none of its {len(coco.imgs):,} images has an annotation; use"
            " COCO's instances file, or keep images without objects (data.coco.untagged)"
        )
    for number in numbers:
        items = coco.imgToAnns.get(number, ())
        fault = fault_of(coco, number, values, source, drawn=drawn)
        found = {values[category] for category in used_categories(items) if category in values}
        file = coco.imgs[number]["file_name"]
        records.append(
            Record(
                id=Path(file).stem,
                image=f"{name}/{file}",
                mask="",
                labels=tuple(settings.classes[value - 1] for value in sorted(found)),
                split=split,
                caption=captions.get(number, ""),
                fault=fault,
            )
        )
    return records, source


def read_coco_captions(path: Path, images: Sequence[Any]) -> dict[Any, str]:
    """The first caption (of the lowest id) of each image, by the image's id. Raises DataError for a file that is
    missing or not COCO's, or has other ids than `images`."""
    content = read_content(path)
    check_captions(content, path, images)
    captions: dict[Any, str] = {}
    for item in sorted(content["annotations"], key=lambda item: item["id"]):
        captions.setdefault(item["image_id"], " ".join(item["caption"].split()))
    return captions
