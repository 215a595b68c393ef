"""The test images of PASCAL VOC, as an index has them."""

from pathlib import Path

from stages.errors import DataError
from stages.evaluate.submission import TEST_IMAGES
from stages.images import image_size
from stages.index import read_index


def sizes_of_test(index: Path, root: Path, *, images: int = TEST_IMAGES) -> dict[str, tuple[int, int]]:
    """(rows, columns) by id of the images in the index of test.

    Raises DataError when there are not `images` of them: the server takes the whole list of VOC2012 or nothing.
    """
    records = read_index(index)
    if len(records) != images:
        raise DataError(
            f"{index}: {len(records)} images, VOC2012's test list has {images}; take ImageSets/Segmentation/test.txt of"
            " the official test archive"
        )
    return {record.id: image_size(root / record.image) for record in records}
