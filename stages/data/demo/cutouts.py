"""Cut-outs and backgrounds: read once, then varied at random for each picture. All are PIL images, 8 bits per
channel."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from stages.errors import DataError
from stages.images import read_image

VISIBLE_ALPHA = 0.1  # below this, a pixel shows only the background
SOLID_ALPHA = 0.9  # from here on, a pixel shows only the object
LONGEST_CUTOUT = 512  # pixels; twice the largest size at which a cut-out is pasted
SHORTEST_BACKGROUND = 640  # pixels; twice the largest picture side
MIRRORLESS = frozenset({"road sign", "coin"})  # their text would be mirrored

# Ranges of the random variation. Mild: the pictures stay believable, and no colour turns into another.
ROTATION = 10.0  # degrees, either way
BRIGHTNESS = (0.8, 1.2)
CONTRAST = (0.85, 1.15)
SATURATION = (0.8, 1.2)
CROP = (0.45, 1.0)  # of the largest crop that the background has at the picture's shape


@dataclass(frozen=True)
class Cutout:
    """An object without surroundings: RGBA, trimmed to the visible part."""

    image: Image.Image
    label: str
    caption: str


def read_cutout(path: Path, *, label: str) -> Cutout:
    """Reads a cut-out and its caption, the first line of the .txt next to it (English; empty if there is none).

    Raises DataError if the image is missing, cannot be decoded, or shows nothing.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except (FileNotFoundError, UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); delete the cache folder and rerun") from error
    box = image.getchannel("A").point(lambda alpha: 255 if alpha >= 255 * VISIBLE_ALPHA else 0).getbbox()
    if box is None:
        raise DataError(f"{path}: a cut-out without a visible pixel; remove it from the list")
    image = image.crop(box)
    image.thumbnail((LONGEST_CUTOUT, LONGEST_CUTOUT), Image.Resampling.LANCZOS)
    text = path.with_suffix(".txt")
    lines = text.read_text(encoding="utf-8").splitlines() if text.is_file() else []
    return Cutout(image, label, lines[0].strip() if lines else "")


def read_background(path: Path) -> Image.Image:
    """Reads a photograph as RGB, reduced to the size that pictures of a few hundred pixels need."""
    image = read_image(path)
    factor = SHORTEST_BACKGROUND / min(image.size)
    if factor >= 1:
        return image
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def vary_cutout(cutout: Cutout, side: int, rng: np.random.Generator) -> Image.Image:
    """The cut-out as RGBA, rotated, mirrored, recoloured, with a longer side of `side` pixels before the rotation.

    PIL resizes and rotates RGBA with premultiplied alpha, so no colour of transparent pixels bleeds into the edge.
    """
    factor = side / max(cutout.image.size)
    size = (max(1, round(cutout.image.width * factor)), max(1, round(cutout.image.height * factor)))
    image = cutout.image.resize(size, Image.Resampling.LANCZOS)
    mirrored = bool(rng.integers(2))
    if mirrored and cutout.label not in MIRRORLESS:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.rotate(float(rng.uniform(-ROTATION, ROTATION)), Image.Resampling.BICUBIC, expand=True)
    alpha = image.getchannel("A")
    image = vary_colour(image.convert("RGB"), rng, weights=np.asarray(alpha, dtype=np.float32))
    image.putalpha(alpha)
    return image.crop(alpha.getbbox())


def vary_background(photograph: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A random crop of the photograph as RGB of `size` (width, height), possibly mirrored, recoloured."""
    width, height = size
    largest = min(photograph.width / width, photograph.height / height)
    factor = largest * rng.uniform(*CROP)
    crop_width, crop_height = width * factor, height * factor
    left = rng.uniform(0, photograph.width - crop_width)
    top = rng.uniform(0, photograph.height - crop_height)
    box = (left, top, left + crop_width, top + crop_height)
    image = photograph.resize(size, Image.Resampling.BICUBIC, box=box)
    if rng.integers(2):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return vary_colour(image, rng, weights=np.ones((height, width), dtype=np.float32))


def vary_colour(image: Image.Image, rng: np.random.Generator, *, weights: np.ndarray) -> Image.Image:
    """Random brightness, contrast about the mean weighted by `weights` [rows, columns], and saturation, of RGB."""
    pixels = np.asarray(image, dtype=np.float32) * np.float32(rng.uniform(*BRIGHTNESS))
    mean = np.average(pixels.mean(axis=2), weights=weights)
    pixels = mean + (pixels - mean) * np.float32(rng.uniform(*CONTRAST))
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * np.float32(rng.uniform(*SATURATION))
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
