"""Reads a dataset in the layout of PASCAL VOC. Tags come from Annotations/*.xml, never from masks."""

from pathlib import Path
from xml.etree import ElementTree

from stages.errors import DataError
from stages.index import Record
from stages.settings import DataSettings


def read_voc_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the file that lists them.

    Every `object/name` in an image's annotation is a tag, of difficult objects by `data.voc.difficult`. Images of the
    test split may lack annotation and mask. Raises DataError when a list or another annotation is missing or no XML.
    """
    names = {"train": settings.voc.train, "val": settings.voc.val, "test": settings.voc.test}
    source = root / "ImageSets" / "Segmentation" / f"{names[split]}.txt"
    records = []
    for name in read_ids(source):
        annotation = root / "Annotations" / f"{name}.xml"
        mask = f"{settings.voc.masks}/{name}.png"
        bare = split == "test" and not annotation.is_file()
        records.append(
            Record(
                id=name,
                image=f"JPEGImages/{name}.jpg",
                mask="" if split == "test" and not (root / mask).is_file() else mask,
                labels=() if bare else read_tags(annotation, settings.classes, difficult=settings.voc.difficult),
                split=split,
            )
        )
    return records, source


def read_ids(path: Path) -> list[str]:
    """Image ids from a split file, one a line. Raises DataError when it is missing."""
    if not path.is_file():
        raise DataError(f"{path}: no such split file; check data.root and the names of the split files in the config")
    return [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_tags(annotation: Path, classes: tuple[str, ...], *, difficult: bool) -> tuple[str, ...]:
    """The classes of a VOC annotation, each once, in the order of `classes`; names that are no class follow."""
    try:
        tree = ElementTree.parse(annotation)
    except FileNotFoundError as error:
        raise DataError(
            f"{annotation}: no such annotation, so the image has no tags; add it or take the image off the split"
        ) from error
    except ElementTree.ParseError as error:
        raise DataError(f"{annotation}: not XML ({error}); replace it") from error
    objects = [item for item in tree.findall("object") if difficult or item.findtext("difficult", "0").strip() != "1"]
    found = {item.findtext("name", "").strip() for item in objects if item.find("name") is not None}
    return tuple(name for name in classes if name in found) + tuple(sorted(found - set(classes)))
