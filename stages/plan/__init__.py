"""The plan of an experiment: its splits, localizers, refiners, segmenters and tables, the files each reads and writes,
and the options of its command. The rules query it; it knows nothing about Snakemake."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stages.errors import SettingsError
from stages.experiment import section_json
from stages.files import sha256_of
from stages.plan.dataset import Dataset
from stages.plan.doubts import ASKED, Doubts, Galleries
from stages.plan.files import Files, Inputs
from stages.plan.language import Language, names_file
from stages.plan.localizers import Localizer, Localizers
from stages.plan.mended import Mended
from stages.plan.refiners import OWN_MASKS, Refiner, Refiners
from stages.plan.segmenters import SCORED, Segmenter, Segmenters
from stages.plan.tables import Table, all_tables
from stages.report.shown_tables import TABLES
from stages.settings import EncodeSettings, Experiment, joined, parts_of
from stages.vocabulary import SPLITS, StageName

__all__ = ["Files", "Inputs", "Localizer", "Plan", "Refiner", "ScoredMasks", "Segmenter", "Table"]


@dataclass(frozen=True)
class ScoredMasks:
    """Masks as `score_masks` takes them: their folders, the files of a chosen threshold and of mended masks, and how
    the score describes them. round: of the segmenter that made them, as an option; empty for the first."""

    masks: list[str]
    inputs: Inputs
    background: str
    seed: int
    language: str
    round: str = ""


class Plan:
    """Everything the rules need to know about a checked experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.files = Files(experiment.experiment, experiment.data.shards)
        self.dataset = Dataset(self.files, experiment.data, experiment.evaluate)
        self.language = Language(self.files, self.dataset, experiment.encode)
        self.localizers = Localizers(experiment, self.files)
        self.refiners = Refiners(experiment, self.files, self.localizers)
        self.mended = Mended(experiment, self.files, self.refiners.own)
        self.segmenters = Segmenters(experiment, self.files, self.mended)
        self.doubts = Doubts(self.files, experiment.evaluate.doubt, self.refiners.own, self.segmenters.own)
        self.galleries = Galleries(experiment.evaluate, self.doubts, self.localizers.own)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        return all_tables(self.experiment, self.localizers, self.refiners)

    @cached_property
    def splits(self) -> list[str]:
        """Every split that is used. Training waits for the indexes of all of them, so that an unusable image is
        reported before the long work starts, not after it."""
        segment, evaluate = self.experiment.segment, self.experiment.evaluate
        used = {*self.map_splits, *segment.predict, *evaluate.segmenter}
        return sorted(used, key=SPLITS.index)

    @cached_property
    def map_splits(self) -> list[str]:
        """The splits that get maps and pseudo masks: one to train the segmenter on, one for the report, others for
        scores."""
        evaluate = self.experiment.evaluate
        scored = {part for split in evaluate.maps for part in parts_of(split)}
        return sorted({"train", "val", *scored, *evaluate.doubt, *evaluate.localization}, key=SPLITS.index)

    @property
    def indexes(self) -> list[str]:
        """The indexes of all splits."""
        return [self.files.index(split) for split in self.splits]

    @property
    def learned_index(self) -> str:
        """The images whose tags the localizer learns from."""
        return self.files.index(joined(self.experiment.localize.splits))

    @property
    def sheets(self) -> list[str]:
        """A picture of each split's first images."""
        return [f"{self.files.results}/data/sheets/{split}.jpg" for split in self.splits]

    def maps_threshold(self, localizer: Localizer) -> Inputs:
        """The chosen threshold of the pseudo masks, for the score of the maps; only for the experiment's own localizer,
        for which it was chosen. An oracle is the best of that very score, so there is nothing to wait for."""
        refiner = self.refiners.own
        own = localizer == self.localizers.own and not (refiner.threshold or "").startswith("oracle")
        return refiner.threshold_inputs if own else {}

    @property
    def scored_folders(self) -> list[str]:
        """The folders below `evaluate/` that scores of masks are in: the experiment's own first, then the tables'."""
        names = [refiner.removeprefix("variants/") for refiner in self.refiners.by_folder if refiner != OWN_MASKS]
        return list(dict.fromkeys(["", *(f"refiners/{name}/" for name in names), *self.segmenters.scored_folders]))

    def scored_masks(self, folder: str, stage: str, split: str) -> ScoredMasks:
        """The masks behind the score `evaluate/{folder}{stage}-{split}.json`."""
        localizer, number = self.localizers.own, 1
        if stage == "pseudo_masks":
            name = folder.removeprefix("refiners/").rstrip("/")
            refiner = self.refiners.by_folder[f"variants/{name}"] if name else self.refiners.own
            background, inputs, seed = refiner.background, refiner.threshold_inputs, refiner.localizer.seed
            masks = refiner.masks(split)
            if refiner.own:
                masks, inputs = self.mended.scored(split), inputs | self.mended.list_of(split)
        else:
            segmenter = self.segmenters.scored(folder, stage)
            seed, number = segmenter.seed, segmenter.round
            masks = segmenter.predictions(SCORED[stage][1], split)
            background, inputs = "", {}
        words = self.language.of_masks(stage, localizer.settings)
        return ScoredMasks(masks, inputs, background, seed, words, f"--round {number}" if number > 1 else "")

    def scores(self, *, bound: bool) -> list[str]:
        """The scores of `all`, with those of the fully supervised bound on request."""
        evaluate = self.experiment.evaluate
        named: list[tuple[StageName, Sequence[str]]] = [("maps", evaluate.maps), ("pseudo_masks", evaluate.maps)]
        named.append(("segmenter", evaluate.segmenter))
        if bound:
            named.append(("upper_bound", evaluate.segmenter))
        return [f"{self.files.results}/evaluate/{stage}-{split}.json" for stage, splits in named for split in splits]

    @property
    def localization_scores(self) -> list[str]:
        """Scores by wsolevaluation's protocol, if the config asks for them."""
        splits = self.experiment.evaluate.localization
        return [f"{self.files.results}/evaluate/localization-{split}.json" for split in splits]

    def chosen_on_val(self, split: str) -> Inputs:
        """The score that holds val's threshold by wsolevaluation's protocol, for the other splits."""
        return {} if split == "val" else {"chosen": f"{self.files.results}/evaluate/localization-val.json"}

    def speeds(self, table: str) -> list[str]:
        """The measured speeds of the localizers, for the table that shows them."""
        return [f"{self.files.results}/localize/speeds.json"] if table == "compare_localizers" else []

    @property
    def confusions(self) -> list[str]:
        """The confusion matrices of the segmenter."""
        splits = self.experiment.evaluate.segmenter
        return [f"{self.files.results}/evaluate/segmenter-{split}-confusion.csv" for split in splits]

    @property
    def image_scores(self) -> Inputs:
        """The scores of val's images by the segmenter, where it is scored on val."""
        scored = "val" in self.experiment.evaluate.segmenter
        return {"images": f"{self.files.results}/evaluate/segmenter-val-images.csv"} if scored else {}

    @property
    def panels(self) -> list[str]:
        """What the report's panels of val images show: maps, pseudo masks and predictions."""
        own = self.localizers.own.maps("val"), self.refiners.own.masks("val")
        return [*own[0], *own[1], *self.segmenters.own.predictions("predictions", "val")]

    @property
    def frozen_weights(self) -> list[str]:
        """The weights that the experiment starts from: of every encoder, and of CLIP if they are a file. Weights that
        open_clip fetches by name are identified by that name in the settings, and by the embeddings made with them."""
        return [*map(self.files.weights, sorted(self.experiment.models)), *self.language.weights]

    @property
    def measured_json(self) -> str:
        """The settings of maps for each row of `compare_localizers`, to measure their speed."""
        table = self.tables["compare_localizers"]
        pairs = zip([row.name for row in table.rows], table.trained, strict=True)
        return json.dumps({name: json.loads(self.localizers.maps_json(own.settings)) for name, own in pairs})

    def made_tables(self) -> dict[str, str]:
        """The ablations and comparisons that exist, with a hash of their content. A param, not an input: the page shows
        them and is rebuilt when one changes, but never causes one to be made."""
        paths = [Path(f"{self.files.results}/evaluate/{name}.json") for name in TABLES]
        return {path.stem: sha256_of(path) for path in paths if path.is_file()}

    def weights_file(self, model: str) -> list[str]:
        """The file that `encode.weights` names for a model, if it is one, so that a changed file is loaded again."""
        source = self.experiment.encode.weights[model]
        return [source] if names_file(source) else []

    def weights_json(self, model: str) -> str:
        """The section `encode` with only this model's weights, so that adding a model does not reload the others."""
        encode: EncodeSettings = self.experiment.encode
        one = encode.model_copy(update={"weights": {model: encode.weights[model]}})
        return section_json(self.experiment.model_copy(update={"encode": one}), "encode", only=["weights"])

    @property
    def submission(self) -> str:
        """The archive for PASCAL VOC's server. Raises SettingsError if the data is not VOC's or test is not
        predicted."""
        data, predict = self.experiment.data, self.experiment.segment.predict
        if data.format != "voc" or "test" not in predict:
            raise SettingsError(
                f"voc_submission: needs data.format `voc` and `test` in segment.predict (given: {data.format!r},"
                f" {list(predict)}); run it with configs/voc12.yaml"
            )
        return f"{self.files.results}/evaluate/voc_submission.tar.gz"

    @property
    def doubt(self) -> list[str]:
        """What the target `doubt` makes: tables and galleries of train and val."""
        pages = (f"{self.files.results}/report/{self.galleries.name(split)}.html" for split in ASKED)
        return [*map(self.doubts.table, ASKED), *pages]

    @property
    def final(self) -> list[str]:
        """What `all` makes in each stage, not only the page: Snakemake makes a deleted file again only if a target asks
        for it."""
        results, segmenter = self.files.results, self.segmenters.own
        return [
            *self.sheets,
            self.localizers.own.path,
            *self.localizers.own.maps(*self.map_splits),
            *self.refiners.own.masks(*self.map_splits),
            *self.mended.learned(),
            *(self.segmenters.training_masks(segmenter) if segmenter.round > 1 else []),
            segmenter.path,
            *segmenter.predictions("predictions", *self.experiment.segment.predict),
            f"{results}/evaluate/summary.csv",
            *self.localization_scores,
            *map(self.doubts.table, self.experiment.evaluate.doubt),
            *(f"{results}/report/{page}.html" for page in ("index", *self.galleries.final)),
            f"{results}/provenance.json",
            *(f"{results}/{stage}/README.md" for stage in ("localize", "segment")),
        ]
