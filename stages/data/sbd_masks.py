"""Masks of SBD (Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011) from its own .mat files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

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
        """[rows, columns] uint8, values as in VOC; SBD has no ignored pixels. Raises DataError for another file."""
        try:
            content = loadmat(self.path, simplify_cells=True)
            mask = np.asarray(content["GTcls"]["Segmentation"])
        # scipy says in many ways that a file is not its format.
        except (OSError, ValueError, KeyError, TypeError, IndexError, NotImplementedError, MatReadError) as error:
            raise DataError(f"{self.path}: cannot be read as a mask of SBD ({error!r}); unpack it again") from error
        if mask.ndim != 2 or mask.max(initial=0) > VOC_CLASSES:
            raise DataError(f"{self.path}: GTcls.Segmentation is no mask of {VOC_CLASSES} classes; unpack it again")
        return mask.astype(np.uint8)


def sbd_masks(root: Path, split: str, settings: DataSettings) -> Iterator[SbdMask]:
    """The masks of a split that `data.voc.masks` lacks and SBD has. Raises DataError where SBD's folder is missing, and
    where neither has the mask of an image of train or val: it names what to get."""
    if settings.voc.sbd is None:
        return
    folder = root / settings.voc.sbd / "cls"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; unpack SBD's benchmark.tgz so that data.voc.sbd holds cls/*.mat")
    wanted = [record.id for record in read_voc_split(root, split, settings)[0] if not record.mask]
    missing = [name for name in wanted if not (folder / f"{name}.mat").is_file()]
    if missing and split != "test":
        raise DataError(
            f"{split}: {len(missing):,} images have no mask, neither {root / settings.voc.masks}/{missing[0]}.png nor"
            f" {folder}/{missing[0]}.mat; unpack VOCtrainval_11-May-2012.tar and SBD's benchmark.tgz in full"
        )
    yield from (SbdMask(name, folder / f"{name}.mat") for name in wanted if (folder / f"{name}.mat").is_file())
