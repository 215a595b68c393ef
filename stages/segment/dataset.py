"""The index as an mmsegmentation dataset: every image with its pseudo mask, or with its own true mask."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from stages.errors import DataError
from stages.images import IGNORE, voc_palette
from stages.index import Record, read_index
from stages.mask_folders import find_masks


def training_masks(records: Sequence[Record], root: Path, folders: Sequence[Path]) -> list[Path]:
    """The mask file of each record: `<id>.png` in one of `folders`, or the index's own true mask if there are none.

    Raises DataError, naming the first image without a mask.
    """
    if folders:
        return list(find_masks(folders, (record.id for record in records)).values())
    return [true_mask(record, root) for record in records]


def true_mask(record: Record, root: Path) -> Path:
    """The true mask that the index names for an image. Raises DataError when it names none or the file is missing."""
    if not record.mask:
        raise DataError(f"{record.id}: the index has no mask; train on pseudo masks (`--masks`) or add the true mask")
    path = root / record.mask
    if not path.is_file():
        raise DataError(f"{path}: no such mask; check the dataset folder (`data.root`)")
    return path


@DATASETS.register_module()
class IndexedMasks(BaseSegDataset):
    """Images of an index CSV with masks: 0 background, 1..C classes in the given order, 255 ignore.

    `masks` are folders of pseudo masks; empty means the index's own true masks.
    """

    def __init__(
        self, index: str, root: str, *, classes: Sequence[str], masks: Sequence[str] = (), **options: Any
    ) -> None:
        self.index = Path(index)
        self.root = Path(root)
        self.masks = [Path(folder) for folder in masks]
        names = ("background", *classes)
        palette = voc_palette()
        colours = [palette[3 * label : 3 * label + 3] for label in range(len(names))]
        super().__init__(
            metainfo={"classes": names, "palette": colours},
            ignore_index=IGNORE,
            reduce_zero_label=False,
            serialize_data=False,
            **options,
        )

    def load_data_list(self) -> list[dict]:
        """One entry per image, as mmsegmentation's transforms expect it. Raises DataError for a missing mask."""
        records = read_index(self.index)
        return [
            {
                "img_path": str(self.root / record.image),
                "seg_map_path": str(mask),
                "label_map": self.label_map,
                "reduce_zero_label": self.reduce_zero_label,
                "seg_fields": [],
            }
            for record, mask in zip(records, training_masks(records, self.root, self.masks), strict=True)
        ]
