"""The panels as one JPEG for a README."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from stages.errors import DataError
from stages.files import atomic_path
from stages.fonts import font_of
from stages.images import voc_palette
from stages.map_colours import overlay
from stages.report.panels import Panel, colour_mask

COLUMNS = ("image", "map", "pseudo mask", "prediction", "truth")
TILE = (236, 190)  # width and height of a picture, pixels
GAP = 6
TITLE = 30
MOST_BYTES = 180_000


def draw_picture(panels: Sequence[Panel], classes: Sequence[str]) -> Image.Image:
    """One row per panel: image, map of its largest class, pseudo mask, prediction, and the truth if there is one; a
    legend below."""
    columns = COLUMNS if any(panel.truth is not None for panel in panels) else COLUMNS[:-1]
    width = len(columns) * (TILE[0] + GAP) + GAP
    height = TITLE + len(panels) * (TILE[1] + GAP) + TITLE
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = font_of(15)
    lefts = [GAP + column * (TILE[0] + GAP) for column in range(len(columns))]
    for left, title in zip(lefts, columns, strict=True):
        draw.text((left + TILE[0] / 2, TITLE / 2), title, "black", font, anchor="mm")
    for row, panel in enumerate(panels):
        top = TITLE + row * (TILE[1] + GAP)
        for left, tile in zip(lefts, _tiles(panel), strict=False):  # a panel may have no truth
            sheet.paste(ImageOps.pad(tile.convert("RGB"), TILE, color="white"), (left, top))
        if panel.maps:
            name = next(iter(panel.maps))
            draw.text(
                (lefts[1] + TILE[0] / 2, top + TILE[1] - 6),
                name,
                "white",
                font,
                anchor="md",
                stroke_width=2,
                stroke_fill="black",
            )
    _draw_legend(draw, font, top=height - TITLE, width=width, panels=panels, classes=classes)
    return sheet


def write_picture(path: Path, picture: Image.Image) -> None:
    """Writes a JPEG of at most MOST_BYTES at the best quality that fits, atomically. Raises DataError if none does."""
    for quality in range(92, 30, -4):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MOST_BYTES:
            with atomic_path(path) as temporary:
                temporary.write_bytes(buffer.getvalue())
            return
    raise DataError(f"{path}: the picture of panels does not fit in {MOST_BYTES} bytes; show fewer panels")


def _tiles(panel: Panel) -> tuple[Image.Image, ...]:
    heat = overlay(panel.image, next(iter(panel.maps.values()))) if panel.maps else panel.image
    masks = [mask for mask in (panel.pseudo_mask, panel.prediction, panel.truth) if mask is not None]
    return (panel.image, heat, *(colour_mask(mask) for mask in masks))


def _draw_legend(
    draw: ImageDraw.ImageDraw, font, *, top: int, width: int, panels: Sequence[Panel], classes: Sequence[str]
) -> None:
    values = sorted(set().union(*(panel.values() for panel in panels)))
    entries = [(classes[value - 1], tuple(voc_palette()[3 * value : 3 * value + 3])) for value in values]
    widths = [22 + draw.textlength(name, font) + 22 for name, _ in entries]
    left = max(GAP, (width - sum(widths)) / 2)
    for (name, colour), step in zip(entries, widths, strict=True):
        if left + step > width:
            break  # a list of eighty classes does not fit on one line
        draw.rectangle((left, top + 8, left + 14, top + 22), fill=colour)
        draw.text((left + 20, top + 15), name, "black", font, anchor="lm")
        left += step
