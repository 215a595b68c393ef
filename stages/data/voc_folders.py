"""Where VOC's and SBD's folders are, if their archives were unpacked without moving anything."""

import os
from pathlib import Path

from stages.errors import DataError
from stages.settings import DataSettings

LISTS = "ImageSets/Segmentation"
# Below the folder where benchmark.tgz was unpacked.
SBD_FOLDERS = ("benchmark_RELEASE/dataset", "dataset", ".")
ABOVE = ("", "..", "../..", "../../..")  # VOC's tar puts its folder into VOCdevkit/VOC2012


def require_voc_folders(root: Path, settings: DataSettings) -> None:
    """Raises DataError, with the setting to write, if `root` or `data.voc.sbd` is not the folder that VOC's layout
    needs, but that folder is near."""
    if not (root / LISTS).is_dir() and (found := _voc_near(root)):
        sbd = _sbd_near(found[0]) if settings.voc.sbd is not None else None
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


def _voc_near(root: Path) -> list[Path]:
    """Folders with VOC's lists, up to two levels below the root or above it; the newest set first."""
    below = [place.parents[1] for level in ("*", "*/*") for place in root.glob(f"{level}/{LISTS}")]
    above = [place for place in (root.parent, root.parent.parent) if (place / LISTS).is_dir()]
    return sorted(below, reverse=True) + above


def _sbd_near(root: Path, *others: Path) -> str | None:
    """SBD's folder as a path relative to VOC's; None if it is not near."""
    for place in (*others, *(root / level for level in ABOVE)):
        for name in SBD_FOLDERS:
            if (place / name / "cls").is_dir() and (place / name / "train.txt").is_file():
                return os.path.relpath(place / name, root)
    return None
