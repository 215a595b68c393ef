"""What is written: photos with their masks, under the names that users know them by."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stages.index import Record


@dataclass(frozen=True)
class MaskedPhoto:
    """A photo and its mask [rows, columns] uint8.

    image: its path below the dataset folder, as in the index.  name: the path of its files, without extension.  path:
    where it is.  mended: whether the mask was mended by hand.
    """

    image: str
    name: str
    path: Path
    split: str
    mask: NDArray[np.uint8]
    mended: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.mask.shape
        return rows, columns


def name_of_photo(record: Record) -> str:
    """The path of a photo's files below a folder, without extension: that of the photo, or its id where the photo's
    leads elsewhere.

    >>> name_of_photo(Record("beach_01", "beach/01.jpg", "", (), "train"))
    'beach/01'
    """
    path = PurePosixPath(record.image)
    if path.is_absolute() or ".." in path.parts:
        return record.id
    return path.with_suffix("").as_posix()
