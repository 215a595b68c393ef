"""Miniatures of the datasets in their official formats: `python -m tests.workflow.miniatures [name ...]`."""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image
from pycocotools import mask as rle_masks
from scipy.io import savemat

from stages.images import IGNORE, write_mask
from tests.workflow.tiny import SIZES, draw_image, write_weights

CLASSES = ("red disc", "blue square")
CATEGORY_IDS = {"red disc": 1, "blue square": 18}  # with a gap, as COCO has


@dataclass(frozen=True)
class Pictures:
    """What a dataset shows: drawings here, photographs in `make full-size`.

    draw: split and number -> image, mask (values from 1 in the order of `classes`), tags.  sizes: pictures a split.
    category_ids: COCO's number of each class.
    """

    draw: Callable[[str, int], tuple[Image.Image, np.ndarray, tuple[str, ...]]]
    sizes: Mapping[str, int]
    classes: Sequence[str]
    category_ids: Mapping[str, int]


DRAWN = Pictures(draw_image, SIZES, CLASSES, CATEGORY_IDS)
# Two of three drawings have one tag.
DRAWN_ALONE = Pictures(
    lambda split, number: draw_image(split, number // 2 * 3 + number % 2),
    {"train": 8, "val": 4, "test": 4},
    CLASSES,
    CATEGORY_IDS,
)


def write_voc(root: Path, pictures: Pictures = DRAWN) -> None:
    """VOC's folders and SBD's .mat files: of 12 training images VOC's own train lists 5, the rest are SBD's."""
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": [], "sbd": []}
    for split, count in pictures.sizes.items():
        for number in range(count):
            name = f"2007_{split}{number:02d}"
            image, mask, tags = pictures.draw(split, number)
            _save(image, root / f"JPEGImages/{name}.jpg")
            by_sbd = split == "train" and number >= 5
            lists["sbd" if by_sbd else split].append(name)
            if split == "test":
                continue  # the masks and annotations of VOC's test are not public
            objects = "".join(f"<object><name>{escape(tag)}</name><difficult>0</difficult></object>" for tag in tags)
            _write(root / f"Annotations/{name}.xml", f"<annotation>{objects}</annotation>")
            if by_sbd:
                path = root / f"SBD/cls/{name}.mat"
                path.parent.mkdir(parents=True, exist_ok=True)
                mask = np.where(mask == IGNORE, 0, mask).astype(np.uint8)  # SBD ignores nothing
                savemat(path, {"GTcls": {"Segmentation": mask, "CategoriesPresent": np.unique(mask)}})
            else:
                write_mask(root / f"SegmentationClass/{name}.png", mask)
    for split in pictures.sizes:
        _write(root / f"ImageSets/Segmentation/{split}.txt", "\n".join(lists[split]) + "\n")
    _write(root / "SBD/train.txt", "\n".join(lists["sbd"]) + "\n")
    _write(root / "SBD/val.txt", "\n".join(lists["val"][:2]) + "\n")  # SBD's images overlap with VOC's val


def write_coco(root: Path, pictures: Pictures = DRAWN) -> None:
    """COCO's folders and JSON files: polygons, run lengths, a crowd in every third image, two captions an image, and
    one image of each split without any object."""
    for split in ("train", "val"):
        name = f"{split}2014"
        images, annotations, captions = [], [], []
        for number in range(pictures.sizes[split] + 1):
            image, mask, tags = pictures.draw(split, number)
            if number == pictures.sizes[split]:
                mask, tags = np.zeros_like(mask), ()
            file = f"COCO_{name}_{number + 1:012d}.jpg"
            _save(image, root / name / file)
            images.append({"id": number + 1, "file_name": file, "height": image.height, "width": image.width})
            for tag in tags:
                area = mask == pictures.classes.index(tag) + 1
                annotations.append(coco_object(len(annotations) + 1, number + 1, tag, area, pictures.category_ids))
            if tags and number % 3 == 0:
                crowd = coco_crowd(len(annotations) + 1, number + 1, mask.shape)
                annotations.append({**crowd, "category_id": pictures.category_ids[tags[0]]})
            words = " and ".join(tags) or "nothing"
            captions += [
                {"id": 2 * number + place, "image_id": number + 1, "caption": f"{start} {words}.\n"}
                for place, start in enumerate(("There is", "Somebody drew"))
            ]
        categories = [{"id": number, "name": name} for name, number in pictures.category_ids.items()]
        content = {"images": images, "annotations": annotations, "categories": categories}
        _write(root / f"annotations/instances_{name}.json", json.dumps(content))
        _write(root / f"annotations/captions_{name}.json", json.dumps({"images": images, "annotations": captions}))


def coco_object(number: int, image: int, tag: str, area: np.ndarray, category_ids: Mapping[str, int]) -> dict:
    """An object as COCO writes it: the square as a polygon, any other as compressed run lengths."""
    encoded = rle_masks.encode(np.asfortranarray(area.astype(np.uint8)))
    outline: object = {"size": list(area.shape), "counts": encoded["counts"].decode()}
    if tag == "blue square":
        rows, columns = np.where(area)
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        outline = [[float(side) for side in (left, top, right, top, right, bottom, left, bottom)]]
    common = {"id": number, "image_id": image, "category_id": category_ids[tag], "iscrowd": 0}
    return {**common, "segmentation": outline, "area": float(area.sum())}


def coco_crowd(number: int, image: int, size: tuple[int, ...]) -> dict:
    """A crowd of no class yet: the last ten columns, in run lengths that are not compressed."""
    rows, columns = size
    outline = {"size": [rows, columns], "counts": [rows * (columns - 10), rows * 10]}
    common = {"id": number, "image_id": image, "iscrowd": 1}
    return {**common, "segmentation": outline, "area": rows * 10.0}


def write_openimages(root: Path, pictures: Pictures = DRAWN_ALONE) -> None:
    """The benchmark's lists and 1-bit masks at half the images' size, every object in two overlapping instances."""
    for split, count in pictures.sizes.items():
        labels, places = [], []
        for number in range(count):
            image, mask, tags = pictures.draw(split, number)
            label = pictures.classes.index(tags[0])
            file = f"{split}/{label:02d}x/{split}{number:014d}.jpg"
            _save(image, root / file)
            labels.append(f"{file},{label}")
            if split == "train":
                continue
            stem = file.removesuffix(".jpg")
            half = mask[::2, ::2] == label + 1
            middle = int(np.where(half.any(axis=0))[0].mean())
            for part, columns in enumerate((slice(0, middle + 2), slice(middle, None))):
                instance = np.zeros_like(half)
                instance[:, columns] = half[:, columns]
                _save(Image.fromarray(instance), root / f"{stem}_m{part}.png")
                places.append(f"{file},{stem}_m{part}.png,{f'{stem}_ignore.png' if part == 0 else ''}")
            ignored = np.zeros_like(half)
            ignored[:8] = True
            _save(Image.fromarray(ignored), root / f"{stem}_ignore.png")
        _write(root / f"metadata/{split}/class_labels.txt", "\n".join(labels) + "\n")
        if places:
            _write(root / f"metadata/{split}/localization.txt", "\n".join(places) + "\n")


def write_folder(root: Path) -> None:
    """Photos in folders with spaces and letters beyond ASCII, a table of tags, no masks; one photo is empty."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "tags.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream)
        writer.writerow(("image", "tags", "caption"))
        for number in range(15):
            image, _, tags = draw_image("train", number)
            file = f"am Strand/Früh {number}.jpg" if number % 2 else f"{number}.png"
            _save(image, root / file)
            writer.writerow((file, "; ".join(tags), ""))
    (root / "4.png").write_bytes(b"")


WRITERS = {"voc": write_voc, "coco": write_coco, "openimages": write_openimages, "folder": write_folder}


def write_miniatures(folder: Path, names: Sequence[str] = (), weights: Path | None = None) -> None:
    """The named miniatures, or all, and the weights (linked if a folder of them is given), below folder/miniatures."""
    for name in names or WRITERS:
        WRITERS[name](folder / "miniatures" / name)
    if weights:
        (folder / "miniatures/weights").symlink_to(weights)
    else:
        write_weights(folder / "miniatures/weights")


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_miniatures(Path(), sys.argv[1:])
