"""The font of pictures, which has the letters of European languages, Greek and Cyrillic."""

from pathlib import Path

import matplotlib
from PIL import ImageFont


def font_of(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans in `size` pixels, which matplotlib brings. Pillow's own font has ASCII alone."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)
