"""Masks mended by hand, as the stage `refine` leaves them: indexed PNGs by id, and a list of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.errors import DataError
from stages.files import write_csv
from stages.images import IGNORE
from stages.index import Table

COLUMNS = ("id", "image", "file", "sha256")


@dataclass(frozen=True)
class MendedRow:
    """A mended mask: of which image, from which file of the user's, and that file's SHA-256."""

    id: str
    image: str
    file: str
    sha256: str


def write_mended(path: Path, rows: Sequence[MendedRow]) -> None:
    """Writes the list of mended masks, atomically."""
    write_csv(path, [COLUMNS, *((row.id, row.image, row.file, row.sha256) for row in rows)])


def read_mended_list(path: Path) -> list[MendedRow]:
    """Reads what `write_mended` wrote. Raises DataError if it is missing or something else."""
    if not path.is_file():
        raise DataError(f"{path}: no such list of mended masks; rerun `refine`")
    table = Table(path)
    if tuple(table.fieldnames or ()) != COLUMNS:
        raise DataError(f"{path}: not a list of mended masks; delete it and rerun `refine`")
    return [MendedRow(**row) for row in table]


def filled(mended: NDArray[np.uint8], made: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mended mask in which ignored pixels (255) have the label that tagmask gave them: a score counts every pixel.

    >>> filled(np.array([1, 255, 0], dtype=np.uint8), np.array([2, 2, 2], dtype=np.uint8)).tolist()
    [1, 2, 0]
    """
    return np.where(mended == IGNORE, made, mended)
