"""The archive that PASCAL VOC's evaluation server accepts, and a checker that says what is wrong with one.

Layout as in the VOC2012 development kit (results of segmentation):
results/VOC2012/Segmentation/<comp>_test_cls/<id>.png, indexed, at the image's size, 0 background and 1..20 classes.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from stages.errors import DataError
from stages.files import atomic_path
from stages.images import image_size
from stages.index import read_index

# Number of images in VOC2012's segmentation test list.
TEST_IMAGES = 1456
FOLDER = "results/VOC2012/Segmentation/{competition}_test_cls"
MEMBER = re.compile(r"results/VOC2012/Segmentation/(comp5|comp6)_test_cls/([^/]+)\.png")


def sizes_of_test(index: Path, root: Path, *, images: int = TEST_IMAGES) -> dict[str, tuple[int, int]]:
    """(rows, columns) of the images in the index of test, by id.

    Raises DataError when there are not `images` of them: the server accepts only the complete list of VOC2012.
    """
    records = read_index(index)
    if len(records) != images:
        raise DataError(
            f"{index}: {len(records)} images, VOC2012's test list has {images}; take ImageSets/Segmentation/test.txt of"
            " the official test archive"
        )
    return {record.id: image_size(root / record.image) for record in records}


def write_archive(path: Path, masks: Mapping[str, Path], *, competition: str) -> None:
    """Packs masks (id -> file) as tar.gz, atomically; the same masks give the same archive."""
    folder = FOLDER.format(competition=competition)
    with atomic_path(path) as temporary, tarfile.open(temporary, "w:gz", compresslevel=6) as archive:
        for image_id, mask in masks.items():
            content = mask.read_bytes()
            member = tarfile.TarInfo(f"{folder}/{image_id}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def problems_of(path: Path, sizes: Mapping[str, tuple[int, int]], *, classes: int) -> Iterator[str]:
    """What the server would reject, one line each; nothing for a correct archive.

    sizes: id -> (rows, columns) of every image that must be in it. Raises DataError when it is not a tar archive.
    """
    found: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name = str(PurePosixPath(member.name))
                match = MEMBER.fullmatch(name)
                if not match or not member.isfile():
                    yield f"{name}: only results/VOC2012/Segmentation/comp5_test_cls/<id>.png (or comp6) may be in it"
                    continue
                competition, image_id = match.groups()
                if image_id in found:
                    yield f"{name}: is duplicated"
                found[image_id] = competition
                stream = archive.extractfile(member)
                if image_id not in sizes:
                    yield f"{name}: {image_id} is not in the test list"
                elif stream is not None:
                    yield from mask_problems(name, stream.read(), sizes[image_id], classes=classes)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as a tar archive ({error}); write it again") from error
    missing = [image_id for image_id in sizes if image_id not in found]
    if missing:
        yield f"{len(missing)} of {len(sizes)} test images have no mask, first {missing[0]}"
    if len(set(found.values())) > 1:
        yield "masks of comp5 and of comp6; one archive is of one competition"


def mask_problems(name: str, content: bytes, size: tuple[int, int], *, classes: int) -> Iterator[str]:
    """What is wrong with one PNG in an archive."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            values, mode, kind = np.asarray(image), image.mode, image.format
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        yield f"{name}: cannot be read as an image ({error})"
        return
    if kind != "PNG" or mode != "P":
        yield f"{name}: is {kind} of mode {mode}, must be an indexed PNG (mode P)"
        return
    if values.shape != size:
        yield f"{name}: is {values.shape[1]}x{values.shape[0]}, its image {size[1]}x{size[0]}"
    if values.max(initial=0) > classes:
        yield f"{name}: value {values.max()}, but there are {classes} classes and no 255 in predictions"


def require_right(path: Path, sizes: Mapping[str, tuple[int, int]], *, classes: Sequence[str]) -> None:
    """Raises a DataError that lists the first problems of an archive, if it has any."""
    problems = list(problems_of(path, sizes, classes=len(classes)))
    if problems:
        more = f"\nand {len(problems) - 10} more" if len(problems) > 10 else ""
        raise DataError(f"{path}: the server would refuse it:\n" + "\n".join(problems[:10]) + more)
