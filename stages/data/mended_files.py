"""Files of masks that the user mended by hand (`refine.mended`): labelme's JSON files and indexed PNGs in a folder, or
one COCO file. They are read, never written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stages.data.image_paths import image_key
from stages.data.mask_sights import MaskSight, sight_of
from stages.data.mended_places import MANIFEST_COLUMNS, SETTING, fault_of_place, manifests_of, masks_in
from stages.data.problems import find_mask_problems
from stages.errors import DataError
from stages.files import sha256_of
from stages.index import Table
from stages.mask_formats.coco import CocoPhoto, read_coco
from stages.mask_formats.labelme import image_path, load_labelme, read_labelme
from stages.mask_formats.png import read_png

Size = tuple[int, int]
Drawn = tuple[NDArray[np.uint8], MaskSight, list[str]]


@dataclass(frozen=True)
class MendedFile:
    """The mask of one photo.

    source: the file.  name: the photo's path or id as the file's own name has it.  image: its path as the file's
    content has it, below the dataset folder or absolute; empty if it has none.  hash: of what the file says about the
    photo.  numbered: whether its classes are numbers, which can be mistaken.
    draw: from the photo's size (rows, columns) and path to the mask, at a glance too, and what is wrong with it; raises
    DataError if it cannot be read.
    """

    source: Path
    name: str
    image: str
    hash: str
    numbered: bool
    draw: Callable[[Size, Path], Drawn]


def find_mended(path: Path, root: Path, classes: Sequence[str]) -> tuple[list[MendedFile], list[str]]:
    """The masks in a folder or COCO file, and what is wrong with those that cannot be read. root: the dataset folder.

    Raises DataError if there is none, or if the COCO file is no such file.
    """
    if fault := fault_of_place(path):
        raise DataError(f"{SETTING}: {fault}")
    if path.is_file():
        photos, faults = read_coco(path, classes)
        if not photos and not faults:
            raise DataError(f"{SETTING}: {path} lists no image; annotate some, or leave the setting out")
        return [_of_coco(photo) for photo in photos], faults
    found, faults = [], []
    for file in masks_in(path):
        name = without_extension(file.relative_to(path).as_posix())
        try:
            found.append(_of_labelme(file, name, root, classes) if _is_json(file) else _of_png(file, name, classes))
        except DataError as error:
            faults.append(str(error))
    return found, faults


def without_extension(name: str) -> str:
    """A path without the extension of its last part; unchanged if it names no file.

    >>> without_extension("am Strand/1.jpg"), without_extension(""), without_extension(".")
    ('am Strand/1', '', '.')
    """
    return PurePosixPath(name).with_suffix("").as_posix() if PurePosixPath(name).name else name


def read_manifest(path: Path) -> dict[str, str]:
    """The hashes of what was exported, by image: from the list in the folder, or next to or above the COCO file. Empty
    if there is none. Raises DataError if it is damaged."""
    for file in manifests_of(path):
        table = Table(file)
        if tuple(table.fieldnames or ()) != MANIFEST_COLUMNS:
            raise DataError(f"{file}: not the list that `tagmask export` wrote; remove it, or export again")
        return {row["image"]: row["sha256"] for row in table}
    return {}


def _is_json(file: Path) -> bool:
    return file.suffix.lower() == ".json"


def _of_png(file: Path, name: str, classes: Sequence[str]) -> MendedFile:
    def draw(size: Size, image: Path) -> Drawn:
        mask, palette = read_png(file)
        return mask, sight_of(mask, palette, file), list(find_mask_problems(file, mask, size, classes, image=image))

    return MendedFile(file, name, "", sha256_of(file), True, draw)


def _of_labelme(file: Path, name: str, root: Path, classes: Sequence[str]) -> MendedFile:
    def draw(size: Size, image: Path) -> Drawn:
        mask = read_labelme(file, size, classes)
        return mask, sight_of(mask, None, file), []

    named = image_path(load_labelme(file))
    photo = image_key(root, str((file.parent / named).absolute())) if named else ""
    return MendedFile(file, name, photo, sha256_of(file), False, draw)


def _of_coco(photo: CocoPhoto) -> MendedFile:
    def draw(size: Size, image: Path) -> Drawn:
        mask = photo.draw(size, image)
        return mask, sight_of(mask, None, photo.source), []

    name = photo.file_name.replace("\\", "/")
    return MendedFile(photo.source, without_extension(name), name, photo.hash, False, draw)
