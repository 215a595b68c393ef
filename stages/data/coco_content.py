"""One pass over COCO's JSON before it is indexed: faults that would put tags and outlines on other images, or on none,
are refused with the file, the first id, their number and the cure."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from stages.data.coco_outlines import shortened
from stages.errors import DataError

Entry = dict[str, Any]

MOST_CATEGORIES = 254  # values of a mask beside background and 255
NUMBERS: frozenset[type] = frozenset({int, float})
TEXTS: frozenset[type] = frozenset({str})
FILES = "use COCO's instances or captions file"
# Of ids that several have, as when two files are joined.
CURES = {
    "images": "give every image its own id, and its annotations that id as image_id, or remove what is duplicated",
    "categories": "give every category its own id, and its annotations that id, or remove what is duplicated",
}


def read_content(path: Path) -> dict[str, Any]:
    """A JSON file with lists of images and of annotations, each an object with an id; no image's id twice.

    Raises DataError if it is missing or anything else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; unpack annotations_trainval2014.zip below data.root")
    try:
        with path.open(encoding="utf-8-sig") as stream:
            content = json.load(stream)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file of COCO annotations ({error}); unpack it again") from error
    if not isinstance(content, dict):
        kind = "list, as of COCO's results," if isinstance(content, list) else type(content).__name__
        raise DataError(f"{path}: not a JSON file of COCO annotations (a {kind} in place of an object); {FILES}")
    if "images" not in content or "annotations" not in content:
        raise DataError(f"{path}: has no images or no annotations; {FILES}")
    _check_unique(_ids(_entries(content, "images", path), "id", "images", path), "images", path, cure=CURES["images"])
    # Ids of annotations may repeat, as in joined files: an annotation is found by its image_id.
    _ids(_entries(content, "annotations", path), "id", "annotations", path)
    _check_names(content["images"], path)
    return content


def check_instances(content: dict[str, Any], path: Path) -> None:
    """Raises DataError unless every annotation is of one image, and the categories have names."""
    images, annotations = content["images"], content["annotations"]
    if any("segments_info" in item for item in annotations[:1]):
        raise DataError(f"{path}: COCO's panoptic format, whose masks are PNGs; use the instances file")
    known = [image["id"] for image in images]
    of_image = _ids(annotations, "image_id", "annotations", path)
    check_references(of_image, known, path, names=("image_id", "annotations", "images"))
    orphans = _positions(of_image, set(known))
    if orphans:
        first = annotations[orphans[0]]
        raise DataError(
            f"{path}: {len(orphans):,} of {len(annotations):,} annotations are of no image, first annotation"
            f" {first['id']!r} with image_id {first['image_id']!r}; add their images to the file, or correct or remove"
            " the annotations"
        )
    _check_categories(content, path)
    _check_unit(annotations, path)


def check_captions(content: dict[str, Any], path: Path, images: Sequence[Any]) -> None:
    """Raises DataError unless every annotation has a caption, of images with such ids as `images`."""
    annotations = content["annotations"]
    for item in annotations:
        if not isinstance(item.get("caption"), str):
            raise DataError(f"{path}: annotation {item['id']!r} has no caption; use COCO's captions file")
    of_image = _ids(annotations, "image_id", "annotations", path)
    check_references(of_image, images, path, names=("image_id", "captions", "images of the instances file"))
    if annotations and images and not set(images) & set(of_image):
        raise DataError(
            f"{path}: {len(annotations):,} captions, first of image {of_image[0]!r}, but none of an image of the"
            f" instances file, first {images[0]!r}; use the captions of the same images"
        )


def check_references(values: Sequence[Any], known: Sequence[Any], path: Path, *, names: tuple[str, str, str]) -> None:
    """Raises DataError if the values are texts where the ids they refer to are numbers, or the other way round.

    names: of the key, of what holds it, and of what it refers to.
    """
    key, holders, targets = names
    if not values or not known or _kind(values) == _kind(known):
        return
    raise DataError(
        f"{path}: {key} of {len(values):,} {holders} are {_kind(values)}, first {values[0]!r}, but ids of {targets} are"
        f" {_kind(known)}, first {known[0]!r}; write both as numbers, or both as texts"
    )


def _positions(values: Sequence[Any], known: set[Any]) -> list[int]:
    """Where values are that are not known; most files have none, which is found faster."""
    return [] if known.issuperset(values) else [place for place, value in enumerate(values) if value not in known]


def _kind(ids: Sequence[Any]) -> str:
    return "texts" if isinstance(ids[0], str) else "numbers"


def _entries(content: dict[str, Any], key: str, path: Path) -> list[Entry]:
    entries = content[key]
    if not isinstance(entries, list):
        raise DataError(f"{path}: {key} is {shortened(entries)}, not a list; {FILES}")
    if not set(map(type, entries)) <= {dict}:
        place, wrong = next((place, entry) for place, entry in enumerate(entries) if not isinstance(entry, dict))
        raise DataError(f"{path}: {key}[{place}] is {shortened(wrong)}, not an object; correct or remove it")
    return entries


def _ids(entries: Sequence[Entry], key: str, name: str, path: Path) -> list[Any]:
    """The values of a key of every entry. Raises DataError unless all are numbers, or all are texts."""
    values: list[Any] = [entry.get(key) for entry in entries]
    kinds = set(map(type, values))
    if kinds <= TEXTS or kinds == {int} or (kinds <= NUMBERS and all(map(math.isfinite, values))):
        return values
    # The fewer of the two kinds are named as the odd ones.
    texts = sum(type(value) is str for value in values)
    usual = TEXTS if texts > len(values) / 2 else NUMBERS
    odd = [place for place, value in enumerate(values) if type(value) not in usual or value in (math.inf, -math.inf)]
    odd = odd or [place for place, value in enumerate(values) if value != value]
    first = values[odd[0]]
    what = f"no {key}" if all(values[place] is None for place in odd) else f"another {key} than a {_word(usual)}"
    shown = "" if first is None else f": {shortened(first)}"
    raise DataError(
        f"{path}: {len(odd):,} of {len(values):,} {name} have {what}, first {name}[{odd[0]}]{shown}; give every one a"
        f" {_word(usual)}, or remove them"
    )


def _word(kinds: frozenset[type]) -> str:
    return "text" if kinds is TEXTS else "number"


def _check_unique(ids: Sequence[Any], name: str, path: Path, *, cure: str) -> None:
    if len(set(ids)) == len(ids):
        return
    counts = Counter(ids)
    twice = [value for value, count in counts.items() if count > 1]
    raise DataError(
        f"{path}: duplicate ids of {name}: {len(twice):,}, the first {twice[0]!r}, which {counts[twice[0]]:,} {name}"
        f" have; {cure}"
    )


def _check_names(images: Sequence[Entry], path: Path) -> None:
    """Every image has a file of its own."""
    first: dict[PurePosixPath, Any] = {}
    twice: list[tuple[Any, Any, str]] = []
    for image in images:
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{path}: image {image['id']!r} has no file_name; add it, or unpack the file again")
        if not _can_name_a_file(name):
            raise DataError(f"{path}: image {image['id']!r} has the file_name {name!r}, which no file can have; rename")
        file = PurePosixPath(name)
        if file in first:
            twice.append((first[file], image["id"], name))
        first.setdefault(file, image["id"])
    if twice:
        one, other, name = twice[0]
        raise DataError(
            f"{path}: {len(twice):,} of {len(images):,} images have the file_name of another, first {name!r} of images"
            f" {one!r} and {other!r}, so a photo's objects are in two places; give their annotations one image_id and"
            " remove the other image"
        )


def _can_name_a_file(name: str) -> bool:
    try:
        return b"\0" not in name.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _check_categories(content: dict[str, Any], path: Path) -> None:
    if not content.get("categories"):
        raise DataError(f"{path}: has no categories; use COCO's instances file")
    categories = _entries(content, "categories", path)
    ids = _ids(categories, "id", "categories", path)
    _check_unique(ids, "categories", path, cure=CURES["categories"])
    nameless = [item["id"] for item in categories if not isinstance(item.get("name"), str) or not item["name"].strip()]
    if nameless:
        raise DataError(
            f"{path}: {len(nameless)} of {len(categories)} categories have no name, first the one of id"
            f" {nameless[0]!r}; add its name, as in data.classes"
        )
    used = used_categories(content["annotations"])
    other = [value for value in used.elements() if isinstance(value, str) is not isinstance(ids[0], str)]
    check_references(other, ids, path, names=("category_id", "annotations", "categories"))
    names = Counter(item["name"].strip() for item in categories if used[item["id"]])
    if names and names.most_common(1)[0][1] > 1:
        name = names.most_common(1)[0][0]
        same = [item["id"] for item in categories if item["name"].strip() == name]
        raise DataError(
            f"{path}: {len(same)} categories have the name {name!r}, ids {', '.join(map(repr, same[:5]))}; rename all"
            " but one, or give their annotations one category_id"
        )
    if len(names) > MOST_CATEGORIES:
        raise DataError(
            f"{path}: objects of {len(names)} categories, but a mask holds {MOST_CATEGORIES}; join some, or leave some"
            " out"
        )


def used_categories(annotations: Sequence[Entry]) -> Counter[Any]:
    """How many annotations have each category id; those with anything but a number or a text are no category's."""
    of_category = (item.get("category_id") for item in annotations)
    return Counter(value for value in of_category if type(value) in TEXTS | NUMBERS)


def _check_unit(annotations: Sequence[Entry], path: Path) -> None:
    """COCO's corners are pixels. As shares of the image, every outline would be one pixel or none."""
    outlines = (item.get("segmentation") for item in annotations)
    polygons = (polygon for outline in outlines if isinstance(outline, list) for polygon in outline)
    seen = False
    for polygon in polygons:
        if not isinstance(polygon, list) or not polygon or not all(type(number) in NUMBERS for number in polygon):
            return  # a fault of its image
        if not (min(polygon) >= 0 and max(polygon) <= 1):
            return
        seen = True
    if seen:
        raise DataError(
            f"{path}: all corners of polygons are between 0 and 1, but COCO's are pixels; multiply x by the image's"
            " width and y by its height"
        )
