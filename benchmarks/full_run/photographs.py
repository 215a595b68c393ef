"""A few photographs of the datasets' real sizes, in the datasets' own formats.

Pictures are composed as those of the demo set: photographic cut-outs over photographs of Debian packages, with exact
masks. Their tags are names of the dataset's classes dealt out in turn, so a tag says nothing of what is to be seen:
memory and time do not depend on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stages.data.demo.cutouts import Cutout, read_background, read_cutout
from stages.data.demo.lists import read_background_list, read_cutout_list, read_packages
from stages.data.demo.packages import fetch_packages, find_files
from stages.data.demo.painting import paint_sized
from stages.files import atomic_folder
from stages.settings import DataSettings, DemoSettings
from tests.workflow.miniatures import Pictures, write_coco, write_openimages, write_voc

SPLITS = ("train", "val", "test")
# (width, height) of most photographs of VOC and of COCO; Open Images' benchmark has its images at many sizes.
VOC_SIZES = ((500, 375), (375, 500))
COCO_SIZES = ((640, 480), (480, 640))
SIZES = {"voc": VOC_SIZES, "coco": COCO_SIZES, "openimages": (*VOC_SIZES, *COCO_SIZES)}
MOST_OBJECTS = {"voc": 3, "coco": 3, "openimages": 1}
WRITERS = {"voc": write_voc, "coco": write_coco, "openimages": write_openimages}
# COCO's category ids are 1 to 90 without these.
COCO_GAPS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})


@dataclass(frozen=True)
class Photographs:
    """Draws the pictures of a dataset, each from its split and number alone.

    cutouts, backgrounds: files.  classes: of the dataset.  sizes: (width, height), in turn.  most: objects a picture.
    """

    cutouts: Sequence[Path]
    backgrounds: Sequence[Path]
    classes: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    most: int

    def draw(self, split: str, number: int) -> tuple[Image.Image, np.ndarray, tuple[str, ...]]:
        """Image, mask (values from 1 in the order of `classes`, 255 at edges), and the tags that its pixels prove."""
        rng = np.random.default_rng([SPLITS.index(split), number])
        place = len(SPLITS) * number + SPLITS.index(split)
        objects = rng.choice(len(self.cutouts), size=1 + number % self.most, replace=False)
        painting = paint_sized(
            read_background(self.backgrounds[int(rng.integers(len(self.backgrounds)))]),
            [self._labelled(self.cutouts[item], place * self.most + turn) for turn, item in enumerate(objects)],
            size=self.sizes[number % len(self.sizes)],
            classes=self.classes,
            settings=DemoSettings(),
            rng=rng,
        )
        found = {cutout.label for cutout in painting.cutouts}
        return painting.image, painting.mask, tuple(name for name in self.classes if name in found)

    def _labelled(self, path: Path, turn: int) -> Cutout:
        return read_cutout(path, label=self.classes[turn % len(self.classes)])


def coco_ids(classes: Sequence[str]) -> dict[str, int]:
    """COCO's own number of each class, given in COCO's order; plain numbers for other classes."""
    numbers = [number for number in range(1, 91) if number not in COCO_GAPS]
    return dict(zip(classes, numbers if len(classes) == len(numbers) else range(1, len(classes) + 1), strict=True))


def photographs(data: DataSettings, cache: Path) -> Photographs:
    """The pictures for a dataset's section `data`; their sources are fetched into `cache` on first use."""
    roots = fetch_packages(read_packages(), cache, None)
    cutouts, backgrounds = (
        [Path(path) for path in find_files([item.file for item in listed], roots).values()]
        for listed in (read_cutout_list(), read_background_list())
    )
    return Photographs(cutouts, backgrounds, data.classes, SIZES[data.format], MOST_OBJECTS[data.format])


def write_set(root: Path, data: DataSettings, counts: Mapping[str, int], cache: Path) -> None:
    """Writes the dataset of a section `data` with so many pictures a split, whole or not at all."""
    source = photographs(data, cache)
    pictures = Pictures(source.draw, counts, data.classes, coco_ids(data.classes))
    with atomic_folder(root) as folder:
        WRITERS[data.format](folder, pictures)
