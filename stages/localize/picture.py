"""Maps of each kind next to their photo, as one picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stages.fonts import font_of
from stages.labelling import enlarge_maps
from stages.map_colours import overlay

LONGEST_SIDE = 320  # of the photo in the picture, pixels
GAP = 8
TITLE = 30
FONT_SIZE = 15


def draw_maps(photo: Image.Image, maps: Mapping[str, NDArray[np.float32]], classes: Sequence[str]) -> Image.Image:
    """One row per class: the photo, then its map of each kind as colours over the photo, with titles above.

    maps: title -> [K, rows, columns] float32 in [0, 1], of any size.  classes: K row titles of one or more lines.
    """
    tile = photo.copy()
    tile.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    font = font_of(FONT_SIZE)
    titles = ("photo", *maps)
    width = max(tile.width, *(round(font.getlength(title)) for title in titles))
    left = 2 * GAP + round(max(font.getlength(line) for name in classes for line in name.splitlines()))
    lefts = [left + column * (width + GAP) for column in range(len(titles))]
    tops = [TITLE + row * (tile.height + GAP) for row in range(len(classes))]
    sheet = Image.new("RGB", (lefts[-1] + width + GAP, tops[-1] + tile.height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in zip(lefts, titles, strict=True):
        draw.text((column + width / 2, TITLE / 2), title, "black", font, anchor="mm")
    for top, name in zip(tops, classes, strict=True):
        draw.text((GAP, top + tile.height / 2), name, "black", font, anchor="lm")
        sheet.paste(tile, (lefts[0], top))
    for column, kind in zip(lefts[1:], maps.values(), strict=True):
        for top, scores in zip(tops, enlarge_maps(kind, (tile.height, tile.width)), strict=True):
            sheet.paste(overlay(tile, scores), (column, top))
    return sheet
