"""Files appear whole or not at all: written next to their place under a temporary name, then renamed."""

import csv
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.errors import DataError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path next to `path` (same suffix); renames it to `path` when the block succeeds.

    Raises DataError, before the block runs, if a folder is there.
    """
    path = Path(path)
    refuse_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a stage's outputs are as readable as the user's umask says.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder next to `path`; when the block succeeds, it replaces `path`.

    Raises DataError, before the block runs, if a file is there.
    """
    path = Path(path)
    if path.is_file():
        raise DataError(f"{path}: is a file, in place of a folder to write; remove it, or choose another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_folder(path: Path) -> None:
    """Raises DataError if a folder is where a file is to be written."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder, in place of a file to write; name a file in it")


def refuse_broken_folders(path: Path) -> None:
    """Raises DataError if a folder above a path cannot be made, since something else has its name."""
    place = next(place for place in path.absolute().parents if os.path.lexists(place))
    if not place.is_dir():
        kind = "a file" if place.exists() else "a link to nothing"
        raise DataError(f"{path}: cannot be written, since {place} is {kind}; choose another path")


def remove_leftovers(path: Path) -> None:
    """Removes the temporary files and folders that killed writers of `path` left next to it.

    Their names are those of `atomic_path` and `atomic_folder`: a dot, the name, a dash, eight letters, the extension.
    """
    path = Path(path)
    if not path.parent.is_dir():
        return
    for stem, suffix in {(path.stem, path.suffix), (path.name, "")}:
        name = re.compile(rf"\.{re.escape(stem)}-[a-z0-9_]{{8}}{re.escape(suffix)}")
        for entry in path.parent.iterdir():
            if name.fullmatch(entry.name):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def in_utf8(text: str) -> str:
    """The text with halves of characters, which JSON can hold and files in UTF-8 cannot, spelled out."""
    return text.encode("utf-8", errors="backslashreplace").decode()


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Writes rows, the header first, as CSV in UTF-8, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON. Raises DataError if the file is missing or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; run the stage that makes it") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON ({error}); delete it and rerun the stage that makes it") from error


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(paths: Sequence[Path]) -> str:
    """One SHA-256 over the contents of many files, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(bytes.fromhex(sha256_of(path)))
    return total.hexdigest()
