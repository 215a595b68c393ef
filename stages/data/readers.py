"""Dataset readers: one file and one line in READERS for each format of `data.format`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from stages.data.csv_reader import read_csv_split
from stages.data.demo_reader import read_demo_split
from stages.data.voc_reader import read_voc_split
from stages.errors import DataError
from stages.index import Record
from stages.settings import DataSettings

# A reader takes the dataset root, the split and the settings, and returns the split's records, paths relative to root,
# with the file that lists them. It opens no image: `stages.data.problems` does that for all formats alike.
Reader = Callable[[Path, str, DataSettings], tuple[list[Record], Path]]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "demo": read_demo_split,
        "voc": read_voc_split,
        "csv": read_csv_split,
    }
)


def read_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """Reads a split of the configured format. Raises DataError when the dataset folder is missing."""
    if not root.is_dir():
        raise DataError(f"data.root: {root} is no folder; put the dataset there or correct data.root in the config")
    return READERS[settings.format](root, split, settings)
