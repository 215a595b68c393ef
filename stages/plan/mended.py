"""Masks mended by hand, in the place of the pseudo masks of train: which files they change, and who reads those."""

from stages.data.mended_places import digest_of_place, fault_of_place
from stages.experiment import section_json
from stages.plan.files import Files, Inputs
from stages.plan.refiners import Refiner
from stages.settings import Experiment, parts_of

# What the segmenter learns from, where ignored pixels stay ignored, and what is scored, where every pixel has a class.
KINDS = ("learned", "scored")


class Mended:
    """The mended masks of an experiment, if it names any. The localizer and what makes pseudo masks know nothing of
    them, so that mending more makes none of these again."""

    def __init__(self, experiment: Experiment, files: Files, own: Refiner) -> None:
        self.experiment, self.files, self.own = experiment, files, own
        self.path = experiment.refine.mended

    @property
    def table(self) -> str:
        """The list of the mended masks that were read."""
        return f"{self.files.results}/refine/mended.csv"

    @property
    def settings_json(self) -> str:
        """What reading them depends on, besides their content."""
        return section_json(self.experiment, "refine", only=["mended"]) if self.path else "{}"

    @property
    def content(self) -> str:
        """A hash of the user's files, so that a changed one is read again."""
        return digest_of_place(self.path) if self.path and not fault_of_place(self.path) else ""

    def made(self, kind: str, shard: str) -> str:
        """The pseudo masks of a shard of train in which mended ones are put."""
        if kind == "learned" and self.experiment.refine.ignores:
            return f"{self.files.results}/refine/banded/{shard}"
        return f"{self.files.results}/refine/{self.own.folder}/train/{shard}"

    def learned(self) -> list[str]:
        """The segmenter's training masks; empty if none are mended."""
        return self.files.of_shards("refine/with_mended/learned/{shard}", ["train"]) if self.path else []

    def scored(self, split: str) -> list[str]:
        """The pseudo masks of a split that are scored."""
        masks = self.own.masks(*[part for part in parts_of(split) if part != "train" or not self.path])
        mended = self.path and "train" in parts_of(split)
        return [*(self.files.of_shards("refine/with_mended/scored/{shard}", ["train"]) if mended else []), *masks]

    def list_of(self, split: str) -> Inputs:
        """The list of the mended masks, as an input of the score of a split that has any."""
        return {"mended": self.table} if self.path and "train" in parts_of(split) else {}
