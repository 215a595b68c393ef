"""Unpacks archives from elsewhere: nothing is written outside the target, no links, no more than the allowed size."""

import logging
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from stages.errors import DataError
from stages.files import atomic_path
from stages.runtime.command import DISK_CURES

log = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
MOST_FILES = 1_000_000
# The libraries report a broken archive in many ways.
BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),
)


@dataclass(frozen=True)
class Member:
    """A file in an archive. kind: "file", or what else it is. open: returns its bytes."""

    name: str
    kind: str
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(path: Path, target: Path, *, strip: str, most_bytes: int) -> int:
    """Unpacks the content of the folder `strip` of a .tar, .tgz or .zip into `target`; returns the number of files.

    A file that already exists with the right size is not written again, so a killed run can continue; each file appears
    whole or not at all. Raises DataError for a path that leads outside, by itself or through an existing link, for a
    link or device, for more than `most_bytes` or a million files, and for an archive that cannot be read; OSError for a
    fault of the disk. Nothing that was refused is written.
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
                    " it is not the archive known by this name"
                )
            write_member(member, place_below(target, place.relative_to(strip) if strip else place), path)
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno in DISK_CURES:
            raise
        raise DataError(f"{path}: cannot be unpacked ({error}); is it complete? Fetch it again") from error
    log.info("%s: %d files into %s, %d other files skipped", path, count, target, skipped)
    return count


def safe_place(member: Member, archive: Path) -> PurePosixPath:
    """A member's path below the target. Raises DataError if it leads elsewhere, or is neither file nor folder."""
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts or "\\" in member.name or "\0" in member.name:
        raise DataError(f"{archive}: contains the path {member.name!r}, which leads out of the folder; do not use it")
    if member.kind not in ("file", "folder"):
        raise DataError(f"{archive}: {member.name!r} is a {member.kind}, not a file; do not use it")
    return place


def place_below(target: Path, place: PurePosixPath) -> Path:
    """Where a file goes. Raises DataError if an existing link leads out of the target."""
    folder = (target / place).parent
    if not folder.resolve().is_relative_to(target.resolve()):
        raise DataError(
            f"{folder}: leads through a link to {folder.resolve()}, out of {target}; replace the link with a folder, or"
            " make data.root itself the link"
        )
    return target / place


def write_member(member: Member, place: Path, archive: Path) -> None:
    """Writes one file, unless it exists with the right size. Raises DataError if its size differs from the one
    stated."""
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
        if left:
            raise DataError(f"{archive}: {member.name!r} is shorter than it says; fetch the archive again")


def members_of(path: Path) -> Iterator[Member]:
    """The members of a .tar, .tgz or .zip, one after another. Raises DataError for another kind of file, and after the
    last member of a truncated tar."""
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
            # A tar ends in a block of zeros, which tarfile reads if there is one.
            if archive.fileobj is not None and archive.fileobj.tell() <= archive.offset:
                raise DataError(f"{path}: has no end-of-archive mark, so it is truncated; fetch it again")
            # The checksum of a compressed one comes last.
            while archive.fileobj is not None and archive.fileobj.read(CHUNK):
                pass
    else:
        raise DataError(f"{path}: is not a .tar, .tgz or .zip; fetch it again")
