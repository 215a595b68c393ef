"""True masks, checked before they are counted. Only the upper bound's training reads them."""

from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.data.id_lists import read_ids
from stages.errors import DataError
from stages.images import IGNORE, read_mask
from stages.index import Record


def chosen_records(records: Sequence[Record], only: Path | None) -> list[Record]:
    """The records, or only those listed in the file `only`, one id per line (written by `list_scored`).

    Raises DataError when the file is missing or lists an id without a record.
    """
    if only is None:
        return list(records)
    there = {record.id for record in records}
    wanted = set(read_list(only, there))
    unknown = sorted(wanted - there)
    if unknown or not wanted:
        named = f"{len(unknown)} ids that are no training image, first {unknown[0]!r}" if unknown else "no id"
        raise DataError(f"evaluate.train_list: {only} lists {named}; give a list of images of train")
    return [record for record in records if record.id in wanted]


def read_list(path: Path, images: Container[str]) -> list[str]:
    """The ids of `evaluate.train_list`, a list of some of `images`. Raises DataError when there is no such file, it is
    not UTF-8, or a line is no id."""
    if not path.is_file():
        raise DataError(f"evaluate.train_list: no file {path}; correct the path, or leave it out to score all of train")
    return read_ids(path, known=images.__contains__)


def require_masks(records: Sequence[Record], split: str, setting: str) -> None:
    """Raises DataError, naming the setting, when the split is empty or an image has no true mask."""
    if not records:
        raise DataError(f"split {split!r} has no images, so it cannot be scored; take it out of `{setting}`")
    without = [record.id for record in records if not record.mask]
    if without:
        raise DataError(
            f"split {split!r} has no true mask for {len(without)} of {len(records)} images (the first: {without[0]!r}),"
            f" so it cannot be scored; take it out of `{setting}` or add the masks to the dataset"
        )


def read_truth(path: Path, classes: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A true mask [rows, columns] uint8. Raises DataError for another size, or a value above `classes` except 255."""
    mask = read_mask(path)
    check_mask(path, mask, classes, size)
    return mask


def check_mask(path: Path, mask: NDArray[np.uint8], classes: int, size: tuple[int, int]) -> None:
    """Raises DataError when a mask is not of `size` (rows, columns) or has a value that is neither a class nor 255."""
    if mask.shape != size:
        raise DataError(f"{path}: mask is {mask.shape} (rows, columns), must be {size} as its image and its prediction")
    wrong = np.unique(mask[(mask > classes) & (mask != IGNORE)])
    if wrong.size:
        raise DataError(
            f"{path}: mask value {wrong[0]} is no class, `data.classes` names {classes};"
            " list the class or correct the mask"
        )
