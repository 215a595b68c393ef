"""Where VOC's and SBD's folders are, if their archives were unpacked without moving anything."""

import os
from pathlib import Path

from stages.errors import DataError
from stages.settings import DataSettings

LISTS = "ImageSets/Segmentation"
# Below the folder where benchmark.tgz was unpacked.
SBD_FOLDERS = ("benchmark_RELEASE/dataset", "dataset", ".", "benchmark/benchmark_RELEASE/dataset")
ABOVE = ("", "..", "../..", "../../..")  # VOC's tar puts its folder into VOCdevkit/VOC2012
DEEPEST = 4  # folders between the root and VOC's: archive/VOCtrainval_11-May-2012/VOCdevkit/VOC2012
MOST_FOLDERS = 1000  # looked into
FILES = {"JPEGImages": "jpg", "Annotations": "xml"}


def require_voc_folders(root: Path, settings: DataSettings) -> None:
    """Raises DataError, with the setting to write, if `root` or `data.voc.sbd` is not the folder that VOC's layout
    needs, but that folder is near."""
    if not (root / LISTS).is_dir() and (found := _voc_near(root)):
        sbd = _sbd_near(found[0], root) if settings.voc.sbd is not None else None
        also = f" and data.voc.sbd: {sbd}" if sbd is not None else ""
        others = f"; {', '.join(map(str, found[1:]))} would be others" if len(found) > 1 else ""
        raise DataError(
            f"data.root: {root} has no {LISTS}, but {found[0]} has: write data.root: {found[0]}{also}{others}"
        )
    if settings.voc.sbd is not None and not (root / settings.voc.sbd / "cls").is_dir():
        sbd = _sbd_near(root, root / settings.voc.sbd)
        if sbd is not None:
            raise DataError(
                f"data.voc.sbd: {root / settings.voc.sbd} has no folder cls, but {root / sbd} has: write data.voc.sbd:"
                f" {sbd}"
            )
    for name in ("ImageSets", LISTS, *FILES, str(settings.voc.masks)):
        setting = "data.voc.masks" if name == str(settings.voc.masks) else ""
        _require_case(root, Path(name), setting)
    for name, extension in {**FILES, str(settings.voc.masks): "png"}.items():
        setting = "data.voc.masks" if name == str(settings.voc.masks) else ""
        _require_files(root, Path(name), extension, setting)


def _require_case(root: Path, name: Path, setting: str) -> None:
    """Raises DataError if a folder's name is there in another case alone."""
    above, wanted = (root / name).parent, name.name
    if (root / name).is_dir() or not above.is_dir():
        return
    for place in above.iterdir():
        if place.name.casefold() == wanted.casefold() and place.is_dir():
            there = name.with_name(place.name)
            cure = f"write {setting}: {there}" if setting else f"rename it to {wanted}"
            raise DataError(f"{setting or 'data.root'}: no folder {root / name}, but {root / there} is there: {cure}")


def _require_files(root: Path, name: Path, extension: str, setting: str) -> None:
    """Raises DataError if a folder holds none of its files, but a folder within it does, as some archives unpack."""
    folder = root / name
    if not folder.is_dir() or _has_files(folder, extension):
        return
    for place in sorted(below for below in folder.iterdir() if below.is_dir()):
        if _has_files(place, extension):
            there = name / place.name
            cure = f"write {setting}: {there}" if setting else f"move them to {folder}"
            raise DataError(
                f"{setting or 'data.root'}: {folder} holds no {extension} files, but {root / there} does: {cure}"
            )


def _has_files(folder: Path, extension: str) -> bool:
    # Archives made on a Mac have a hidden ._x.png beside each file.
    return any(not path.name.startswith(".") for path in folder.glob(f"*.{extension}"))


def _voc_near(root: Path) -> list[Path]:
    """Folders with VOC's lists, below the root or up to two levels above it; the newest set first."""
    below = [place for place in _folders_below(root) if (place / LISTS).is_dir()]
    above = [place for place in (root.parent, root.parent.parent) if (place / LISTS).is_dir()]
    return sorted(below, reverse=True) + above


def _folders_below(root: Path) -> list[Path]:
    """The folders up to DEEPEST levels below the root, level by level, or the first MOST_FOLDERS."""
    found: list[Path] = []
    level = [root]
    for _ in range(DEEPEST):
        level = [Path(entry.path) for place in level[:MOST_FOLDERS] for entry in _entries(place) if entry.is_dir()]
        found += level
    return found[:MOST_FOLDERS]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # one that may not be read is not the dataset's
        return []


def _sbd_near(root: Path, *others: Path) -> str | None:
    """SBD's folder as a path relative to VOC's; None if it is not near."""
    for place in (*others, *(root / level for level in ABOVE)):
        for name in SBD_FOLDERS:
            if (place / name / "cls").is_dir() and (place / name / "train.txt").is_file():
                return os.path.relpath(place / name, root)
    return None
