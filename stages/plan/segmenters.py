"""The segmenters of an experiment: trained on pseudo masks, on true ones for the bound, and with other seeds."""

from dataclasses import dataclass

from stages.plan.files import Files
from stages.plan.mended import Mended
from stages.settings import Experiment

SUPERVISIONS = ("pseudo_masks", "true_masks")
# Stages of scores of predictions: the supervision, and the view.
SCORED = {
    "segmenter": ("pseudo_masks", "predictions"),
    "told_segmenter": ("pseudo_masks", "told"),
    "upper_bound": ("true_masks", "predictions"),
}


@dataclass(frozen=True)
class Segmenter:
    """A segmenter with one seed.

    folder: below `segment/`, its supervision for the experiment's own seed, `variants/SUPERVISION-SEED` for others.
    """

    files: Files
    folder: str
    supervision: str
    seed: int

    @property
    def path(self) -> str:
        """The trained segmenter."""
        return f"{self.files.results}/segment/{self.folder}/segmenter.safetensors"

    def predictions(self, view: str, *splits: str) -> list[str]:
        """The folders of its predictions: `view` says whether it was given the tags."""
        return self.files.of_shards(f"segment/{self.folder}/{view}/{{split}}/{{shard}}", splits)


class Segmenters:
    """All segmenters of an experiment."""

    def __init__(self, experiment: Experiment, files: Files, mended: Mended) -> None:
        self.experiment, self.files, self.mended = experiment, files, mended
        seeds = (experiment.seed, *experiment.compare.segmenter_seeds)
        found = [self.of(supervision, seed) for seed in seeds for supervision in SUPERVISIONS]
        self.by_folder = {segmenter.folder: segmenter for segmenter in found}
        self.own = found[0]

    def of(self, supervision: str, seed: int) -> Segmenter:
        """The segmenter with this supervision and seed."""
        folder = supervision if seed == self.experiment.seed else f"variants/{supervision}-{seed}"
        return Segmenter(self.files, folder, supervision, seed)

    def training_masks(self, segmenter: Segmenter) -> list[str]:
        """The pseudo masks that it learns from, with ignored pixels and mended masks if there are any; none for true
        masks."""
        if segmenter.supervision == "true_masks":
            return []
        if mended := self.mended.learned():
            return mended
        folder = "banded/{shard}" if self.experiment.refine.ignores else "masks/train/{shard}"
        return self.files.of_shards(f"refine/{folder}", ["train"])

    def scores(self) -> list[str]:
        """The scores of `compare_segmenters`; the ones for the experiment's own seed are its own."""
        evaluate, results = self.experiment.evaluate, self.files.results
        told = "train" in evaluate.maps
        found = [f"{results}/evaluate/pseudo_masks-train.json"] if told else []
        for seed in self.experiment.compare.segmenter_seeds:
            folder = "" if seed == self.experiment.seed else f"segmenters/{seed}/"
            if told:
                found.append(f"{results}/evaluate/{folder}told_segmenter-train.json")
            stages = ("segmenter", "upper_bound")
            found += [
                f"{results}/evaluate/{folder}{stage}-{split}.json" for stage in stages for split in evaluate.segmenter
            ]
        return found
