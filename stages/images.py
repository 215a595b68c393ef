"""Reading images and masks, and the VOC palette."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps

from stages.errors import DataError
from stages.files import atomic_path
from stages.near_names import near_file

BACKGROUND = 0
BACKGROUND_NAME = "background"
IGNORE = 255
MASK_MODE = "mask mode is"  # how the fault of a mask in colours begins
TURNED = (5, 6, 7, 8)  # EXIF orientations by which rows become columns
PHOTO_SUFFIXES = (".avif", ".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MOST_GREY = 65535  # at 16 bits
# What Pillow multiplies the values of grey PNGs of 2 and 4 bits by, so that the largest is white.
GREY_STEPS = {"L;2": 255 // 3, "L;4": 255 // 15}


def voc_palette() -> list[int]:
    """The PASCAL VOC colour map, 256 x RGB flattened: bits of the label spread over the colour channels.

    Source: VOC2012 development kit, `VOCcolormap`.
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours.flatten().tolist()


def read_image(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """Reads an image as upright RGB: 16 bits per channel become 8, transparent parts become white, and of several
    frames the first is used. Raises DataError if it is missing, cannot be decoded, or has values of unknown range
    (float).

    size: (rows, columns) to read it at, such as its `working_size`; default, its own.
    """
    with opened(path) as image:
        if size is not None:
            _decode_small(image, size)
        upright = _as_rgb(ImageOps.exif_transpose(image), path)
        if size is None or upright.size == size[::-1]:
            return upright
        return upright.resize(size[::-1], Image.Resampling.LANCZOS)


def _decode_small(image: Image.Image, size: tuple[int, int]) -> None:
    """Lets a JPEG be decoded at a half, a quarter or an eighth of its sides, at least at twice `size`."""
    height, width = size[::-1] if _turned(image) else size
    if min(image.height / height, image.width / width) >= 4:
        image.draft(None, (2 * width, 2 * height))


def working_size(size: tuple[int, int], longest_side: int | None) -> tuple[int, int]:
    """The size (rows, columns) at which to work on an image: its own, or at most `longest_side` on the longer side.

    >>> working_size((3000, 4000), 500), working_size((300, 400), 500), working_size((3000, 4000), None)
    ((375, 500), (300, 400), (3000, 4000))
    """
    if longest_side is None or max(size) <= longest_side:
        return size
    rows, columns = (max(1, round(side * longest_side / max(size))) for side in size)
    return rows, columns


def check_image(path: Path) -> tuple[int, int]:
    """(rows, columns) of an image as `read_image` gives it. Raises DataError as that does, with less work: all data of
    a JPEG are decoded, but pixels are made at an eighth of its sides only."""
    size = image_size(path)
    with opened(path) as image:
        image.draft("RGB", (1, 1))
        _as_rgb(ImageOps.exif_transpose(image), path)
    return size


@contextlib.contextmanager
def opened(
    path: Path,
    *,
    kind: str = "image",
    missing: str = "check the dataset folder (`data.root`), put it back, or take it out of the list that names it",
    broken: str = "replace or remove it",
) -> Iterator[Image.Image]:
    """An image file; any error in opening or later in decoding it becomes a DataError.

    kind: what the file should be.  missing, broken: the cures.
    """
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such {kind}; {near_file(Path(path)) or missing}") from error
    except (DataError, MemoryError):
        raise
    # Pillow and its plugins report a broken file in many ways (AVIF's as RuntimeError), also while reading EXIF.
    except Exception as error:
        article = "an" if kind == "image" else "a"
        raise DataError(f"{path}: cannot be read as {article} {kind} ({error}); {broken}") from error


def _as_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow's own conversion would clip all above 255 to white.
        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > MOST_GREY:
            raise DataError(
                f"{path}: has values from {values.min()} to {values.max()}, not from 0 to {MOST_GREY}; export it with"
                " 8 or 16 bits per channel"
            )
        return Image.fromarray((values // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise DataError(f"{path}: has floating-point values, whose range is unknown; export it with 8 bits per channel")
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    return image.convert("RGB")


def image_size(path: Path) -> tuple[int, int]:
    """(rows, columns) of an image as `read_image` gives it, from its header alone. Raises DataError as that does."""
    with opened(path) as image:
        return (image.width, image.height) if _turned(image) else (image.height, image.width)


def is_turned(path: Path) -> bool:
    """Whether EXIF says that rows of the stored image are columns of the upright one."""
    with opened(path) as image:
        return _turned(image)


def _turned(image: Image.Image) -> bool:
    return image.getexif().get(ExifTags.Base.Orientation, 1) in TURNED


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Reads an indexed or grey PNG mask, of up to 8 bits, as [rows, columns] uint8 of class indices.

    Raises DataError if it is missing, cannot be decoded, or is neither indexed nor grey.
    """
    return read_mask_and_palette(path)[0]


def read_mask_and_palette(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """`read_mask`, and the mask's palette as [colours, 3] uint8, None if it is grey."""
    missing = "correct its path, or leave it empty if there is none"
    with opened(path, kind="mask", missing=missing, broken="export it again") as image:
        if image.mode == "1" and image.format == "PNG":
            return np.array(image).astype(np.uint8), None
        if image.mode not in ("P", "L"):
            raise DataError(f"{path}: {MASK_MODE} {image.mode}, must be P (indexed) or L; export class indices")
        palette = image.getpalette() if image.mode == "P" else None
        colours = None if palette is None else np.array(palette, dtype=np.uint8).reshape(-1, 3)
        # Before the pixels are decoded, which empties the list of tiles.
        tiles = image.tile if isinstance(image, ImageFile.ImageFile) and image.format == "PNG" else []
        stretch = GREY_STEPS.get(str(tiles[0].args), 1) if tiles else 1
        return np.array(image, dtype=np.uint8) // np.uint8(stretch), colours


def write_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    """Writes [rows, columns] uint8 class indices as an indexed PNG with the VOC palette, atomically."""
    image = Image.fromarray(mask, mode="L")
    image.putpalette(voc_palette())
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")
