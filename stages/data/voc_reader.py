"""Reads a dataset in the layout of PASCAL VOC. Tags come from Annotations/*.xml, never from masks."""

import logging
from pathlib import Path
from xml.etree import ElementTree

from stages.errors import DataError
from stages.index import Record
from stages.settings import DataSettings

log = logging.getLogger(__name__)

AUGMENTED = "train_aug"  # the field's name for VOC's train joined with SBD's images


def read_voc_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the file that lists them.

    Every `object/name` in an image's annotation is a tag, of difficult objects by `data.voc.difficult`. Images of the
    test split may lack annotation and mask. With `data.voc.sbd` the mask of an image that has none in `data.voc.masks`
    is empty: `make_truth` makes it. Raises DataError when a list or another annotation is missing or no XML.
    """
    ids, source = read_split_ids(root, split, settings)
    records = []
    for name in ids:
        annotation = root / "Annotations" / f"{name}.xml"
        mask = f"{settings.voc.masks}/{name}.png"
        bare = split == "test" and not annotation.is_file()
        records.append(
            Record(
                id=name,
                image=f"JPEGImages/{name}.jpg",
                mask="" if (split == "test" or settings.voc.sbd) and not (root / mask).is_file() else mask,
                labels=() if bare else read_tags(annotation, settings.classes, difficult=settings.voc.difficult),
                split=split,
            )
        )
    return records, source


def read_split_ids(root: Path, split: str, settings: DataSettings) -> tuple[list[str], Path]:
    """The ids of a split and the file that lists them.

    Where `data.voc.sbd` is given, a missing list `train_aug` is made up of SBD's train and val and VOC's train, without
    VOC's val: 10,582 images. Raises DataError when a list is missing.
    """
    name = {"train": settings.voc.train, "val": settings.voc.val, "test": settings.voc.test}[split]
    lists = root / "ImageSets" / "Segmentation"
    source = lists / f"{name}.txt"
    if name != AUGMENTED or source.is_file() or settings.voc.sbd is None:
        return read_ids(source), source
    sbd = root / settings.voc.sbd
    joined = {name for path in (sbd / "train.txt", sbd / "val.txt", lists / "train.txt") for name in read_ids(path)}
    ids = sorted(joined - set(read_ids(lists / "val.txt")))
    log.info("%s is not there: %d images of SBD and VOC's train, without VOC's val", source, len(ids))
    return ids, sbd / "train.txt"


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
