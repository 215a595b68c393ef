"""Dataset readers: one file and one line in READERS for each format of `data.format`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from stages.data.coco_reader import read_coco_split
from stages.data.csv_reader import read_csv_split
from stages.data.demo.reader import read_demo_split
from stages.data.folder_reader import read_folder_split
from stages.data.openimages_reader import read_openimages_split
from stages.data.voc_reader import read_voc_split
from stages.errors import DataError
from stages.index import Record
from stages.settings import DataSettings

# A reader takes the dataset root, the split and the settings, and returns the split's records, paths relative to root,
# with the file that lists them. It opens no image: `stages.data.problems` does that for all formats.
Reader = Callable[[Path, str, DataSettings], tuple[list[Record], Path]]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "demo": read_demo_split,
        "voc": read_voc_split,
        "coco": read_coco_split,
        "openimages": read_openimages_split,
        "folder": read_folder_split,
        "csv": read_csv_split,
    }
)


def read_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """Reads a split of the configured format.

    Raises DataError if the dataset folder is missing, or if the split does not have `data.expected` images.
    """
    if not root.is_dir():
        raise DataError(f"data.root: {root} is not a folder; put the dataset there or correct data.root in the config")
    records, source = READERS[settings.format](root, split, settings)
    expected = next((count for name, count in settings.expected.items() if name == split), None)
    if expected is not None and len(records) != expected:
        less = expected - len(records)
        much = f"{less:,} missing" if less > 0 else f"{-less:,} too many"
        raise DataError(
            f"{source}: lists {len(records):,} images of the split {split!r}, but data.expected.{split} is"
            f" {expected:,} ({much}); {_left_aside(records, root, split, settings)}complete the file, or correct the"
            " number if you mean another split"
        )
    return records, source


def _left_aside(records: Sequence[Record], root: Path, split: str, settings: DataSettings) -> str:
    """For COCO: how many other images the file has that show no object."""
    if settings.format != "coco":
        return ""
    coco = settings.coco.model_copy(update={"untagged": ("train", "val")})
    everything, _ = read_coco_split(root, split, settings.model_copy(update={"coco": coco}))
    used = {record.id for record in records}
    aside = [record.id for record in everything if record.id not in used]
    if not aside:
        return ""
    return f"{len(aside):,} more show no object, first {aside[0]} (data.coco.untagged keeps them); "
