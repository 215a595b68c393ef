"""Maps with the index records of their images."""

from collections.abc import Iterable, Iterator, Sequence

from stages.errors import DataError
from stages.index import Record
from stages.shards import ImageMaps


def known_images(images: Iterable[ImageMaps], records: Sequence[Record]) -> Iterator[tuple[ImageMaps, Record]]:
    """Each image's maps with its record. Raises DataError for an image that is not in the index."""
    by_id = {record.id: record for record in records}
    for image in images:
        if image.id not in by_id:
            raise DataError(f"maps of image {image.id!r}, not in the index; delete the maps and rerun `localize`")
        yield image, by_id[image.id]
