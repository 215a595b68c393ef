"""labelme's JSON: one file an image, with polygons (https://github.com/wkentaro/labelme).

Shapes cover the pixels that labelme's own `shapes_to_label` gives them: all that a polygon touches, and later shapes
cover earlier ones.
"""

import base64
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stages.data.coco_outlines import shortened
from stages.errors import DataError
from stages.files import write_text
from stages.images import BACKGROUND
from stages.mask_formats.names import name_of, value_of
from stages.mask_formats.photos import MaskedPhoto
from stages.mask_formats.regions import Region

VERSION = "5.5.0"  # of the format
SHAPES = ("polygon", "rectangle", "oriented_rectangle", "circle", "mask")
POLYGONS = ("polygon", "oriented_rectangle")
FARTHEST = 16  # sides of the image by which a corner may lie outside it


def write_labelme(
    path: Path, photo: MaskedPhoto, regions: Sequence[Region], classes: Sequence[str], *, tolerance: float, place: Path
) -> int:
    """Writes the JSON of a photo, one polygon for each of its mask's regions; returns the number of points.

    place: where the file will be, to which the photo's path is relative.
    """
    shapes = [_shape(region, classes, tolerance) for region in regions]
    rows, columns = photo.size
    content: dict[str, Any] = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": Path(os.path.relpath(photo.path.absolute(), place.absolute().parent)).as_posix(),
        "imageData": None,
        "imageHeight": rows,
        "imageWidth": columns,
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return sum(len(shape["points"]) for shape in shapes)


def _shape(region: Region, classes: Sequence[str], tolerance: float) -> dict[str, Any]:
    return {
        "label": name_of(region.value, classes),
        "points": np.round(region.outline(tolerance), 2).tolist(),
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }


def load_labelme(path: Path) -> dict[str, Any]:
    """The content of a file. Raises DataError if it is not labelme's."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file of labelme ({error}); save it again") from error
    if isinstance(content, dict) and "annotations" in content and "images" in content:
        raise DataError(f"{path}: a COCO file in a folder of masks; name the file itself: refine.mended: {path}")
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise DataError(f"{path}: not a JSON file of labelme (no list of `shapes`); remove it, or save it again")
    return content


def image_path(content: dict[str, Any]) -> str:
    """The path of its photo, relative to the file; empty if it has none."""
    named = content.get("imagePath")
    return named.replace("\\", "/") if isinstance(named, str) else ""


def read_labelme(path: Path, size: tuple[int, int], classes: Sequence[str]) -> NDArray[np.uint8]:
    """The mask [rows, columns] uint8 of an image of `size`. Raises DataError for a file that is not labelme's or of an
    image of another size, a label that is no class, and a shape that has no area."""
    content = load_labelme(path)
    given = (content.get("imageHeight"), content.get("imageWidth"))
    if given != size and given != (None, None):
        raise DataError(
            f"{path}: was drawn on an image of {given[1]}x{given[0]}, but the photo is {size[1]}x{size[0]}; open the"
            " photo itself in labelme and draw it again"
        )
    mask = np.full(size, BACKGROUND, dtype=np.uint8)
    for number, shape in enumerate(content["shapes"]):
        place = f"{path}: shapes[{number}]"
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            raise DataError(f"{place}: has no label; give it one, or remove it")
        try:
            mask[_pixels(shape, size)] = value_of(shape["label"], classes)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
    return mask


def _pixels(shape: dict[str, Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels [rows, columns] of a shape. Raises DataError, without a place, if it has no area."""
    kind = shape.get("shape_type") or "polygon"
    if kind not in SHAPES:
        raise DataError(f"shape type {kind!r} ({shape['label']}) is not read; draw it as one of {', '.join(SHAPES)}")
    points = _points(shape, kind, size)
    if kind == "mask":
        return _stored_mask(shape, points, size)
    canvas = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(canvas)
    # Whole numbers, as Pillow cuts them off for labelme.
    if kind in POLYGONS:
        draw.polygon([(int(x), int(y)) for x, y in points], fill=1, outline=1)
    elif kind == "rectangle":
        (left, right), (top, bottom) = (sorted(sides) for sides in zip(*points, strict=True))
        draw.rectangle([int(left), int(top), int(right), int(bottom)], fill=1, outline=1)
    else:
        (x, y), (edge_x, edge_y) = points
        radius = math.hypot(edge_x - x, edge_y - y)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1, outline=1)
    return np.array(canvas, dtype=bool)


def _points(shape: dict[str, Any], kind: str, size: tuple[int, int]) -> list[tuple[float, float]]:
    given = shape.get("points")
    try:
        points = [(float(x), float(y)) for x, y in given]  # type: ignore[union-attr]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"its points are {shortened(given)}, not a list of x and y; draw it again") from error
    least = 3 if kind in POLYGONS else 2
    if len(points) < least or (kind not in POLYGONS and len(points) > 2):
        raise DataError(f"a {kind} of {len(points)} points; draw it again")
    farthest = max(
        (abs(number) for point in points for number in point), key=lambda number: (math.isnan(number), number)
    )
    if not farthest <= FARTHEST * max(size):
        raise DataError(f"has a corner at {farthest:g}, but the photo is {size[1]}x{size[0]}; draw it again")
    return points


def _stored_mask(
    shape: dict[str, Any], points: Sequence[tuple[float, float]], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """The shape that labelme's AI tools make: a PNG in base64 for the pixels from the first point to the second, the
    last row and column included."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"], validate=True))) as image:
            stored = np.array(image.convert("L")) > 0
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"its mask cannot be read ({error}); draw it again") from error
    left, top = (int(number) for number in points[0])
    rows, columns = stored.shape
    if left < 0 or top < 0 or top + rows > size[0] or left + columns > size[1]:
        raise DataError(f"its mask of {columns}x{rows} at {left}, {top} leaves the photo; draw it again")
    pixels = np.zeros(size, dtype=bool)
    pixels[top : top + rows, left : left + columns] = stored
    return pixels
