"""The colours of localization maps: blue where a score is 0, red where it is 1."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from PIL import Image

COLOURS = "turbo"
OPACITY = 0.55
SCALE_STEPS = 9


def colour_map(scores: NDArray[np.float32]) -> Image.Image:
    """A map [rows, columns] in [0, 1] as colours."""
    return Image.fromarray((colormaps[COLOURS](scores)[..., :3] * 255).astype(np.uint8))


def overlay(image: Image.Image, scores: NDArray[np.float32]) -> Image.Image:
    """A map [rows, columns] in [0, 1] of the image's size as colours over it."""
    return Image.blend(image, colour_map(scores), OPACITY)


def css_scale() -> str:
    """The colours from 0 to 1, for a gradient in CSS."""
    return ", ".join(to_hex(colormaps[COLOURS](step / (SCALE_STEPS - 1))) for step in range(SCALE_STEPS))
