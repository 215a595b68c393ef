"""The folder or file of masks mended by hand (`refine.mended`), at a glance: read whenever a run is planned."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from stages.files import sha256_of

SETTING = "refine.mended"
SUFFIXES = (".json", ".png")
# Next to what is exported: a row for each image, with a hash of what the file says about it.
MANIFEST = "exported.csv"
MANIFEST_COLUMNS = ("image", "sha256")


def fault_of_place(path: Path) -> str:
    """What is wrong with the folder or file that the setting names, with the cure; empty if nothing is."""
    if path.is_file():
        return (
            "" if path.suffix.lower() == ".json" else f"{path} is no JSON file of COCO; name one, or a folder of masks"
        )
    if not path.is_dir():
        return f"no folder or file {path}; correct the path, or leave it out"
    if next(masks_in(path), None) is None:
        return (
            f"{path} holds no mask (JSON of labelme, or PNG); put the mended masks there, name COCO's JSON file itself,"
            " or leave the setting out"
        )
    return ""


def masks_in(folder: Path) -> Iterator[Path]:
    """Files that may be masks, sorted; hidden ones are those of programs."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def manifests_of(path: Path) -> list[Path]:
    """The lists of what was exported that count: that in the folder, or those next to and above the COCO file."""
    places = [path] if path.is_dir() else [path.parent, path.parent.parent]
    return [file for file in (place / MANIFEST for place in places) if file.is_file()]


def digest_of_place(path: Path) -> str:
    """Hash over names and contents of the masks and of what was exported: it changes when a mask does."""
    total = hashlib.sha256()
    for file in [*(masks_in(path) if path.is_dir() else [path]), *manifests_of(path)]:
        name = file.relative_to(path).as_posix() if file.is_relative_to(path) else file.name
        total.update(f"{name}\0{sha256_of(file)}\n".encode())
    return total.hexdigest()[:16]
