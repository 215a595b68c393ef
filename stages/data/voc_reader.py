"""Reads a dataset in the layout of PASCAL VOC. Tags come from Annotations/*.xml, never from masks."""

import logging
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from stages.data.id_lines import Known
from stages.data.id_lists import read_stems
from stages.data.voc_folders import require_voc_folders
from stages.errors import DataError
from stages.index import Record
from stages.settings import DataSettings

log = logging.getLogger(__name__)

AUGMENTED = "train_aug"  # the field's name for VOC's train joined with SBD's images
TRAINVAL = "VOCtrainval_11-May-2012.tar"
SBD = "SBD's benchmark.tgz"
TEST = "VOC2012test.tar, which PASCAL VOC's server (http://host.robots.ox.ac.uk:8080) gives to registered users only"


def read_voc_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the file that lists them.

    Every `object/name` in an image's annotation is a tag; `data.voc.difficult` decides about difficult objects. Images
    of the test split may lack annotation and mask. With `data.voc.sbd`, the mask of an image that has none in VOC is
    empty: `make_truth` makes it. A missing or broken annotation or mask is stored as a fault of its record. Raises
    DataError if a list or the folder of masks is missing.
    """
    require_voc_folders(root, settings)
    ids, source = read_split_ids(root, split, settings)
    masks = root / settings.voc.masks
    if split != "test" and settings.voc.sbd is None and not masks.is_dir():
        there = ", ".join(sorted(place.name for place in root.glob("Segmentation*"))) or "none"
        raise DataError(
            f"data.voc.masks: no folder {masks} (there: {there}); put the masks there, or name another folder, or SBD's"
            " in data.voc.sbd"
        )
    own = voc_ids(root) if settings.voc.sbd else frozenset()
    return [_record(name, root, split, settings, own=name in own) for name in ids], source


def _record(name: str, root: Path, split: str, settings: DataSettings, *, own: bool) -> Record:
    """own: whether the image is in VOC's own train or val."""
    annotation = root / "Annotations" / f"{name}.xml"
    mask = f"{settings.voc.masks}/{name}.png"
    labels: tuple[str, ...] = ()
    fault = ""
    if annotation.is_file() or split != "test":
        try:
            labels = read_tags(annotation, settings.classes, difficult=settings.voc.difficult)
        except DataError as error:
            fault = str(error)
    if not (root / mask).is_file() and (split == "test" or settings.voc.sbd is not None):
        fault = fault or missing_mask(name, root, split, settings, own=own)
        mask = ""
    return Record(name, f"JPEGImages/{name}.jpg", mask, labels, split, fault=fault)


def missing_mask(name: str, root: Path, split: str, settings: DataSettings, *, own: bool) -> str:
    """What is wrong with an image that has no mask in VOC; empty if SBD has it, or if none is public."""
    png = root / settings.voc.masks / f"{name}.png"
    if own:
        # SBD draws other borders, ignores nothing and has 11,355 images: val would be scored on another truth.
        return (
            f"{png}: no such mask, and SBD's must not replace it: the image is in VOC's own train or val; unpack"
            f" {TRAINVAL} again"
        )
    if settings.voc.sbd is None or split == "test":
        return ""
    mat = root / settings.voc.sbd / "cls" / f"{name}.mat"
    return "" if mat.is_file() else f"{name}: no mask, neither {png} nor {mat}; unpack {TRAINVAL} and {SBD} in full"


def voc_ids(root: Path) -> frozenset[str]:
    """The ids of VOC's own train and val, which use VOC's masks. Raises DataError if a list is missing."""
    lists = root / "ImageSets" / "Segmentation"
    cure = f"unpack {TRAINVAL}: the masks of these images must not be SBD's"
    known = known_images(root)
    paths = (lists / f"{split}.txt" for split in ("train", "val"))
    return frozenset(name for path in paths for name in read_stems(path, missing=cure, known=known))


def known_images(root: Path) -> Known:
    """Whether VOC's folder of images has an id's."""

    @cache
    def there() -> frozenset[str]:
        return frozenset(path.stem for path in (root / "JPEGImages").glob("*.jpg"))

    return lambda name: name in there()


def read_split_ids(root: Path, split: str, settings: DataSettings) -> tuple[list[str], Path]:
    """The ids of a split and the file that lists them.

    If `data.voc.sbd` is given, a missing list `train_aug` is built from SBD's train and val and VOC's train, without
    VOC's val: 10,582 images. Raises DataError if a list is missing.
    """
    name = {"train": settings.voc.train, "val": settings.voc.val, "test": settings.voc.test}[split]
    cure = "check data.root and the names of the split files in the config"
    if split == "test":
        cure += f"; it comes with {TEST}; without it leave test out of segment.predict and evaluate"
    lists, known = root / "ImageSets" / "Segmentation", known_images(root)
    source = lists / f"{name}.txt"
    if name != AUGMENTED or source.is_file() or settings.voc.sbd is None:
        return read_stems(source, missing=cure, known=known), source
    sbd = root / settings.voc.sbd
    unpack = f"unpack {TRAINVAL} and {SBD}, or correct data.voc.sbd"
    parts = (sbd / "train.txt", sbd / "val.txt", lists / "train.txt")
    joined = {name for path in parts for name in read_stems(path, missing=unpack, known=known)}
    ids = sorted(joined - set(read_stems(lists / "val.txt", missing=unpack, known=known)))
    log.info("%s is missing: using %d images of SBD and VOC's train, without VOC's val", source, len(ids))
    return ids, sbd / "train.txt"


def read_tags(annotation: Path, classes: tuple[str, ...], *, difficult: bool) -> tuple[str, ...]:
    """The classes of a VOC annotation, each once, in the order of `classes`, followed by names that are not classes.

    Raises DataError if it is missing or not XML.
    """
    try:
        tree = ElementTree.parse(annotation)
    except FileNotFoundError as error:
        raise DataError(
            f"{annotation}: no such annotation, so the image has no tags; add it or remove the image from the split"
        ) from error
    # Besides its own error, the parser raises others, for unknown or violated encodings.
    except (ElementTree.ParseError, OSError, LookupError, ValueError) as error:
        raise DataError(f"{annotation}: not XML ({error}); replace it") from error
    objects = [item for item in tree.findall("object") if difficult or item.findtext("difficult", "0").strip() != "1"]
    found = {item.findtext("name", "").strip() for item in objects if item.find("name") is not None}
    return tuple(name for name in classes if name in found) + tuple(sorted(found - set(classes)))
