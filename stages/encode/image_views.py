"""Crops of a dataset's own training images, with prompts of their tags: pairs of images and texts for any dataset."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stages.encode.pairs import Pairs, Texts
from stages.encode.prompts import prompts_of
from stages.images import read_image
from stages.index import Record

CROP_AREA = (0.4, 1.0)  # share of the image; a smaller crop would often miss what the tag says
STRETCH = 4 / 3  # most by which a crop is wider or taller than the image's shape


def image_pairs(
    records: Sequence[Record],
    root: Path,
    texts: Texts,
    *,
    templates: Sequence[str],
    synonyms: Mapping[str, tuple[str, ...]],
    views: int,
    side: int,
    seed: int,
) -> Pairs:
    """Each tagged image `views` times. A view's texts are two prompts, each drawn from its image's tags, names and
    templates, or its caption and one such prompt."""
    # A separate generator, so that these draws are the same with and without cut-outs.
    random = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    names = dict.fromkeys(tag for record in records for tag in record.labels)
    prompts = {
        name: [texts.add_prompt(prompt, name) for prompt in prompts_of(synonyms.get(name, (name,)), templates)]
        for name in names
    }

    def draw(record: Record) -> int:
        own = prompts[record.labels[int(random.integers(len(record.labels)))]]
        return own[int(random.integers(len(own)))]

    chosen: list[tuple[int, int]] = []
    for record in records:
        caption = texts.add_caption(record.caption) if record.caption else None
        chosen += [(draw(record) if caption is None else caption, draw(record)) for _ in range(views)]
    tags = [record.labels for record in records for _ in range(views)]
    return Pairs(crop_views(records, root, views=views, side=side, seed=seed), chosen, tags)


def crop_views(records: Sequence[Record], root: Path, *, views: int, side: int, seed: int) -> Iterator[Image.Image]:
    """RGB images of `side` x `side`: for each image the whole, then random crops; half are mirrored at random."""
    random = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    for record in records:
        image = read_image(root / record.image)
        for view in range(views):
            box = draw_box(image.size, random) if view else (0, 0, *image.size)
            crop = image.resize((side, side), Image.Resampling.BICUBIC, box=box)
            yield ImageOps.mirror(crop) if random.random() < 0.5 else crop


def draw_box(size: tuple[int, int], random: np.random.Generator) -> tuple[float, float, float, float]:
    """A random part of an image of `size` (width, height): left, top, right, bottom, in pixels."""
    area = random.uniform(*CROP_AREA)
    stretch = STRETCH ** (random.uniform(-1, 1) / 2)
    width, height = (
        length * min(1.0, share) for length, share in zip(size, (area**0.5 * stretch, area**0.5 / stretch), strict=True)
    )
    left, top = random.uniform(0, size[0] - width), random.uniform(0, size[1] - height)
    return left, top, left + width, top + height
