"""The localizers of an experiment: its own, and the variants in tables, each with its seeds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from stages.experiment import section_json
from stages.plan.files import Files, Inputs
from stages.settings import (
    NOT_OF_TRAINING,
    ClipEsSettings,
    Experiment,
    FrozenBackbone,
    FrozenNetwork,
    LocalizeSettings,
    OnClip,
    TowerBackbone,
    TowerClip,
)
from stages.variants import all_refiners, all_variants, features_name, features_settings, map_features_settings

OWN = ""
# As NOT_OF_TRAINING: settings of the training alone, a change of which makes no maps again by itself.
NOT_OF_MAPS = ("training", "splits")


@dataclass(frozen=True)
class Localizer:
    """A localizer with one seed.

    folder: below the folder of a stage, `` for the experiment's own, `variants/NAME-SEED/` for others.
    trained: the folder of the one whose training it uses; those that differ only in how maps are made share one.
    """

    files: Files
    folder: str
    trained: str
    settings: LocalizeSettings
    seed: int

    @property
    def path(self) -> str:
        """The trained localizer."""
        return f"{self.files.results}/localize/{self.trained}localizer.safetensors"

    @property
    def curves(self) -> str:
        """The curves of its training."""
        return f"{self.files.results}/localize/{self.trained}training.csv"

    @property
    def benchmark(self) -> str:
        """Snakemake's benchmark of its training."""
        return f"{self.files.benchmarks}/localize/{self.trained}train.tsv"

    @property
    def work(self) -> str:
        """The folder of its checkpoints."""
        return f"{self.files.results}/work/localize/{self.folder.rstrip('/') or 'own'}"

    def maps_of(self, split: str, shard: str) -> str:
        """A shard of its maps."""
        return f"{self.files.results}/localize/{self.folder}maps/{split}/{shard}.safetensors"

    def maps(self, *splits: str) -> list[str]:
        """All shards of its maps of splits."""
        return self.files.of_shards(f"localize/{self.folder}maps/{{split}}/{{shard}}.safetensors", splits)

    def score(self, split: str) -> str:
        """The score of its maps."""
        return f"{self.files.results}/evaluate/{self.folder}maps-{split}.json"

    @property
    def training_inputs(self) -> Inputs:
        """Pretrained weights, plus embeddings and frozen features if the training uses them."""
        settings, results = self.settings, self.files.results
        if settings.method.on_clip:
            return self._on_clip()
        found: Inputs = {"weights": self.files.weights(settings.backbone.model)}
        if settings.method.language_source != "none":
            found["images"] = f"{results}/encode/{settings.method.language_source}_embeddings.safetensors"
        name = features_name(features_settings(settings))
        return found | ({"features": f"{results}/localize/features/{name}"} if name else {})

    def _on_clip(self) -> Inputs:
        """CLIP's image tower, plus background texts or the weights of a frozen network if the method has them."""
        method, results = self.settings.method, self.files.results
        found: Inputs = {"weights": f"{results}/encode/image_tower.safetensors"}
        if isinstance(method, ClipEsSettings):
            found["backgrounds"] = f"{results}/encode/backgrounds.safetensors"
        if method.frozen_network:
            found["proxy"] = self.files.weights(method.frozen_network.model)
        return found

    def map_inputs(self, split: str, shard: str) -> Inputs:
        """The trained localizer, plus the frozen features of the images if maps are made from them."""
        name = features_name(map_features_settings(self.settings))
        features: Inputs = {"features": f"{self.files.results}/localize/map_features/{name}/{split}/{shard}"}
        return {"localizer": self.path, **(features if name else {})}


class Localizers:
    """All localizers of an experiment. Equal settings and seeds are one localizer, under one folder."""

    def __init__(self, experiment: Experiment, files: Files) -> None:
        self.experiment = experiment
        self.files = files
        self.variants = all_variants(experiment)
        self.own = self.of(experiment.localize, experiment.seed)
        self.by_folder: Mapping[str, Localizer] = {OWN: self.own} | {
            found.folder: found
            for settings in self.variants.values()
            for seed in self._seeds(settings)
            for found in [self.of(settings, seed)]
        }
        # By the name of frozen features, the settings that they are made with.
        every = [experiment.localize, *self.variants.values()]
        self.features = {name: own for own in map(features_settings, every) if (name := features_name(own))}
        self.map_features = {name: own for own in map(map_features_settings, every) if (name := features_name(own))}

    def of(self, settings: LocalizeSettings, seed: int) -> Localizer:
        """The localizer with these settings and this seed."""
        trained = settings.model_copy(update={"maps": self.experiment.localize.maps})
        shared = trained if trained in self.variants.values() else settings
        return Localizer(self.files, self._folder(settings, seed), self._folder(shared, seed), settings, seed)

    def of_row(self, name: str, seeds: tuple[int, ...]) -> list[Localizer]:
        """A row of a table: a variant with each of its seeds; only the first if nothing is trained."""
        settings = self.variants[name]
        return [self.of(settings, seed) for seed in (seeds[:1] if settings.method.on_clip else seeds)]

    def training_json(self, settings: LocalizeSettings) -> str:
        """A section `localize` for the commands that train or prepare training."""
        return self._as_json(settings, NOT_OF_TRAINING)

    def backbones_json(self, model: str) -> str:
        """The different `localize.backbone` sections to check when the weights of this timm model are loaded, and
        networks whose patch features are compared, a JSON list: the experiment's own, or those of variants alone. A
        variant that nobody has asked for stops nothing."""
        own_one = model in self.experiment.models
        variants = [] if own_one else list(self.variants.values())
        refiners = [] if own_one else list(all_refiners(self.experiment).values())
        localizers = [self.experiment.localize, *variants]
        trained = [own.backbone for own in localizers if not own.method.on_clip]
        compared = [own.method.frozen_network for own in localizers]
        walked = [own.affinity for own in (self.experiment.refine, *refiners)]
        frozen = [FrozenBackbone.of(own, "localize.method.proxy") for own in compared if isinstance(own, FrozenNetwork)]
        frozen += [FrozenBackbone.of(own, "refine.affinity") for own in walked if isinstance(own, FrozenNetwork)]
        towers = [tower for own in localizers for tower in self._packaged_tower(own)]
        every = (*trained, *frozen, *towers)
        found = dict.fromkeys(own.model_dump_json() for own in every if own.model == model)
        return json.dumps([json.loads(text) for text in found])

    def _packaged_tower(self, settings: LocalizeSettings) -> list[TowerBackbone]:
        """The packaged image tower that a localizer looks into, with what it asks of it; empty if there is none."""
        clip, method = self.experiment.encode.clip, settings.method
        if not (isinstance(clip, TowerClip) and isinstance(method, OnClip)):
            return []
        needs = method.needs_attention
        asked = {"needs": needs.setting, "cure": needs.cure} if needs else {}
        return [TowerBackbone(model=clip.image_tower, method=method.kind, **asked)]

    def maps_json(self, settings: LocalizeSettings) -> str:
        """A section `localize` for the commands that make maps or prepare that."""
        return self._as_json(settings, NOT_OF_MAPS)

    def _as_json(self, settings: LocalizeSettings, without: tuple[str, ...]) -> str:
        whole = self.experiment.model_copy(update={"localize": settings})
        return section_json(whole, "localize", without=without)

    def _folder(self, settings: LocalizeSettings, seed: int) -> str:
        if settings == self.experiment.localize and seed == self.experiment.seed:
            return OWN
        name = next(name for name, other in self.variants.items() if other == settings)
        return f"variants/{name}-{seed}/"

    def _seeds(self, settings: LocalizeSettings) -> list[int]:
        """Every seed that any table may ask for."""
        compare = self.experiment.compare
        return sorted({self.experiment.seed, *compare.seeds, *compare.localizer_seeds, *compare.refiner_seeds})
