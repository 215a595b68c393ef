"""Doubts of an experiment's pseudo masks, and the galleries, which show them."""

import json
from dataclasses import dataclass

from stages.plan.files import Files, Inputs
from stages.plan.localizers import Localizer
from stages.plan.refiners import Refiner
from stages.plan.segmenters import Segmenter
from stages.settings import EvaluateSettings, parts_of

# What the target `doubt` makes.
ASKED = ("train", "val")
VAL_GALLERY = "gallery"


@dataclass(frozen=True)
class Doubts:
    """The tables of doubts: of the splits in `evaluate.doubt`, and of others that a target asks for."""

    files: Files
    splits: tuple[str, ...]
    refiner: Refiner
    segmenter: Segmenter

    def inputs(self, split: str, shard: str) -> Inputs:
        """What the doubts of a shard are found from: what its pseudo masks are made from, the masks themselves, and the
        segmenter's predictions."""
        own = {
            "masks": f"{self.files.results}/refine/{self.refiner.folder}/{split}/{shard}",
            "predictions": f"{self.files.results}/segment/{self.segmenter.folder}/compared/{split}/{shard}",
        }
        return {**self.refiner.inputs(split, shard), **own}

    def shards(self, split: str) -> list[str]:
        """The tables of a split's shards."""
        return self.files.of_shards("evaluate/doubt/{split}/{shard}.csv", [split])

    def table(self, split: str) -> str:
        """The table of a split."""
        return f"{self.files.results}/evaluate/doubt-{split}.csv"


@dataclass(frozen=True)
class Gallery:
    """A page of all images of a split.

    view: of the segmenter, in which it shows predictions.  images: scores of single images, by which they are sorted.
    """

    name: str
    split: str
    view: str
    images: str | None
    doubt: str | None


class Galleries:
    """`gallery`, val's, with doubts if they are in `evaluate.doubt`; and `gallery-<split>`, always with doubts."""

    def __init__(self, evaluate: EvaluateSettings, doubts: Doubts, localizer: Localizer) -> None:
        self.evaluate, self.doubts, self.localizer = evaluate, doubts, localizer

    def name(self, split: str) -> str:
        """The page with the doubts of a split."""
        return VAL_GALLERY if split == "val" and split in self.doubts.splits else f"{VAL_GALLERY}-{split}"

    @property
    def final(self) -> list[str]:
        """The pages of `all`."""
        return list(dict.fromkeys([VAL_GALLERY, *map(self.name, self.doubts.splits)]))

    def of(self, name: str) -> Gallery:
        """The gallery with a name."""
        results = self.doubts.files.results
        if name == VAL_GALLERY:
            scored = f"{results}/evaluate/segmenter-val-images.csv" if "val" in self.evaluate.segmenter else None
            doubt = self.doubts.table("val") if "val" in self.doubts.splits else None
            return Gallery(name, "val", "predictions", scored, doubt)
        split = name.removeprefix(f"{VAL_GALLERY}-")
        scored = f"{results}/evaluate/pseudo_masks-{split}-images.csv" if self._scored(split) else None
        return Gallery(name, split, "compared", scored, self.doubts.table(split))

    def inputs(self, name: str) -> Inputs:
        """What a gallery is made from."""
        own = self.of(name)
        shown = [
            *self.localizer.maps(own.split),
            *self.doubts.refiner.masks(own.split),
            *self.doubts.segmenter.predictions(own.view, own.split),
        ]
        found: Inputs = {"index": self.doubts.files.index(own.split), "shown": shown}
        return found | {key: path for key, path in (("images", own.images), ("doubt", own.doubt)) if path}

    def links(self, name: str) -> str:
        """The galleries beside one, split -> page, as JSON: those of `all`, or those of the target `doubt`."""
        final = self.final
        others = final if name in final else [self.name(split) for split in ASKED]
        return json.dumps({self.of(other).split: f"{other}.html" for other in others if other != name})

    def _scored(self, split: str) -> bool:
        return any(parts_of(scored) == (split,) for scored in self.evaluate.maps)
