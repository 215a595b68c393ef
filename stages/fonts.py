"""The font of pictures, which has the letters of European languages, Greek and Cyrillic."""

from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from stages.errors import SettingsError

FILE = "mpl-data/fonts/ttf/DejaVuSans.ttf"


def font_of(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans in `size` pixels, which matplotlib brings; Pillow's own font has ASCII alone. Raises SettingsError if
    matplotlib is not there."""
    # Without importing it, which takes a second.
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise SettingsError("matplotlib is not installed, whose font the pictures have; `pip install matplotlib`")
    return ImageFont.truetype(Path(found.origin).parent / FILE, size)
