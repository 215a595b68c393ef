"""The hand-checked lists of the demo set: packages, cut-outs with class and split, backgrounds with split."""

import csv
import json
from dataclasses import dataclass
from importlib.resources import files

from stages.errors import DataError

SHARE = "usr/share"  # where the packages put their files; the names in the lists are relative to it


@dataclass(frozen=True)
class Package:
    """A Debian package, pinned by version and checksum."""

    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The name that `apt-get download` gives it."""
        return f"{self.name}_{self.version}_all.deb"


@dataclass(frozen=True)
class ListedCutout:
    """A photographic cut-out; near-duplicates (the same motif, or another shot of it) share a `group`, else it is
    empty."""

    file: str
    label: str
    split: str
    group: str


@dataclass(frozen=True)
class ListedBackground:
    """A photograph that shows no object of the demo's classes."""

    file: str
    split: str


def read_packages() -> list[Package]:
    """The three source packages."""
    text = files("stages.data").joinpath("demo/packages.json").read_text(encoding="utf-8")
    return [Package(**package) for package in json.loads(text)["packages"]]


def read_cutout_list() -> list[ListedCutout]:
    """All listed cut-outs, in the order of the list."""
    return [ListedCutout(row["file"], row["class"], row["split"], row["group"]) for row in _rows("demo/cutouts.csv")]


def read_background_list() -> list[ListedBackground]:
    """All listed backgrounds, in the order of the list."""
    return [ListedBackground(row["file"], row["split"]) for row in _rows("demo/backgrounds.csv")]


def check_classes(classes: tuple[str, ...]) -> None:
    """Raises DataError if `data.classes` names a class for which the demo has no cut-outs."""
    known = tuple(dict.fromkeys(cutout.label for cutout in read_cutout_list()))
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise DataError(
            f"data.classes: the demo set has no cut-outs of {', '.join(map(repr, unknown))}; "
            f"choose from {', '.join(known)}"
        )


def _rows(name: str) -> list[dict[str, str]]:
    text = files("stages.data").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
