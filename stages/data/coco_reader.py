"""Reads COCO's own files: tags from annotations/instances_<name>.json, captions from captions_<name>.json."""

from pathlib import Path

from stages.data.coco_json import class_values, coco_name, fault_of, load_coco, load_instances, tagged_or_kept
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
    captions = read_coco_captions(root / "annotations" / f"captions_{name}.json") if settings.coco.captions else {}
    records = []
    for number in tagged_or_kept(coco, split, settings):
        items = coco.imgToAnns.get(number, ())
        found = {values[item["category_id"]] for item in items if item.get("category_id") in values}
        file = coco.imgs[number]["file_name"]
        records.append(
            Record(
                id=Path(file).stem,
                image=f"{name}/{file}",
                mask="",
                labels=tuple(settings.classes[value - 1] for value in sorted(found)),
                split=split,
                caption=captions.get(number, ""),
                fault=fault_of(coco, number, values, source, drawn=settings.coco.masks is None),
            )
        )
    return records, source


def read_coco_captions(path: Path) -> dict[int, str]:
    """The first caption (of the lowest id) of each image, by the image's id."""
    captions: dict[int, str] = {}
    for item in sorted(load_coco(path).dataset["annotations"], key=lambda item: item["id"]):
        if not isinstance(item.get("caption"), str):
            raise DataError(f"{path}: annotation {item['id']} has no caption; use COCO's captions file")
        captions.setdefault(item["image_id"], " ".join(item["caption"].split()))
    return captions
