"""An experiment: all sections of a config file, and the rules between them."""

import os
import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from stages.settings.backbones import FrozenNetwork
from stages.settings.base import RulePath, Seed, Strict
from stages.settings.compare import CompareSettings
from stages.settings.data import DataSettings
from stages.settings.encode import EncodeSettings, TowerClip
from stages.settings.evaluate import EvaluateSettings, ReportSettings
from stages.settings.localize import LocalizeSettings
from stages.settings.methods import ClipEsSettings
from stages.settings.refine import LearnedAffinity, RefineSettings
from stages.settings.segment import SegmentSettings
from stages.vocabulary import SPLITS, SplitName

NAME = r"^\.*[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
LONGEST_NAME = 200  # file systems allow 255 bytes


def _folder_name(name: str) -> str:
    if not re.fullmatch(NAME.strip("^$"), name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"must name a folder below results/: letters, digits, `_`, `-` and `.`, not dots alone, {LONGEST_NAME} at"
            " most"
        )
    return name


ExperimentName = Annotated[
    str,
    AfterValidator(_folder_name),
    WithJsonSchema({"type": "string", "pattern": NAME, "maxLength": LONGEST_NAME}),
]


def method_fault(localize: LocalizeSettings, encode: EncodeSettings) -> str:
    """What of a localizer does not fit the section `encode`, as a setting below `localize` and its cure; empty if all
    does."""
    network, method = localize.method.frozen_network, localize.method
    if network is not None and network.model not in encode.weights:
        return f"method.proxy: encode.weights has no entry for {network.model}; add it, or name another model"
    if isinstance(method, ClipEsSettings) and not encode.backgrounds:
        return (
            "method.kind: `clip_es` weighs an image's classes against texts of what else photos show; list them in"
            " encode.backgrounds, such as [sky, grass, water, road, building]"
        )
    return ""


class Experiment(Strict):
    """One experiment: a complete config file."""

    experiment: ExperimentName = Field(description="name of the results folder")
    seed: Seed = Field(0, description="seed of every random choice")
    store: RulePath | None = Field(
        None,
        description="folder in which experiments share common results (by settings, code and content of inputs); best"
        " on the same file system as results/",
    )
    data: DataSettings
    encode: EncodeSettings
    localize: LocalizeSettings = LocalizeSettings()
    refine: RefineSettings = RefineSettings()
    segment: SegmentSettings = SegmentSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    compare: CompareSettings = CompareSettings()
    report: ReportSettings = ReportSettings()

    @property
    def models(self) -> set[str]:
        """The models whose pretrained weights the experiment starts from, except CLIP's own."""
        needed = {self.segment.network.backbone}
        if not self.localize.method.on_clip:
            needed.add(self.localize.backbone.model)
        if isinstance(self.refine.affinity, LearnedAffinity):
            needed.add(self.refine.affinity.backbone)
        if isinstance(self.encode.clip, TowerClip):
            needed.add(self.encode.clip.image_tower)
        return needed | {network.model for network in self.frozen_networks}

    @property
    def frozen_networks(self) -> list[FrozenNetwork]:
        """The networks whose patch features are compared, by the localizer and by the walk."""
        found = (self.localize.method.frozen_network, self.refine.affinity)
        return [network for network in found if isinstance(network, FrozenNetwork)]

    @property
    def negatives(self) -> tuple[SplitName, ...]:
        """Splits whose images without tags show none of the classes, and are learned from as such. With
        `localize.classes: predicted` the tags of val and test may be unknown."""
        if not self.data.has_negatives:
            return ()
        return ("train",) if self.localize.classes == "predicted" else SPLITS

    @model_validator(mode="after")
    def sections_agree(self) -> "Experiment":
        if self.store is not None and os.path.normpath(self.store) == f"results/{self.experiment}":
            raise ValueError(f"store: {self.store} is the results folder of this experiment; name another one")
        if fault := method_fault(self.localize, self.encode):
            raise ValueError(f"localize.{fault}")
        missing = sorted(self.models - set(self.encode.weights))
        if missing:
            raise ValueError(f"encode.weights has no entry for {', '.join(missing)}")
        if self.refine.affinity.kind == "attention" and self.localize.method.kind != "mmcst":
            raise ValueError(
                f"refine.affinity.kind `attention` needs localize.method.kind `mmcst`, not"
                f" {self.localize.method.kind!r}; set `learned`, `features` or `none`"
            )
        if self.refine.background_threshold == "oracle" and not self.evaluate.maps:
            raise ValueError("refine.background_threshold `oracle` needs a split with true masks in evaluate.maps")
        weighted = sorted(set(self.segment.training.class_weights) - {"background", *self.data.classes})
        if weighted:
            raise ValueError(f"segment.training.class_weights names {', '.join(weighted)}, not in data.classes")
        unknown = sorted(set(self.encode.synonyms) - set(self.data.classes))
        if unknown:
            raise ValueError(f"encode.synonyms names {', '.join(unknown)}, not in data.classes")
        shown = sorted(set(self.encode.backgrounds) & set(self.data.classes))
        if shown:
            raise ValueError(f"encode.backgrounds lists {', '.join(shown)}, of data.classes; leave out the classes")
        unpredicted = sorted(set(self.evaluate.segmenter) - set(self.segment.predict))
        if unpredicted:
            raise ValueError(f"evaluate.segmenter scores {', '.join(unpredicted)}, which segment.predict leaves out")
        if "val" not in self.segment.predict:
            raise ValueError("segment.predict leaves out val, which the report shows; add it")
        if self.evaluate.train_list and any("train+" in split for split in (*self.evaluate.maps, self.compare.split)):
            raise ValueError(
                "evaluate.train_list applies to train alone; score no other splits together with train, or leave the"
                " list out"
            )
        if self.evaluate.localization:
            if self.data.format != "openimages":
                raise ValueError(
                    f"evaluate.localization needs data.format `openimages`, not {self.data.format!r}; leave it empty"
                )
            if "val" not in self.evaluate.localization or "train" in self.evaluate.localization:
                raise ValueError("evaluate.localization must include val, where the threshold is chosen, and not train")
        return self
