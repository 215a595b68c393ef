"""One picture: cut-outs pasted over a background, with its true mask and the tags that its pixels show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation

from stages.data.demo.cutouts import SOLID_ALPHA, VISIBLE_ALPHA, Cutout, vary_background, vary_cutout
from stages.errors import DataError
from stages.images import BACKGROUND, IGNORE
from stages.settings import DemoSettings

TRIES = 24  # positions tried for an object
GOOD_VISIBLE = 0.85  # the search ends at the first position that leaves this share of every object visible
OVERHANG = 0.12  # share of an object's side that may be outside the picture
HALF_ALPHA = 0.5  # from here on, a pixel counts as the object's in its visible share


@dataclass(frozen=True)
class Painting:
    """image: RGB. mask: [rows, columns] uint8, classes from 1, 255 in soft edges. cutouts: those that were kept."""

    image: Image.Image
    mask: NDArray[np.uint8]
    cutouts: tuple[Cutout, ...]


@dataclass(frozen=True)
class Layer:
    """A cut-out at its place. alpha: [rows, columns] in 0..1, the whole picture. area: pixels, including those
    outside."""

    cutout: Cutout
    image: Image.Image
    place: tuple[int, int]
    alpha: NDArray[np.float32]
    area: int


def paint(
    photograph: Image.Image,
    cutouts: Sequence[Cutout],
    *,
    classes: Sequence[str],
    settings: DemoSettings,
    rng: np.random.Generator,
) -> Painting:
    """Composes one picture of a random size, as `paint_sized` does."""
    low, high = settings.sides
    width, height = (int(side) for side in rng.integers(low, high + 1, size=2))
    return paint_sized(photograph, cutouts, size=(width, height), classes=classes, settings=settings, rng=rng)


def paint_sized(
    photograph: Image.Image,
    cutouts: Sequence[Cutout],
    *,
    size: tuple[int, int],
    classes: Sequence[str],
    settings: DemoSettings,
    rng: np.random.Generator,
) -> Painting:
    """Composes one picture of `size` (width, height). A cut-out is left out if there is no place where enough of it and
    of the others stays visible, so every object in the picture is tagged. Raises DataError if not even one finds a
    place."""
    image = vary_background(photograph, size, rng)
    layers: list[Layer] = []
    for cutout in cutouts:
        side = round(min(size) * rng.uniform(*settings.object_sizes))
        layer = find_place(vary_cutout(cutout, side, rng), cutout, layers, size=size, settings=settings, rng=rng)
        if layer is not None:
            layers.append(layer)
    if not layers:
        raise DataError("demo set: no place for an object; lower data.demo.min_visible or data.demo.object_sizes")
    mask = np.full(size[::-1], BACKGROUND, dtype=np.uint8)
    for layer in layers:
        image.paste(layer.image, layer.place, layer.image)
        draw_mask(mask, layer.alpha, classes.index(layer.cutout.label) + 1)
    return Painting(image, mask, tuple(layer.cutout for layer in layers))


def find_place(
    image: Image.Image,
    cutout: Cutout,
    below: Sequence[Layer],
    *,
    size: tuple[int, int],
    settings: DemoSettings,
    rng: np.random.Generator,
) -> Layer | None:
    """The best of several random places, on top of `below`; None if all hide too much of it or of another."""
    width, height = size
    spill_x, spill_y = round(image.width * OVERHANG), round(image.height * OVERHANG)
    best, best_share = None, 0.0
    for _ in range(TRIES):
        left = int(rng.integers(-spill_x, max(width - image.width + spill_x, -spill_x), endpoint=True))
        top = int(rng.integers(-spill_y, max(height - image.height + spill_y, -spill_y), endpoint=True))
        layer = place_layer(image, cutout, place=(left, top), size=size)
        share = min(visible_shares([*below, layer]))
        if share > best_share:
            best, best_share = layer, share
        if share >= GOOD_VISIBLE:
            break
    return best if best_share >= settings.min_visible else None


def place_layer(image: Image.Image, cutout: Cutout, *, place: tuple[int, int], size: tuple[int, int]) -> Layer:
    """Places an RGBA image at `place` (left, top) in an empty picture of `size` (width, height)."""
    own = image.getchannel("A")
    whole = Image.new("L", size, 0)
    whole.paste(own, place)
    area = int((np.asarray(own) >= 255 * HALF_ALPHA).sum())
    return Layer(cutout, image, place, np.asarray(whole, dtype=np.float32) / np.float32(255), area)


def visible_shares(layers: Sequence[Layer]) -> list[float]:
    """The share of each layer's own area that is inside the picture and not under a later layer."""
    shares = []
    covered = np.zeros_like(layers[0].alpha, dtype=bool)
    for layer in reversed(layers):
        shares.append(float(((layer.alpha >= HALF_ALPHA) & ~covered).sum()) / max(layer.area, 1))
        covered |= layer.alpha >= VISIBLE_ALPHA
    return shares[::-1]


def draw_mask(mask: NDArray[np.uint8], alpha: NDArray[np.float32], value: int) -> None:
    """Draws one object into `mask`: its value where solid, 255 where soft and in a one-pixel ring around the solid
    part, so that an edge is ignored even if alpha jumps from 0 to 1."""
    solid = alpha >= SOLID_ALPHA
    ring = binary_dilation(solid, structure=np.ones((3, 3), dtype=bool))
    mask[(alpha >= VISIBLE_ALPHA) | ring] = IGNORE
    mask[solid] = value
