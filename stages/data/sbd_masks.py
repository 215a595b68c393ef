"""Masks of SBD (Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011) from its own .mat files."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from stages.data.voc_folders import require_voc_folders
from stages.data.voc_reader import read_voc_split
from stages.errors import DataError
from stages.settings import DataSettings

VOC_CLASSES = 20  # SBD's values are VOC's classes in VOC's order


@dataclass(frozen=True)
class SbdMask:
    """An image's mask in SBD: cls/<id>.mat, the field GTcls.Segmentation."""

    id: str
    path: Path

    def draw(self) -> NDArray[np.uint8]:
        """[rows, columns] uint8, values as in VOC; SBD has no ignored pixels. Raises DataError for any other file."""
        try:
            content = loadmat(self.path, simplify_cells=True)
            mask = np.asarray(content["GTcls"]["Segmentation"])
        # scipy reports a file of the wrong format in many ways.
        except (OSError, ValueError, LookupError, TypeError, NotImplementedError, MatReadError, zlib.error) as error:
            raise DataError(f"{self.path}: cannot be read as a mask of SBD ({error!r}); unpack it again") from error
        if mask.ndim != 2 or mask.max(initial=0) > VOC_CLASSES:
            raise DataError(f"{self.path}: GTcls.Segmentation is not a mask of {VOC_CLASSES} classes; unpack it again")
        return mask.astype(np.uint8)


def sbd_masks(root: Path, split: str, settings: DataSettings) -> Iterator[SbdMask]:
    """SBD's masks of the images that have none in VOC; never of VOC's own train and val. Raises DataError if SBD's
    folder is missing; a fault of an image is stored in its record."""
    if settings.voc.sbd is None:
        return
    require_voc_folders(root, settings)
    folder = root / settings.voc.sbd / "cls"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; unpack SBD's benchmark.tgz so that data.voc.sbd holds cls/*.mat")
    records, _ = read_voc_split(root, split, settings)
    masks = (SbdMask(record.id, folder / f"{record.id}.mat") for record in records if not (record.mask or record.fault))
    yield from (mask for mask in masks if mask.path.is_file())
