"""Outlines of objects in COCO's three forms (polygons, run lengths, compressed run lengths), checked before pycocotools
draws them: it trusts what it gets, and draws memory that nobody wrote, or more of it than there is."""

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as rle_masks

from stages.errors import DataError

LEAST_NUMBERS = 6  # of a polygon: three corners
LISTS = "has a polygon of lists; COCO's are x, y, x, y, ... in one list"
FARTHEST = 16  # sides of the image by which a corner may lie outside it; pycocotools walks along every edge
FIRST, BITS, MORE, MINUS = 48, 0x1F, 0x20, 0x10  # of a character of compressed run lengths
MOST_CHARACTERS = 7  # of one run length: 32 bits in groups of five


def encode_outline(outline: Any, size: tuple[int, int]) -> dict[str, Any]:
    """An outline as compressed run lengths that cover `size` (rows, columns) exactly. Raises DataError if it is none:
    the message begins with a verb, for the caller to put the object's name before it."""
    if isinstance(outline, list):
        return rle_masks.merge(rle_masks.frPyObjects(polygons(outline, size), *size))
    if isinstance(outline, dict):
        return run_lengths(outline, size)
    raise DataError(f"is {shortened(outline)}; COCO's are a list of polygons, or run lengths with size and counts")


def is_empty(outline: Any) -> bool:
    """Whether an object has no outline, but a box alone: nothing, an empty list, or lists that are empty (`[[]]`)."""
    return not outline or (isinstance(outline, list) and all(polygon == [] for polygon in outline))


def shortened(value: Any) -> str:
    """A value of any size as a message shows it."""
    text = reprlib.repr(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."


def polygons(outline: Sequence[Any], size: tuple[int, int]) -> list[list[float]]:
    """The polygons of an outline. One with two corners has no area; pycocotools would take it for a box.

    Raises DataError for anything but lists of an even number of finite numbers near the image.
    """
    if outline and all(isinstance(number, int | float) for number in outline):
        raise DataError("is one list of numbers; COCO's is a list of polygons, so put it in brackets")
    found = []
    for polygon in outline:
        if not isinstance(polygon, list):
            raise DataError(f"has {shortened(polygon)} in place of a polygon")
        # Of a longer polygon, NumPy tells.
        short = polygon[:LEAST_NUMBERS]
        if any(isinstance(number, list) for number in short):
            raise DataError(LISTS)
        if not all(isinstance(number, int | float) for number in short):
            raise DataError(f"has the polygon {shortened(polygon)}; COCO's are x, y, x, y, ... in one list")
        if len(polygon) % 2:
            raise DataError(f"has a polygon of {len(polygon)} numbers")
        if len(polygon) >= LEAST_NUMBERS:
            found.append(_corners(polygon, size))
    if not found:
        raise DataError("has no polygon of three corners or more")
    return found


def _corners(polygon: list[Any], size: tuple[int, int]) -> list[float]:
    try:
        numbers = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"has a polygon that is not x, y, x, y, ... ({error})") from error
    if numbers.ndim != 1:
        raise DataError(LISTS)
    if not np.isfinite(numbers).all():
        raise DataError("has a polygon with corners that are no finite numbers")
    farthest = np.abs(numbers).max()
    if farthest > FARTHEST * max(size):
        raise DataError(f"has a corner at {farthest:g}, but the image is {list(size)} (rows, columns)")
    return numbers.tolist()


def run_lengths(outline: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Run lengths in compressed form. Raises DataError unless they cover an image of `size` exactly."""
    given = outline.get("size")
    if not isinstance(given, list) or given != list(size):
        raise DataError(f"has run lengths of {shortened(given)} (rows, columns), but the image is {list(size)}")
    counts = outline.get("counts")
    if isinstance(counts, str):
        lengths = decompressed(counts)
    elif isinstance(counts, list):
        lengths = [_run_length(length) for length in counts]
    else:
        raise DataError(f"has the counts {shortened(counts)}; they are a list of run lengths, or a text of them")
    if sum(lengths) != size[0] * size[1]:
        raise DataError(f"has run lengths of {sum(lengths)} pixels, but the image has {size[0] * size[1]}")
    if isinstance(counts, str):
        return {"size": list(size), "counts": counts.encode("ascii")}
    return rle_masks.frPyObjects({"size": list(size), "counts": lengths}, *size)


def _run_length(value: Any) -> int:
    if type(value) not in (int, float) or value < 0 or value != value // 1:
        raise DataError(f"has the run length {shortened(value)}; they are whole numbers from 0")
    return int(value)


def decompressed(counts: str) -> list[int]:
    """The run lengths in compressed counts: groups of five bits from the lowest, a character each; from the fourth on,
    the difference to the length before the last. Raises DataError for a text that is none.

    Source: `rleFrString` in COCO's maskApi.c.

    >>> decompressed("0d0"), decompressed("d0")
    ([0, 20], [20])
    """
    lengths: list[int] = []
    value = group = 0
    for place, character in enumerate(counts):
        code = ord(character) - FIRST
        if not 0 <= code <= BITS | MORE:
            raise DataError(f"has counts with the character {character!r} (place {place}), which no run length has")
        value |= (code & BITS) << (5 * group)
        group += 1
        if code & MORE:
            if group == MOST_CHARACTERS:
                raise DataError(f"has counts with a run length of more than {MOST_CHARACTERS} characters")
            continue
        if code & MINUS:
            value -= 1 << (5 * group)
        if len(lengths) > 2:
            value += lengths[-2]
        if value < 0:
            raise DataError(f"has counts with the run length {value} (place {place}); they cannot be below 0")
        lengths.append(value)
        value = group = 0
    if group:
        raise DataError("has counts that end within a run length")
    return lengths
