"""Training cut-outs over backgrounds, with captions and class names: the demo's pairs of images and texts."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stages.encode.pairs import Pairs, Texts
from stages.encode.prompts import fill
from stages.errors import DataError
from stages.images import read_image


@dataclass(frozen=True)
class Cutout:
    """A photographic cut-out: an image with alpha, its class and its caption."""

    path: Path
    name: str
    caption: str


def read_cutouts(root: Path) -> list[Cutout]:
    """The training cut-outs below `root` (`Cutouts/train.csv`: image, class, caption). Raises DataError."""
    listing = root / "Cutouts" / "train.csv"
    if not listing.is_file():
        raise DataError(
            f"{listing}: no such list of cut-outs; delete {root} and rerun, or leave `cutouts` out of"
            " encode.clip.learns_from"
        )
    with listing.open(newline="", encoding="utf-8") as stream:
        return [Cutout(root / row["image"], row["class"], row["caption"]) for row in csv.DictReader(stream)]


def cutout_pairs(root: Path, texts: Texts, *, templates: Sequence[str], views: int, side: int, seed: int) -> Pairs:
    """Each training cut-out `views` times; its texts are its caption and a prompt with its class name."""
    cutouts = read_cutouts(root)
    backgrounds = [read_image(path) for path in sorted((root / "Backgrounds" / "train").glob("*.jpg"))]
    captions = [texts.add_caption(cutout.caption) for cutout in cutouts]
    prompts = [
        texts.add_prompt(fill(templates[position % len(templates)], cutout.name), cutout.name)
        for position, cutout in enumerate(cutouts)
    ]
    composed = compose_views(cutouts, backgrounds, views=views, side=side, seed=seed)
    chosen = [pair for pair in zip(captions, prompts, strict=True) for _ in range(views)]
    return Pairs(composed, chosen, [()] * len(chosen))


def compose_views(
    cutouts: Sequence[Cutout], backgrounds: Sequence[Image.Image], *, views: int, side: int, seed: int
) -> Iterator[Image.Image]:
    """RGB images of `side` x `side`: each cut-out in turn, `views` times over a background."""
    random = np.random.default_rng(seed)
    for cutout in cutouts:
        with Image.open(cutout.path) as stored:
            source = stored.convert("RGBA")
        for _ in range(views):
            background = backgrounds[int(random.integers(len(backgrounds)))]
            scale = side / min(background.size) * random.uniform(1.0, 2.0)
            columns, rows = (max(side, round(length * scale)) for length in background.size)
            left, top = (int(random.integers(length - side + 1)) for length in (columns, rows))
            view = background.resize((columns, rows)).crop((left, top, left + side, top + side))
            factor = side * random.uniform(0.4, 0.95) / max(source.size)
            pasted = source.resize([max(1, round(length * factor)) for length in source.size])
            if random.random() < 0.5:
                pasted = ImageOps.mirror(pasted)
            place = [int(random.integers(side - length + 1)) for length in pasted.size]
            view.paste(pasted, (place[0], place[1]), pasted)
            yield view
