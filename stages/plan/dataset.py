"""What the rules read from a dataset: the user's own files, or the folder that a rule composed or fetched."""

from dataclasses import dataclass

from stages.plan.files import Files, Inputs
from stages.settings import DataSettings, EvaluateSettings


@dataclass(frozen=True)
class Dataset:
    """The dataset of an experiment."""

    files: Files
    settings: DataSettings
    evaluate: EvaluateSettings

    @property
    def root(self) -> str:
        """The folder to which the paths in an index are relative."""
        return str(self.settings.root or f"{self.files.results}/data/set")

    @property
    def inputs(self) -> Inputs:
        """The composed or fetched dataset, an input of the rules that read images; any other dataset is no rule's
        output."""
        if self.settings.format == "demo":
            return {"dataset": f"{self.files.results}/data/set"}
        return {"dataset": f"{self.files.results}/data/fetched.json"} if self.settings.fetch else {}

    @property
    def cutouts(self) -> str:
        """The folder of the demo's cut-outs, from which packaged towers may learn."""
        return f"{self.files.results}/data/{'set' if self.settings.format == 'demo' else 'cutouts'}"

    @property
    def captions(self) -> list[str]:
        """The file of captions. If it is missing, `make_index` reports it."""
        path = self.settings.captions
        return [str(path)] if path and path.is_file() else []

    @property
    def makes_masks(self) -> bool:
        """Whether `make_truth` makes true masks, because the dataset has none as indexed PNGs."""
        return self.settings.format in ("coco", "openimages") or self.settings.voc.sbd is not None

    def lists(self, split: str) -> list[str]:
        """The user's files that list a split. If one is missing, the command reports it."""
        data = self.settings
        if data.fetch:  # fetched.json stands for them: an input that appears during the run would rerun the rules
            return [f"{self.files.results}/data/fetched_test.json"] if split == "test" else []
        if data.root is None:
            return []
        if data.format == "csv":
            names = [f"{split}.csv"]
        elif data.format == "voc":
            names = [f"ImageSets/Segmentation/{getattr(data.voc, split)}.txt"]
        elif data.format == "coco":
            names = [f"annotations/instances_{getattr(data.coco, split, split)}.json"]
        elif data.format == "openimages":
            folder = data.openimages.metadata / split
            names = [str(folder / name) for name in ("class_labels.txt", "localization.txt")]
        else:
            names = [str(data.folder.table)]
        return [str(data.root / name) for name in names if (data.root / name).is_file()]

    def index_inputs(self, split: str) -> Inputs:
        """What the index of a split is made of."""
        masks: Inputs = {"masks": f"{self.files.results}/data/masks/{split}"} if self.makes_masks else {}
        return {**self.inputs, **masks, "lists": self.lists(split), "captions": self.captions}

    @property
    def scored_list(self) -> list[str]:
        """The user's own list of the training images to score; no input if the dataset is fetched."""
        return [] if self.settings.fetch or self.evaluate.train_list is None else [str(self.evaluate.train_list)]

    def scored(self, split: str) -> Inputs:
        """The checked list of the images to score, if the config names one for the split."""
        listed = split == "train" and self.evaluate.train_list is not None
        return {"only": f"{self.files.results}/evaluate/scored_train.txt"} if listed else {}
