"""Semantic masks of COCO: drawn from the official JSON, or converted from third-party masks."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_masks
from pycocotools.coco import COCO

from stages.data.coco_causes import likely_cause
from stages.data.coco_json import class_values, coco_name, fault_of, has_outlines, load_instances, tagged_or_kept
from stages.data.coco_outlines import encode_outline
from stages.errors import DataError
from stages.images import BACKGROUND, IGNORE, image_size, is_turned, read_mask
from stages.index import evenly_spaced
from stages.settings import DataSettings, Encoding

log = logging.getLogger(__name__)

STUFF = range(92, 183)  # category ids of COCO-Stuff's own classes: background here
EXAMINED = 500  # masks of a split that are compared with the JSON to recognise their encoding
AGREE = 0.99  # share of them that must agree with the JSON
UNKNOWN = 254  # marks a value that an encoding does not have


@dataclass(frozen=True)
class CocoObject:
    """One object: its number, mask value, whether it is a crowd, and its outline in any of COCO's three forms."""

    id: int
    value: int
    crowd: bool
    outline: Any


@dataclass(frozen=True)
class CocoMask:
    """An image's mask, to be drawn from its objects, in the order of their ids.

    size: (rows, columns).  source: the file that contains the objects, for errors.  image: the file that they are of.
    """

    id: str
    source: Path
    image: Path
    size: tuple[int, int]
    objects: tuple[CocoObject, ...]

    def draw(self) -> NDArray[np.uint8]:
        """[rows, columns] uint8: where objects overlap, the one with fewer pixels wins (if equal, the one with the
        lower id); crowd regions are 255 where there is no object. Raises DataError for an invalid outline, or if the
        image has another size."""
        self._check_size()
        # pycocotools decodes column by column; a mask in the same order is filled sequentially in memory.
        mask = np.full(self.size, BACKGROUND, dtype=np.uint8, order="F")
        encoded = [(item, self._encode(item)) for item in self.objects]
        for _, outline in (pair for pair in encoded if pair[0].crowd):
            np.copyto(mask, IGNORE, where=rle_masks.decode(outline).view(np.bool_))
        # Stable: of equal sizes, the one with the lower id is drawn last.
        single = [pair for pair in encoded[::-1] if not pair[0].crowd]
        for item, outline in sorted(single, key=lambda pair: -int(rle_masks.area(pair[1]))):
            np.copyto(mask, item.value, where=rle_masks.decode(outline).view(np.bool_))
        return np.ascontiguousarray(mask)

    def _encode(self, item: CocoObject) -> dict[str, Any]:
        """An object's outline as compressed run lengths."""
        place = f"{self.source}: annotation {item.id} of {self.id}"
        try:
            return encode_outline(item.outline, self.size)
        except DataError as error:
            raise DataError(f"{place}: segmentation {error}; correct it, or remove the annotation") from error

    def _check_size(self) -> None:
        """Raises DataError if the size is not that of the image."""
        try:
            size = image_size(self.image)
        except DataError:
            return  # `make_index` reports it with all others
        if size == self.size:
            return
        place = f"{self.source}: {self.id} has height {self.size[0]} and width {self.size[1]}"
        found = f"but {self.image} has {size[0]} rows and {size[1]} columns"
        swapped, cure = self.size == size[::-1], "correct them, or replace the image by the annotated one"
        if swapped and is_turned(self.image):
            found += " once turned upright as its EXIF orientation says"
            cure = "its outlines are of the image as stored: remove the orientation from the image file"
        elif swapped:
            cure = "exchange the two numbers"
        raise DataError(f"{place}, {found}; {cure}")


@dataclass(frozen=True)
class ForeignMask:
    """A third-party mask, and the label of each of its 256 values."""

    id: str
    path: Path
    table: NDArray[np.uint8]

    def draw(self) -> NDArray[np.uint8]:
        """The mask in the config's order. Raises DataError for a value that its encoding does not have."""
        mask = read_mask(self.path)
        labels = self.table[mask]
        if (labels == UNKNOWN).any():
            value = mask[labels == UNKNOWN][0]
            raise DataError(f"{self.path}: value {value} is not in data.coco.encoding; correct the setting or the mask")
        return labels


def coco_masks(root: Path, split: str, settings: DataSettings) -> Iterator[CocoMask | ForeignMask]:
    """The masks of a split, for the images that `read_coco_split` lists without a fault. Raises DataError as that does,
    and if the encoding of third-party masks cannot be determined."""
    name = coco_name(settings, split)
    coco, source = load_instances(root, name)
    values = class_values(coco, settings.classes, source)
    drawn = settings.coco.masks is None
    if drawn and not has_outlines(coco):
        log.info("%s: boxes alone, so there are no true masks", source)
        return iter(())
    numbers = [
        number
        for number in first_of_each_id(coco, tagged_or_kept(coco, split, settings))
        if not fault_of(coco, number, values, source, drawn=drawn)
    ]
    if not numbers:  # `make_index` reports it
        return iter(())
    if settings.coco.masks is None:
        return (drawn_mask(coco, number, values, source, root / name) for number in numbers)
    folder = root / settings.coco.masks / name
    paths = {number: folder / f"{Path(coco.imgs[number]['file_name']).stem}.png" for number in numbers}
    tables = encoding_tables(values)
    encoding = settings.coco.encoding or recognise(folder, paths, coco, values, tables)
    table = table_of(encoding, tables, values)
    return (ForeignMask(path.stem, path, table) for path in paths.values())


def first_of_each_id(coco: COCO, numbers: Sequence[int]) -> list[int]:
    """The images without those whose file has the name of another's in another folder: they would share a mask. The
    index names them."""
    first: dict[str, int] = {}
    for number in numbers:
        first.setdefault(Path(coco.imgs[number]["file_name"]).stem, number)
    return list(first.values())


def drawn_mask(coco: COCO, number: int, values: Mapping[int, int], source: Path, folder: Path) -> CocoMask:
    """What an image's mask is drawn from. folder: of the images."""
    image = coco.imgs[number]
    found = sorted(coco.imgToAnns.get(number, ()), key=lambda item: item["id"])
    objects = tuple(
        CocoObject(item["id"], values[item["category_id"]], bool(item.get("iscrowd", 0)), item["segmentation"])
        for item in found
    )
    file = Path(image["file_name"])
    return CocoMask(file.stem, source, folder / file, (int(image["height"]), int(image["width"])), objects)


def encoding_tables(values: Mapping[Any, int]) -> dict[Encoding, NDArray[np.uint8]]:
    """The label of each of 256 values in every encoding that can hold the categories; UNKNOWN if the encoding has no
    such value."""
    contents: dict[Encoding, dict[int, int]] = {"contiguous": {value: value for value in values.values()}}
    if not any(isinstance(number, str) for number in values):
        ids = {int(number): value for number, value in values.items()}
        # A category with an id of COCO-Stuff's own classes is no stuff.
        with_stuff = {**dict.fromkeys(STUFF, BACKGROUND), **ids}
        contents["raw_id"] = with_stuff
        contents["raw_id_plus_91"] = {number + 91: value for number, value in ids.items()}
        contents["stuff"] = {number - 1: label for number, label in with_stuff.items()}
    tables: dict[Encoding, NDArray[np.uint8]] = {}
    for name, content in contents.items():
        first = 0 if name == "stuff" else 1  # where 0 is the first category, and not background
        if not all(first <= value < IGNORE for value in content):
            continue
        table = np.full(256, UNKNOWN, dtype=np.uint8)
        table[:first] = BACKGROUND
        table[IGNORE] = IGNORE
        table[list(content)] = list(content.values())
        tables[name] = table
    return tables


def table_of(encoding: Encoding, tables: Mapping[Encoding, NDArray[np.uint8]], values: Mapping[Any, int]) -> NDArray:
    """The table of an encoding. Raises DataError if it cannot hold the category ids."""
    if encoding not in tables:
        ids = sorted(values)
        raise DataError(
            f"data.coco.encoding: {encoding!r} cannot hold the category ids {ids[0]!r} to {ids[-1]!r}, as masks have"
            f" values up to {IGNORE - 1}; the masks have another encoding, or remove data.coco.masks to have them drawn"
        )
    return tables[encoding]


def recognise(
    folder: Path,
    paths: Mapping[int, Path],
    coco: COCO,
    values: Mapping[int, int],
    tables: Mapping[Encoding, NDArray[np.uint8]],
) -> Encoding:
    """The one encoding in which the examined masks agree with the JSON (99 % of them, as an object smaller than a pixel
    does not show in a mask): they show only classes that the JSON gives for their image, and at least one if it gives
    objects.

    Raises DataError if none can be read, if no encoding fits, or if several fit that read the masks differently.
    """
    shown_by = read_values(paths)
    fitting: dict[Encoding, int] = dict.fromkeys(tables, 0)
    seen: set[int] = set()
    tags: list[frozenset[int]] = []
    for number, found in shown_by.items():
        seen |= set(found.tolist())
        objects = coco.imgToAnns.get(number, ())
        known = frozenset(values[item["category_id"]] for item in objects)
        tags.append(known)
        single = any(not item.get("iscrowd", 0) for item in objects)
        for name, table in tables.items():
            shown = set(table[found].tolist()) - {BACKGROUND, IGNORE}
            fitting[name] += shown <= known and (bool(shown) or not single)
    right = [name for name, count in fitting.items() if count >= AGREE * len(shown_by)]
    readings = {tables[name][sorted(seen)].tobytes() for name in right}
    counts = ", ".join(f"{name} {count}" for name, count in fitting.items())
    if len(readings) != 1:
        reason = "several encodings fit" if readings else "no encoding fits"
        names = {
            values[item["id"]]: item["name"].strip() for item in coco.dataset["categories"] if item["id"] in values
        }
        cause = "" if readings else likely_cause([found.tolist() for found in shown_by.values()], tags, names)
        cure = f"likely cause: {cause}; correct them" if cause else "set data.coco.encoding"
        raise DataError(
            f"{folder}: {reason} these masks (of {len(shown_by)} examined, agreeing with the JSON's classes: {counts};"
            f" values {_span(sorted(seen))}); {cure}, or remove data.coco.masks to have them drawn from the JSON"
        )
    log.info("%s: encoding %s (of %d masks, agreeing with the JSON: %s)", folder, right[0], len(shown_by), counts)
    return right[0]


def read_values(paths: Mapping[int, Path]) -> dict[int, NDArray[np.uint8]]:
    """The values in each of EXAMINED masks, spread over all. Masks that cannot be read are skipped here: they are
    reported as a fault of their image. Raises DataError if none can be read."""
    values: dict[int, NDArray[np.uint8]] = {}
    fault: DataError | None = None
    for number, path in evenly_spaced(list(paths.items()), EXAMINED):
        try:
            values[number] = np.unique(read_mask(path))
        except DataError as error:
            fault = fault or error
    if fault is not None and not values:
        raise fault
    return values


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]}"
