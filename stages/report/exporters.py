"""What each format of `tagmask export` writes into its folder: an exporter takes photos one by one."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Protocol

from stages.files import sha256_of, write_text
from stages.index import write_classes
from stages.mask_formats.coco import CocoWriter
from stages.mask_formats.labelme import write_labelme
from stages.mask_formats.names import IGNORED
from stages.mask_formats.photos import MaskedPhoto
from stages.mask_formats.png import CLASSES, write_png
from stages.mask_formats.regions import Region
from stages.mask_formats.yolo import write_description, write_yolo
from stages.report.export_choices import Format


@dataclass(frozen=True)
class Target:
    """Where and how to write. folder: to be filled.  place: where it will be, for paths that are relative to it.
    smallest: pixels of the smallest region that is written."""

    folder: Path
    place: Path
    classes: Sequence[str]
    rle: bool
    tolerance: float
    smallest: int = 1


class Exporter(Protocol):
    """Writes a format."""

    def add(self, photo: MaskedPhoto, regions: Sequence[Region]) -> tuple[str, int]:
        """Writes a photo's mask. Returns a hash of what its file says about it (empty if the format is not read back)
        and the number of points."""

    def finish(self) -> None:
        """Writes what is about all photos."""


@dataclass
class PngExporter:
    """`<photo>.png`, and classes.txt: line k is value k."""

    target: Target

    def add(self, photo: MaskedPhoto, regions: Sequence[Region]) -> tuple[str, int]:
        path = self.target.folder / f"{photo.name}.png"
        write_png(path, photo.mask)
        return sha256_of(path), 0

    def finish(self) -> None:
        write_classes(self.target.folder / CLASSES, self.target.classes)


@dataclass
class LabelmeExporter:
    """`<photo>.json`, and labels.txt for labelme's `--labels`."""

    target: Target

    def add(self, photo: MaskedPhoto, regions: Sequence[Region]) -> tuple[str, int]:
        path, place = (folder / f"{photo.name}.json" for folder in (self.target.folder, self.target.place))
        points = write_labelme(path, photo, regions, self.target.classes, tolerance=self.target.tolerance, place=place)
        return sha256_of(path), points

    def finish(self) -> None:
        names = [*self.target.classes, next(name for name in IGNORED if name not in self.target.classes)]
        write_text(self.target.folder / "labels.txt", "".join(f"{name}\n" for name in names))


@dataclass
class CocoExporter:
    """`annotations/instances_<split>.json`."""

    target: Target
    splits: dict[str, CocoWriter] = field(default_factory=dict)

    def add(self, photo: MaskedPhoto, regions: Sequence[Region]) -> tuple[str, int]:
        fresh = CocoWriter(self.target.classes, self.target.rle, self.target.tolerance)
        writer = self.splits.setdefault(photo.split, fresh)
        before = writer.points
        said = writer.add(photo, regions)
        return said, writer.points - before

    def finish(self) -> None:
        for split, writer in self.splits.items():
            writer.write(self.target.folder / f"annotations/instances_{split}.json")


@dataclass
class YoloExporter:
    """`labels/<split>/<photo>.txt`, links to the photos in `images/<split>/`, a list for each split, data.yaml."""

    target: Target
    lists: dict[str, list[str]] = field(default_factory=dict)

    def add(self, photo: MaskedPhoto, regions: Sequence[Region]) -> tuple[str, int]:
        image = PurePosixPath(f"images/{photo.split}/{photo.name}{photo.path.suffix}")
        link = self.target.folder / image
        link.parent.mkdir(parents=True, exist_ok=True)
        # Relative, so that the folder can be moved together with the photos.
        link.symlink_to(os.path.relpath(photo.path.absolute(), (self.target.place.absolute() / image).parent))
        self.lists.setdefault(photo.split, []).append(f"./{image}")
        path = self.target.folder / f"labels/{photo.split}/{photo.name}.txt"
        return "", write_yolo(path, regions, photo.size, tolerance=self.target.tolerance)

    def finish(self) -> None:
        for split, images in self.lists.items():
            write_text(self.target.folder / f"{split}.txt", "".join(f"{image}\n" for image in images))
        write_description(self.target.folder / "data.yaml", list(self.lists), self.target.classes)


EXPORTERS: Mapping[Format, Callable[[Target], Exporter]] = MappingProxyType(
    {
        Format.coco: CocoExporter,
        Format.labelme: LabelmeExporter,
        Format.yolo: YoloExporter,
        Format.png: PngExporter,
    }
)
