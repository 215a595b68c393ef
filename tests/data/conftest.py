"""A made-up source for the demo set: plain shapes whose colour tells the split, on grey backgrounds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stages.data.demo.lists import ListedBackground, ListedCutout
from stages.images import write_mask
from stages.index import Record
from stages.settings import DataSettings, DemoSettings
from stages.vocabulary import SPLITS

COLOURS = {"train": (220, 40, 40), "val": (40, 220, 40), "test": (40, 40, 220)}
CLASSES = ("bird", "coin", "road sign")


@dataclass(frozen=True)
class Source:
    """Files and lists as `fetch` and the project's lists give them."""

    files: dict[str, Path]
    cutouts: list[ListedCutout]
    backgrounds: list[ListedBackground]
    settings: DataSettings


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Two cut-outs a class and split (one hard-edged, one soft-edged), two backgrounds a split."""
    files, cutouts, backgrounds = {}, [], []
    for split in SPLITS:
        for place in range(2):
            name = f"{split}-{place}.jpg"
            files[name] = tmp_path / "source" / name
            files[name].parent.mkdir(exist_ok=True)
            Image.new("RGB", (400, 300), (90 + 60 * place,) * 3).save(files[name])
            backgrounds.append(ListedBackground(name, split))
        for label in CLASSES:
            for shape in ("square", "disc"):
                name = f"{split}-{label}-{shape}.png"
                files[name] = tmp_path / "source" / name
                draw_cutout(files[name], COLOURS[split], shape)
                files[name].with_suffix(".txt").write_text(f"A {label}, {shape}.\nde.utf8=Ein Ding.\n")
                cutouts.append(ListedCutout(name, label, split, ""))
    settings = DataSettings(
        format="demo", classes=CLASSES, demo=DemoSettings(train=12, val=6, test=6, sides=(100, 140))
    )
    return Source(files, cutouts, backgrounds, settings)


def draw_cutout(path: Path, colour: tuple[int, int, int], shape: str) -> None:
    """A shape of one colour in a transparent margin whose hidden colour is another: it must never show."""
    image = Image.new("RGBA", (80, 80), (255, 255, 255, 0))
    pen = ImageDraw.Draw(image)
    if shape == "square":
        pen.rectangle((10, 20, 69, 59), fill=(*colour, 255))
    else:
        pen.ellipse((10, 20, 69, 59), fill=(*colour, 128))
        pen.ellipse((13, 23, 66, 56), fill=(*colour, 255))
    image.save(path)


@pytest.fixture
def make_record(tmp_path: Path) -> Callable[..., Record]:
    """Makes a sound 12x8 image with a mask of class 1 under tmp_path, and its record, changed as asked."""

    def make(name: str = "one", **changes) -> Record:
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"images/{name}.jpg")
        write_mask(tmp_path / f"masks/{name}.png", np.ones((8, 12), dtype=np.uint8))
        values = {"id": name, "image": f"images/{name}.jpg", "mask": f"masks/{name}.png", "labels": ("cat",)}
        return Record(**{**values, "split": "train", **changes})

    return make
