"""Finding masks that lie as `<id>.png` in several folders, one folder a shard."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.errors import DataError


def find_masks(folders: Sequence[Path], ids: Iterable[str]) -> dict[str, Path]:
    """The mask file of each id, in the order of `ids`; each folder is listed once.

    Raises DataError when a folder or an id's mask is missing, or when two folders hold the same id's mask.
    """
    found: dict[str, Path] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder of masks; rerun the stage that makes it")
        for path in folder.glob("*.png"):
            if path.stem in found:
                raise DataError(f"{path}: {found[path.stem]} is a mask of the same image; delete both and rerun")
            found[path.stem] = path
    masks: dict[str, Path] = {}
    for image_id in ids:
        if image_id not in found:
            places = ", ".join(map(str, folders))
            raise DataError(f"{image_id}.png: no such mask in {places}; delete these folders and rerun their stage")
        masks[image_id] = found[image_id]
    return masks
