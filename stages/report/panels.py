"""Val images from image to prediction: their choice and their pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.errors import DataError
from stages.evaluate.image_scores import ImageScore
from stages.images import IGNORE, read_image, read_mask, voc_palette
from stages.index import Record, evenly_spaced
from stages.labelling import enlarge_maps
from stages.mask_folders import find_masks
from stages.segment.rounds import PSEUDO_MASKS
from stages.shards import ImageMaps, read_shard


@dataclass(frozen=True)
class Panel:
    """One image as it passes through the stages. Masks and maps have the image's size.

    maps: class name -> [rows, columns] float32 in [0, 1], the class that covers most of the image first.
    truth, iou: the true mask, and the mIoU of the prediction on this image alone, percent; None if there is none.
    """

    id: str
    image: Image.Image
    maps: dict[str, NDArray[np.float32]]
    pseudo_mask: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None
    iou: float | None

    def values(self) -> set[int]:
        """Mask values of classes in any of the masks."""
        masks = [mask for mask in (self.pseudo_mask, self.prediction, self.truth) if mask is not None]
        found = {int(value) for mask in masks for value in np.unique(mask)}
        return found - {0, IGNORE}


def choose(ious: Mapping[str, float], count: int) -> list[str]:
    """Splits the ranking by IoU, best first, ties by id, into `count` equal parts; returns the middle id of each."""
    ranking = sorted(ious, key=lambda image_id: (-ious[image_id], image_id))
    count = min(count, len(ranking))
    return [ranking[int((part + 0.5) * len(ranking) / count)] for part in range(count)]


def read_maps(shards: Sequence[Path], ids: Sequence[str], split: str = "val") -> dict[str, ImageMaps]:
    """Maps of the given images. Raises DataError when one of them has none."""
    wanted = set(ids)
    found = {image.id: image for shard in shards for image in read_shard(shard) if image.id in wanted}
    missing = sorted(wanted - set(found))
    if missing:
        raise DataError(
            f"no maps of {split} image {missing[0]!r}; add {split} to `evaluate.maps` and run the stage `localize`"
        )
    return found


def read_panels(
    results: Path,
    root: Path,
    records: Sequence[Record],
    classes: Sequence[str],
    *,
    count: int,
    shards: int,
    segmenter: str = PSEUDO_MASKS,
    scores: Mapping[str, ImageScore] | None,
) -> list[Panel]:
    """Panels of `count` val images: chosen by `choose`, or spread over the index if val was not scored.
    shards: number of val's shards; folders of further shards, from an earlier run, are ignored.
    segmenter: its folder below `segment/`.  scores: of the predictions, by image.

    Raises DataError when a stage's files are missing."""
    ids = [record.id for record in records]
    numbers = range(shards)
    predictions = find_masks([results / f"segment/{segmenter}/predictions/val/{shard}" for shard in numbers], ids)
    pseudo_masks = find_masks([results / f"refine/masks/val/{shard}" for shard in numbers], ids)
    ious = {image_id: score.miou for image_id, score in (scores or {}).items()}
    chosen = evenly_spaced(ids, count) if scores is None else choose(ious, count)
    maps = read_maps([results / f"localize/maps/val/{shard}.safetensors" for shard in numbers], chosen)
    by_id = {record.id: record for record in records}
    return [
        Panel(
            id=image_id,
            image=read_image(root / by_id[image_id].image),
            maps=_named_maps(maps[image_id], classes),
            pseudo_mask=read_mask(pseudo_masks[image_id]),
            prediction=read_mask(predictions[image_id]),
            truth=read_mask(root / by_id[image_id].mask) if by_id[image_id].mask else None,
            iou=ious.get(image_id),
        )
        for image_id in chosen
    ]


def colour_mask(mask: NDArray[np.uint8]) -> Image.Image:
    """A mask as an indexed image with the VOC palette."""
    image = Image.fromarray(mask)
    image.putpalette(voc_palette())
    return image


def colour_of(value: int) -> str:
    """A mask value's palette colour as CSS."""
    red, green, blue = voc_palette()[3 * value : 3 * value + 3]
    return f"rgb({red}, {green}, {blue})"


def _named_maps(image_maps: ImageMaps, classes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    maps = enlarge_maps(image_maps.maps, image_maps.size)
    named = [(classes[position], scores) for position, scores in zip(image_maps.classes, maps, strict=True)]
    return dict(sorted(named, key=lambda pair: -pair[1].sum()))
