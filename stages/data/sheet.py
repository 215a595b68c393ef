"""Contact sheets: many images of an index at a glance, with their tags and the outlines of their true masks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from stages.files import atomic_path
from stages.fonts import font_of
from stages.images import BACKGROUND, IGNORE, read_image, read_mask, voc_palette
from stages.index import Record, evenly_spaced

IMAGES = 48
COLUMNS = 8
TILE = 200  # pixels
LINE = 16  # pixels of a line of text; a tile has its id and two lines of tags under it
TINT = 0.35  # opacity of a class's colour over its pixels
UNTAGGED = "(no tag)"


def draw_sheet(records: Sequence[Record], root: Path, classes: Sequence[str], *, images: int = IMAGES) -> Image.Image:
    """Draws up to `images` records, spread evenly over the index, as one RGB sheet.

    An object's pixels are tinted and outlined in its class's VOC colour, ignored ones are white; an image without a
    mask is shown unchanged. Raises DataError if an image or mask cannot be read.
    """
    shown = evenly_spaced(records, images)
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + 3 * LINE)), "white")
    pen, font = ImageDraw.Draw(sheet), font_of(11)
    palette = np.array(voc_palette(), dtype=np.uint8).reshape(256, 3)
    for tile, record in enumerate(shown):
        left, top = tile % COLUMNS * TILE, tile // COLUMNS * (TILE + 3 * LINE)
        image = draw_image(record, root, palette)
        image.thumbnail((TILE - 4, TILE - 4))
        sheet.paste(image, (left + 2, top + 2))
        pen.text((left + 2, top + TILE), record.id, fill="grey", font=font)
        write_tags(pen, record, (left + 2, top + TILE + LINE), classes=classes, palette=palette, font=font)
    return sheet


def write_tags(
    pen: ImageDraw.ImageDraw,
    record: Record,
    place: tuple[int, int],
    *,
    classes: Sequence[str],
    palette: np.ndarray,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Writes the tags in their colours from `place` (left, top), wrapping at the end of the tile."""
    left, top = place
    column = 0.0
    if not record.labels:
        pen.text(place, UNTAGGED, fill="grey", font=font)
    for label in record.labels:
        width = pen.textlength(label, font=font)
        if column and column + width > TILE - 4:
            column, top = 0.0, top + LINE
        colour = tuple(palette[classes.index(label) + 1].tolist()) if label in classes else (0, 0, 0)
        pen.text((left + column, top), label, fill=colour, font=font)
        column += width + LINE / 2


def draw_image(record: Record, root: Path, palette: np.ndarray) -> Image.Image:
    """One image as RGB with its mask, if it has one, drawn over it; `palette` is [256, 3] uint8."""
    image = read_image(root / record.image)
    if not record.mask:
        return image
    mask = read_mask(root / record.mask)
    pixels = np.array(image, dtype=np.float32)
    for value in np.unique(mask):
        if value in (BACKGROUND, IGNORE):
            continue
        area = mask == value
        pixels[area] += TINT * (palette[value] - pixels[area])
        pixels[area & ~binary_erosion(area, iterations=2)] = palette[value]
    pixels[mask == IGNORE] = 255
    return Image.fromarray(pixels.round().astype(np.uint8))


def write_sheet(path: Path, sheet: Image.Image) -> None:
    """Writes a sheet as JPEG, atomically."""
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="JPEG", quality=88)
