"""Downloads that resume, retry, and are checked before they get their final name."""

import hashlib
import logging
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

from stages.runtime.command import DISK_CURES

log = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
TRIES = 5
TIMEOUT = 60  # seconds without a byte


class DownloadError(Exception):
    """A file that cannot be downloaded."""


def download(url: str, path: Path, *, md5: str | None, tries: int = TRIES, wait: float = 1.0) -> None:
    """Downloads to `<path>.part` and renames it to `path` when it is complete and has the right checksum.

    What an earlier, interrupted download left is kept, and only the rest is requested. wait: seconds before the second
    try, doubled before each further one. Raises DownloadError if the server cannot be reached or refuses, if the
    download breaks off `tries` times in a row without progress, or if the checksum is wrong (the part is then deleted);
    OSError for a fault of the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    failures, furthest = 0, _size_of(part)
    while (reason := _try_once(url, part)) is not None:
        if _size_of(part) > furthest:
            failures, furthest = 0, _size_of(part)
        failures += 1
        if failures == tries:
            raise DownloadError(f"{url}: {reason}") from reason
        log.warning("%s: %s; try %d of %d", url, reason, failures + 1, tries)
        time.sleep(wait * 2 ** (failures - 1))
    if md5 is not None and (found := md5_of(part)) != md5:
        part.unlink()
        raise DownloadError(f"{url}: MD5 is {found}, must be {md5}; the server has a different file")
    part.replace(path)


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _try_once(url: str, part: Path) -> Exception | None:
    """Fetches the rest of a file; returns the error if another try may help. Raises DownloadError if none would,
    OSError for a fault of the disk."""
    try:
        if _fetch_rest(url, part, _size_of(part)):
            return None
        return DownloadError(f"broke off after {_size_of(part):,} bytes")
    except (urllib.error.HTTPError, ValueError) as error:
        if not isinstance(error, urllib.error.HTTPError) or error.code < 500:
            raise DownloadError(f"{url}: {error}") from error
        return error
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and error.errno in DISK_CURES:
            raise
        return error


def _fetch_rest(url: str, part: Path, have: int) -> bool:
    """Appends what is missing from byte `have` on; returns whether the file is then complete."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing after what we have
            return True
        raise
    with response:
        resumed = response.status == 206
        start = have if resumed else 0  # a server without ranges sends the whole file
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            part.open("ab" if resumed else "wb") as stream,
            tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem, mininterval=5) as progress,
        ):
            while chunk := response.read(CHUNK):
                stream.write(chunk)
                progress.update(len(chunk))
    return total is None or part.stat().st_size == total


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file's bytes, the checksum that datasets' authors publish."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
