"""Downloads a dataset's archives where the licence allows, checks them and unpacks them below the dataset root."""

import functools
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from stages.data.download import DownloadError, download, md5_of
from stages.data.unpack import unpack
from stages.errors import DataError
from stages.files import read_json, write_json
from stages.settings import DataSettings

log = logging.getLogger(__name__)

FOLDER = "archives"  # below the dataset root: where archives are downloaded, or put by hand


@dataclass(frozen=True)
class Archive:
    """An archive of a dataset.

    url: None if the licence requires each user to download it.  md5: as published; None if there is none.
    splits: those that need it.  setting: the setting of `data`, dotted, that makes it necessary; empty if it is always
    needed.  strip: folder within the archive whose content goes into `below`, a folder below the dataset root.
    most_bytes: limit on its unpacked size.  gives: paths below the root that it provides.  note: what it contains, and
    how to get it.
    """

    file: str
    url: str | None
    md5: str | None
    splits: tuple[str, ...]
    setting: str
    strip: str
    below: str
    most_bytes: int
    gives: tuple[str, ...]
    note: str


def read_sources(settings: DataSettings, splits: Collection[str]) -> list[Archive]:
    """The archives that these splits of a dataset need. Raises DataError if none are listed for its format."""
    return [
        archive
        for archive in list_sources(settings.format)
        if set(archive.splits) & set(splits) and _is_set(archive.setting, settings)
    ]


def list_sources(format: str) -> list[Archive]:
    """All archives of a format of `data.format`. Raises DataError if none are listed."""
    lists = json.loads(files("stages.data").joinpath("sources.json").read_text(encoding="utf-8"))
    if format not in lists:
        raise DataError(f"data.fetch: no archives are known for data.format {format!r}; put the dataset into data.root")
    return [
        Archive(**{**entry, "splits": tuple(entry["splits"]), "gives": tuple(entry["gives"])})
        for entry in lists[format]
    ]


def _is_set(setting: str, settings: DataSettings) -> bool:
    """Whether a dotted setting of `data` has a value."""
    return not setting or functools.reduce(getattr, setting.split("."), settings) is not None


def fetch_sources(archives: Sequence[Archive], root: Path) -> dict[str, str]:
    """Downloads and unpacks whatever is missing. Returns what was done with each archive.

    An archive that was put into <root>/archives by hand is used as it is, if its checksum is right. If any cannot be
    downloaded, raises DataError that lists every file to put there.
    """
    done: dict[str, str] = {}
    lacking: list[tuple[Archive, str]] = []
    for archive in archives:
        try:
            done[archive.file] = fetch_archive(archive, root)
        except DownloadError as error:
            lacking.append((archive, str(error)))
    if lacking:
        raise DataError("\n".join([f"data.fetch: put into {root / FOLDER} and run again:", *map(_wanted, lacking)]))
    return done


def fetch_archive(archive: Archive, root: Path) -> str:
    """Makes one archive's content available below `root`; returns what was done.

    Raises DownloadError if it cannot be downloaded, DataError if it is a different file or not safe to unpack.
    """
    path = root / FOLDER / archive.file
    marker = path.with_name(f"{archive.file}.unpacked.json")
    in_place = all((root / given).exists() for given in archive.gives)
    if in_place and marker.is_file():
        return f"unpacked before: {read_json(marker)['files']} files"
    if in_place and not path.is_file():
        return "in place, put there by other means"
    if not path.is_file():
        if archive.url is None:
            raise DownloadError("its licence requires each user to download it")
        download(archive.url, path, md5=archive.md5)
    elif archive.md5 is not None and (found := md5_of(path)) != archive.md5:
        raise DataError(f"{path}: MD5 is {found}, must be {archive.md5}; delete the file to have it fetched again")
    count = unpack(path, root / archive.below, strip=archive.strip, most_bytes=archive.most_bytes)
    missing = [given for given in archive.gives if not (root / given).exists()]
    if missing:
        raise DataError(f"{path}: unpacked {count} files but not {root / missing[0]}; is it the right archive?")
    write_json(marker, {"files": count, "md5": archive.md5})
    return f"unpacked: {count} files"


def _wanted(entry: tuple[Archive, str]) -> str:
    archive, reason = entry
    checksum = f", MD5 {archive.md5}" if archive.md5 else ""
    where = f" from {archive.url}" if archive.url else ""
    need = " (or leave test out of segment.predict and evaluate)" if archive.splits == ("test",) else ""
    return f"  {archive.file}{where}{checksum}: {archive.note}{need} [{reason.removeprefix(f'{archive.url}: ')}]"
