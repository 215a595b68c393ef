"""The segmenters of an experiment: trained on pseudo masks, on true ones for the bound, in further rounds, and with
other seeds."""

from dataclasses import dataclass

from stages.plan.files import Files
from stages.plan.mended import Mended
from stages.segment.rounds import PSEUDO_MASKS, round_folder
from stages.settings import Experiment

TRUE_MASKS = "true_masks"
SUPERVISIONS = (PSEUDO_MASKS, TRUE_MASKS)
# Stages of scores of predictions: the supervision, and the view.
SCORED = {
    "segmenter": (PSEUDO_MASKS, "predictions"),
    "told_segmenter": (PSEUDO_MASKS, "told"),
    "upper_bound": (TRUE_MASKS, "predictions"),
}


@dataclass(frozen=True)
class Segmenter:
    """A segmenter with one seed.

    folder: below `segment/`: its supervision and round for the experiment's own seed, `variants/SUPERVISION-SEED` for
    others.  round: 1 learns from `supervision`, the next from the masks that it makes.
    """

    files: Files
    folder: str
    supervision: str
    seed: int
    round: int = 1

    @property
    def path(self) -> str:
        """The trained segmenter."""
        return f"{self.files.results}/segment/{self.folder}/segmenter.safetensors"

    @property
    def curves(self) -> str:
        """The curves of its training."""
        return f"{self.files.results}/segment/{self.folder}/training.csv"

    def predictions(self, view: str, *splits: str) -> list[str]:
        """The folders of its predictions: `view` says whether it was given the tags."""
        return self.files.of_shards(f"segment/{self.folder}/{view}/{{split}}/{{shard}}", splits)


class Segmenters:
    """All segmenters of an experiment. Its own is that of the last round."""

    def __init__(self, experiment: Experiment, files: Files, mended: Mended) -> None:
        self.experiment, self.files, self.mended = experiment, files, mended
        compare, rounds = experiment.compare, experiment.segment.rounds
        self.seeds = tuple(dict.fromkeys((experiment.seed, *compare.segmenter_seeds)))
        self.compared_rounds = compare.segmenter_rounds or tuple(range(1, rounds + 1))
        self.rounds = range(1, max(rounds, *self.compared_rounds) + 1)
        self.own = self.of(PSEUDO_MASKS, experiment.seed, rounds)
        found = [self.own]
        for seed in self.seeds:
            found += [self.of(supervision, seed) for supervision in SUPERVISIONS]
            found += [self.of(PSEUDO_MASKS, seed, number) for number in self.rounds[1:]]
        self.by_folder = {segmenter.folder: segmenter for segmenter in found}

    def of(self, supervision: str, seed: int, number: int = 1) -> Segmenter:
        """The segmenter with this supervision, seed and round."""
        name = TRUE_MASKS if supervision == TRUE_MASKS else round_folder(number)
        folder = name if seed == self.experiment.seed else f"variants/{name}-{seed}"
        return Segmenter(self.files, folder, supervision, seed, number)

    def before(self, segmenter: Segmenter) -> Segmenter:
        """The segmenter of the round before, which labels the training images of this one."""
        return self.of(segmenter.supervision, segmenter.seed, segmenter.round - 1)

    def relabelled(self, segmenter: Segmenter, shard: str) -> str:
        """The masks of a shard of train that the round before makes, told the tags."""
        return f"{self.files.results}/segment/{self.before(segmenter).folder}/told/train/{shard}"

    def training_masks(self, segmenter: Segmenter) -> list[str]:
        """The masks that it learns from, with mended ones if there are any; none for true masks. Those of the first
        round are pseudo masks, with ignored pixels if there are any; the others have neither the thresholds of a band
        nor a CRF's probabilities."""
        if segmenter.supervision == TRUE_MASKS:
            return []
        if segmenter.round > 1:
            if self.mended.path:
                return self.files.of_shards(f"segment/{segmenter.folder}/with_mended/{{shard}}", ["train"])
            return self.before(segmenter).predictions("told", "train")
        if mended := self.mended.learned():
            return mended
        folder = "banded/{shard}" if self.experiment.refine.ignores else "masks/train/{shard}"
        return self.files.of_shards(f"refine/{folder}", ["train"])

    @property
    def scored_folders(self) -> dict[str, tuple[int, int]]:
        """The folders below `evaluate/` of scores of predictions: the seed and the round of each. The own ones are in
        none."""
        own = self.experiment.seed, self.own.round
        folders = {"": own}
        for seed in self.seeds:
            for number in self.rounds:
                if (seed, number) != own:
                    folders[f"segmenters/{seed}{'' if number == 1 else f'-round{number}'}/"] = (seed, number)
        return folders

    def scored(self, folder: str, stage: str) -> Segmenter:
        """The segmenter behind the scores of a folder."""
        seed, number = self.scored_folders[folder]
        supervision, _ = SCORED[stage]
        return self.of(supervision, seed, 1 if supervision == TRUE_MASKS else number)

    def scores(self) -> list[str]:
        """The scores of `compare_segmenters`; the ones for the experiment's own seed and round are its own."""
        evaluate = self.experiment.evaluate
        told = "train" in evaluate.maps
        found = [f"{self.files.results}/evaluate/pseudo_masks-train.json"] if told else []
        for seed in self.experiment.compare.segmenter_seeds:
            for number in self.compared_rounds:
                found += [self._score(seed, number, "told_segmenter", "train")] if told else []
                found += [self._score(seed, number, "segmenter", split) for split in evaluate.segmenter]
            bound = self.own.round if seed == self.experiment.seed else 1  # it has no rounds, and stands beside these
            found += [self._score(seed, bound, "upper_bound", split) for split in evaluate.segmenter]
        return found

    def _score(self, seed: int, number: int, stage: str, split: str) -> str:
        folder = next(name for name, own in self.scored_folders.items() if own == (seed, number))
        return f"{self.files.results}/evaluate/{folder}{stage}-{split}.json"
