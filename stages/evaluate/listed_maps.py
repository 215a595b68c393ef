"""Maps of exactly the images that an index lists."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.errors import DataError
from stages.index import Record
from stages.shards import ImageMaps, read_shard


def read_images(records: Sequence[Record], shards: Sequence[Path]) -> Iterator[ImageMaps]:
    """Maps of each image, one at a time. Raises DataError unless the shards hold exactly the images of the index."""
    missing = dict.fromkeys(record.id for record in records)
    for shard in shards:
        for image in read_shard(shard):
            if image.id not in missing:
                raise DataError(f"{shard}: image {image.id!r} is not in the index or in two shards; rerun `localize`")
            del missing[image.id]
            yield image
    if missing:
        raise DataError(f"no maps for {len(missing)} images (the first: {next(iter(missing))!r}); rerun `localize`")
