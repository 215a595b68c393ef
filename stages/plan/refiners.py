"""The refiners of an experiment: its own, the rows of `compare_refiners`, and the networks and thresholds they need."""

import json
import shlex
from dataclasses import dataclass

from stages.experiment import section_json
from stages.plan.files import Files, Inputs
from stages.plan.localizers import OWN, Localizer, Localizers
from stages.settings import Experiment, FeaturesAffinity, LearnedAffinity, RefineSettings
from stages.variants import affinity_name, all_refiners, regions_name, threshold_name

OWN_MASKS = "masks"


@dataclass(frozen=True)
class Refiner:
    """A way from one localizer's maps to pseudo masks.

    folder: below `refine/`, `masks` for the experiment's own, `variants/NAME` for others, plus `-SEED` if the maps are
    from another seed than the experiment's.
    """

    files: Files
    folder: str
    settings: RefineSettings
    localizer: Localizer

    @property
    def own(self) -> bool:
        """Whether it is the experiment's own."""
        return self.folder == OWN_MASKS

    @property
    def gpus(self) -> int:
        """How many GPUs it can use: one if it walks along affinities."""
        return int(self.settings.affinity.kind != "none")

    @property
    def affinity(self) -> str | None:
        """The name of its affinity network."""
        affinity = self.settings.affinity
        return f"{affinity_name(affinity)}{self._seed}" if isinstance(affinity, LearnedAffinity) else None

    @property
    def backbone(self) -> str | None:
        """The timm model under that network."""
        affinity = self.settings.affinity
        return affinity.backbone if isinstance(affinity, LearnedAffinity) else None

    @property
    def regions(self) -> str | None:
        """The name of the sure regions from which that network learns."""
        affinity = self.settings.affinity
        return f"{regions_name(affinity)}{self._seed}" if isinstance(affinity, LearnedAffinity) else None

    @property
    def region_files(self) -> list[str]:
        """The folders of these regions."""
        return self.files.of_shards(f"refine/regions/{self.regions}/{{shard}}", ["train"])

    @property
    def threshold(self) -> str | None:
        """The name of its chosen threshold; None if the config gives a number or a power."""
        name = threshold_name(self.settings)
        return f"{name}{self._seed}" if name else None

    @property
    def threshold_inputs(self) -> Inputs:
        """The file of its threshold, if one is chosen."""
        return {"threshold": f"{self.files.results}/refine/threshold/{self.threshold}.json"} if self.threshold else {}

    @property
    def threshold_number(self) -> str:
        """The config's threshold as an option; empty if it is in a file or there is none."""
        number = self.settings.background == "threshold" and self.threshold is None
        return f"--threshold {self.settings.background_threshold}" if number else ""

    @property
    def background(self) -> str:
        """What made the background, as an option of the masks' score, unless it is a file."""
        if self.settings.background == "power":
            return f"--power {self.settings.background_power}"
        return self.threshold_number

    def inputs(self, split: str, shard: str) -> Inputs:
        """What the masks of a shard are made from: its maps, a network, the localizer or weights, a chosen
        threshold."""
        found: Inputs = {"index": self.files.index(split), "maps": self.localizer.maps_of(split, shard)}
        if self.settings.affinity.kind == "learned":
            found["affinity"] = f"{self.files.results}/refine/affinity/{self.affinity}/affinity.safetensors"
        if self.settings.affinity.kind == "attention":
            found["affinity"] = self.localizer.path
        if isinstance(self.settings.affinity, FeaturesAffinity):
            found["affinity"] = self.files.weights(self.settings.affinity.model)
        return found | self.threshold_inputs

    def masks(self, *splits: str) -> list[str]:
        """The folders of its masks."""
        return self.files.of_shards(f"refine/{self.folder}/{{split}}/{{shard}}", splits)

    def score(self, split: str) -> str:
        """The score of its masks."""
        folder = "" if self.own else f"refiners/{self.folder.removeprefix('variants/')}/"
        return f"{self.files.results}/evaluate/{folder}pseudo_masks-{split}.json"

    @property
    def _seed(self) -> str:
        return "" if self.localizer.folder == OWN else f"-{self.localizer.seed}"


class Refiners:
    """All refiners of an experiment. Equal settings on the same maps are one refiner, under one folder."""

    def __init__(self, experiment: Experiment, files: Files, localizers: Localizers) -> None:
        self.experiment, self.files, self.localizers = experiment, files, localizers
        self.settings = all_refiners(experiment)
        self.seeds = experiment.compare.refiner_seeds or (experiment.seed,)
        self.own = self.of(experiment.refine, experiment.seed)
        found = [self.own] + [self.of(settings, seed) for settings in self.settings.values() for seed in self.seeds]
        self.by_folder = {refiner.folder: refiner for refiner in found}
        # For each network, region or threshold name, a refiner that has it.
        self.by_affinity = {name: refiner for refiner in found if (name := refiner.affinity)}
        self.by_regions = {name: refiner for refiner in found if (name := refiner.regions)}
        self.by_threshold = {name: refiner for refiner in found if (name := refiner.threshold)}

    def of(self, settings: RefineSettings, seed: int) -> Refiner:
        """The refiner with these settings on the maps of the experiment's localizer with this seed."""
        localizer = self.localizers.of(self.experiment.localize, seed)
        suffix = "" if localizer.folder == OWN else f"-{seed}"
        if settings == self.experiment.refine and not suffix:
            return Refiner(self.files, OWN_MASKS, settings, localizer)
        name = next(name for name, other in self.settings.items() if other == settings)
        return Refiner(self.files, f"variants/{name}{suffix}", settings, localizer)

    def of_row(self, name: str) -> list[Refiner]:
        """A row of `compare_refiners` with each of its seeds."""
        return [self.of(self.settings[name], seed) for seed in self.seeds]

    def as_json(self, settings: RefineSettings, *without: str) -> str:
        """A section `refine` for a command, without what the command does not use."""
        # No mask is made from mended ones, and the training masks alone ignore pixels (`banded_json`).
        alone = settings.model_copy(update={"mended": None, "ignore_below": None})
        return section_json(self.experiment.model_copy(update={"refine": alone}), "refine", without=without)

    def masks_json(self, refiner: Refiner) -> str:
        """What labelling depends on. It gets the network and the threshold separately, so their training and choice are
        left out."""
        training = ("affinity.training", "affinity.sure_powers", "affinity.sure_crf")
        dropped = ["auto", "background_threshold", *(training if refiner.affinity else ())]
        if not refiner.settings.ignore_band:
            dropped.append("ignore_band")
        return self.as_json(refiner.settings, *dropped)

    def banded_json(self, refiner: Refiner) -> str:
        """The same for the training masks, in which pixels are ignored."""
        masks, below = self.masks_json(refiner), refiner.settings.ignore_below
        if below is None:
            return masks
        return json.dumps(json.loads(masks) | {"ignore_below": below}, separators=(",", ":"))

    def walked_option(self, refiner: Refiner) -> str:
        """The option that gives an attention walk the settings of its localizer's maps; empty for the others."""
        if refiner.settings.affinity.kind != "attention":
            return ""
        whole = self.experiment.model_copy(update={"localize": refiner.localizer.settings})
        return f"--localize {shlex.quote(section_json(whole, 'localize', only=('maps',)))}"

    def affinity_json(self, refiner: Refiner, *without: str) -> str:
        """What the training of its affinity network depends on, and nothing else of the refiner."""
        alone = RefineSettings(affinity=refiner.settings.affinity)
        return self.as_json(alone, *(f"affinity.{name}" for name in without))

    def regions_json(self, refiner: Refiner) -> str:
        """What sure regions depend on."""
        return self.affinity_json(refiner, "backbone", "strides", "channels", "radius", "training")

    def threshold_json(self, refiner: Refiner) -> str:
        """What the choice of a threshold depends on."""
        return self.as_json(refiner.settings, "affinity", "walk", "ignore_band", "crf")

    def threshold_inputs(self, name: str) -> Inputs:
        """What a threshold is chosen on: maps of train (auto), or the score of the first scored split (oracle)."""
        localizer = self.by_threshold[name].localizer
        if name.startswith("oracle"):
            return {"score": localizer.score(self.experiment.evaluate.maps[0])}
        return {"maps": localizer.maps("train")}
