"""Unpacks archives that came from elsewhere: nothing lands outside the target, no links, no more than was agreed."""

import logging
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from stages.errors import DataError
from stages.files import atomic_path

log = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
MOST_FILES = 1_000_000


@dataclass(frozen=True)
class Member:
    """A file in an archive. kind: "file", or what else it is. open: gives its bytes."""

    name: str
    kind: str
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(path: Path, target: Path, *, strip: str, most_bytes: int) -> int:
    """Unpacks the content of the folder `strip` of a .tar, .tgz or .zip into `target`; returns the number of files.

    A file that is there with its size is not written again, so that a killed run goes on; each appears whole or not at
    all. Raises DataError for a path that leads outside, a link or device, more than `most_bytes` or a million files,
    and for an archive that cannot be read. What was refused was not written.
    """
    count = skipped = written = 0
    try:
        for member in tqdm(members_of(path), desc=f"unpack {path.name}", unit="file", mininterval=5):
            place = safe_place(member, path)
            if strip and not place.is_relative_to(strip):
                skipped += 1
                continue
            if member.kind == "folder":
                continue
            count, written = count + 1, written + member.size
            if written > most_bytes or count > MOST_FILES:
                raise DataError(
                    f"{path}: unpacks to more than {most_bytes:,} bytes or {MOST_FILES:,} files, at {member.name!r};"
                    " it is not the archive that is known by this name"
                )
            write_member(member, target / place.relative_to(strip) if strip else target / place, path)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); is it whole, and is the disk full?") from error
    log.info("%s: %d files into %s, %d elsewhere in it left out", path, count, target, skipped)
    return count


def safe_place(member: Member, archive: Path) -> PurePosixPath:
    """A member's path below the target. Raises DataError where it leads elsewhere, or is no file or folder."""
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts or "\\" in member.name or "\0" in member.name:
        raise DataError(f"{archive}: holds the path {member.name!r}, which leads out of the folder; do not use it")
    if member.kind not in ("file", "folder"):
        raise DataError(f"{archive}: {member.name!r} is a {member.kind}, not a file; do not use it")
    return place


def write_member(member: Member, place: Path, archive: Path) -> None:
    """Writes one file, unless it is there with its size. Raises DataError where it is longer than it says."""
    if place.is_file() and place.stat().st_size == member.size:
        return
    source = member.open()
    if source is None:
        raise DataError(f"{archive}: {member.name!r} cannot be read; fetch the archive again")
    with source, atomic_path(place) as temporary, temporary.open("wb") as stream:
        left = member.size
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise DataError(f"{archive}: {member.name!r} is longer than it says; do not use it")
            stream.write(chunk)


def members_of(path: Path) -> Iterator[Member]:
    """The members of a .tar, .tgz or .zip, one after another. Raises DataError for another kind of file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                link = stat.S_ISLNK(info.external_attr >> 16)
                kind = "folder" if info.is_dir() else "link" if link else "file"
                yield Member(info.filename, kind, info.file_size, lambda info=info: archive.open(info))  # type: ignore[misc]
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for entry in archive:
                kind = "file" if entry.isreg() else "folder" if entry.isdir() else "link or device"
                yield Member(entry.name, kind, entry.size, lambda entry=entry: archive.extractfile(entry))  # type: ignore[misc]
    else:
        raise DataError(f"{path}: is no .tar, .tgz or .zip; fetch it again")
