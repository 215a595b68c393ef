"""Shards of localization maps: one safetensors file for many images, small on disk, read image by image."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from stages.errors import DataError
from stages.files import atomic_path
from stages.finite import check_finite


@dataclass(frozen=True)
class ImageMaps:
    """Localization maps of one image.

    maps: [tagged classes, rows, columns] float32 in [0, 1], at a fraction of the image's size.
    classes: [tagged classes] int64, positions in the class list from 0 (mask value is one more).
    size: (rows, columns) of the image itself.
    probabilities: [C] float32 in [0, 1], of every class by the localizer's classifier; None if it has none.
    working: (rows, columns) at which the image is to be labelled (`data.longest_side`); None for its own size.

    Raises DataError if a map or a probability is not finite: rounding and thresholds would make a mask of it.
    """

    id: str
    maps: NDArray[np.float32]
    classes: NDArray[np.int64]
    size: tuple[int, int]
    probabilities: NDArray[np.float32] | None = None
    working: tuple[int, int] | None = None

    @property
    def label_size(self) -> tuple[int, int]:
        """(rows, columns) at which the image is labelled."""
        return self.working or self.size

    def __post_init__(self) -> None:
        named = {"a map": self.maps} | ({} if self.probabilities is None else {"a probability": self.probabilities})
        check_finite(f"{self.id}: localization maps", named, "delete the localizer and its maps, and rerun `localize`")


def write_shard(path: Path, images: Iterable[ImageMaps]) -> int:
    """Writes maps as uint8 (scale 1/255 in the metadata), atomically. Returns the number of images.

    A map's scores are in [0, 1] and are made to be thresholded, so steps of 1/255 are finer than any threshold chosen.
    """
    tensors: dict[str, NDArray] = {}
    sizes: dict[str, tuple[int, int]] = {}
    working: dict[str, tuple[int, int]] = {}
    for image in images:
        tensors[f"{image.id}/maps"] = np.round(image.maps * 255).astype(np.uint8)
        tensors[f"{image.id}/classes"] = image.classes.astype(np.int64)
        if image.probabilities is not None:
            tensors[f"{image.id}/probabilities"] = image.probabilities
        sizes[image.id] = image.size
        if image.label_size != image.size:
            working[image.id] = image.label_size
    # One entry: safetensors writes several in an order that varies between runs, and equal maps must give equal files.
    stored = {"scale": 1 / 255, "sizes": sizes} | ({"working": working} if working else {})
    metadata = {"maps": json.dumps(stored)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)
    return len(sizes)


def read_shard(path: Path) -> Iterator[ImageMaps]:
    """Yields the images of a shard in the order they were written, one in memory at a time.

    Raises DataError if the file is missing, truncated, or not a shard of maps, or if a map is not finite.
    """
    try:
        with safe_open(path, framework="numpy") as shard:
            metadata = json.loads((shard.metadata() or {})["maps"])
            scale = np.float32(metadata["scale"])
            working = metadata.get("working", {})
            names = frozenset(shard.keys())
            for image_id, (rows, columns) in metadata["sizes"].items():
                yield ImageMaps(
                    id=image_id,
                    maps=shard.get_tensor(f"{image_id}/maps").astype(np.float32) * scale,
                    classes=shard.get_tensor(f"{image_id}/classes"),
                    size=(rows, columns),
                    probabilities=(
                        shard.get_tensor(f"{image_id}/probabilities") if f"{image_id}/probabilities" in names else None
                    ),
                    working=tuple(working[image_id]) if image_id in working else None,
                )
    except DataError as error:  # of an image whose maps are not finite
        raise DataError(f"{path}: {error}") from error
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: not a whole shard of maps ({error}); delete it and rerun `localize`") from error
