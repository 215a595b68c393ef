"""The step between maps and CRF: background's score, with or without a walk.

Nothing here needs torch: the processes that run the CRF import only this module.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stages.refine.background import Background
from stages.refine.pseudo_masks import ImageScores
from stages.shards import ImageMaps


class Walker(Protocol):
    """Turns maps of an image into the scores to label, one per background."""

    def __call__(self, path: Path, image: ImageMaps, backgrounds: Sequence[Background]) -> ImageScores: ...


def stay(path: Path, image: ImageMaps, backgrounds: Sequence[Background]) -> ImageScores:
    """No walk: the maps as stored, with background's score."""
    scores = tuple(background(image.maps) for background in backgrounds)
    return ImageScores(
        image.id, scores, tuple(image.classes.tolist()), image.size, image.label_size, working=image.working
    )
