"""Reads the composed demo set: VOC layout, tags from its tags.csv, never from the masks."""

import csv
from pathlib import Path

from stages.data.id_lists import read_ids
from stages.errors import DataError
from stages.index import LABEL_SEPARATOR, Record
from stages.settings import DataSettings


def read_demo_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the file that lists them. Raises DataError if a list is missing or incomplete."""
    source = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    tags_file = root / "tags.csv"
    if not tags_file.is_file():
        raise DataError(f"{tags_file}: no such file; delete the set and run `compose` again")
    with tags_file.open(newline="", encoding="utf-8") as stream:
        tags = {row["id"]: row for row in csv.DictReader(stream)}
    records = []
    for name in read_ids(source, missing="delete the set and run `compose` again"):
        if name not in tags:
            raise DataError(f"{tags_file}: has no row for {name!r}; delete the set and run `compose` again")
        records.append(
            Record(
                id=name,
                image=f"JPEGImages/{name}.jpg",
                mask=f"SegmentationClass/{name}.png",
                labels=tuple(filter(None, tags[name]["labels"].split(LABEL_SEPARATOR))),
                split=split,
                caption=tags[name]["caption"],
            )
        )
    return records, source
