"""Variants of a stage that are compared: the paper's ablations, rival localizers, and refiners.

A variant is the experiment's own section `localize`, or `refine`, with some settings replaced.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from stages.settings import (
    CamSettings,
    CnnBackbone,
    Experiment,
    FeaturesAffinity,
    LearnedAffinity,
    LocalizerTraining,
    LocalizeSettings,
    MapSettings,
    RefineSettings,
    VitBackbone,
)

Section = TypeVar("Section", bound=BaseModel)

# Training settings that determine the crops.
AUGMENTATION = ("crop", "crop_area", "interpolation", "randaugment", "erasing")


@dataclass(frozen=True)
class Row:
    """A row of a table: its title, the settings of `localize` that it replaces, the published mIoU on VOC train, and
    the name of its variant."""

    title: str
    overrides: Mapping[str, Any]
    published: float | None = None
    name: str = ""


def _row(title: str, tokens: str, representation: str, language: str, published: float, **more: Any) -> Row:
    method = {"tokens": tokens, "representation": representation, "language_context": language}
    name = "-".join([*method.values(), *more])
    context = {"context": more.pop("context")} if "context" in more else {}
    return Row(title, {"method": {"kind": "mmcst", **method, **context}, **more}, published, name)


# Xu et al., CVPR 2023, the two ablations of maps on VOC train. The rows with global tokens have no language context:
# the paper gives the same figure, 64.1, for "global multi-modal" and "no context, no prior". It lists the table under
# "inference", so its row for local tokens may be the full model with maps read from them; here there is a row for each.
ABLATIONS: Mapping[str, tuple[Row, ...]] = {
    "tokens": (
        _row("global visual tokens", "visual", "global", "none", 62.7),
        _row("global multi-modal", "multimodal", "global", "none", 64.1),
        _row(
            *("local multi-modal, trained alone", "multimodal", "local", "image_contrastive", 63.3),
            context={"scores": "context"},
        ),
        _row(
            *("local multi-modal, read from the full model", "multimodal", "global_local", "image_contrastive", 63.3),
            maps={"representation": "local"},
        ),
        _row("global-local multi-modal", "multimodal", "global_local", "image_contrastive", 66.3),
    ),
    "context": (
        _row("no visual context, no prior", "multimodal", "global", "none", 64.1),
        _row("visual context, no prior", "multimodal", "global_local", "none", 64.8),
        _row("visual context, caption, L1", "multimodal", "global_local", "caption_l1", 63.7),
        _row("visual context, caption, contrastive", "multimodal", "global_local", "caption_contrastive", 65.1),
        _row("visual context, image, contrastive", "multimodal", "global_local", "image_contrastive", 66.3),
    ),
}
TABLES = ("ablation_tokens", "ablation_context", "compare_localizers")


def variant_settings(own: Section, overrides: Mapping[str, Any]) -> Section:
    """A section with `overrides` applied. Raises pydantic's ValidationError for an invalid setting.

    Nested sections are merged, unless the override chooses another `kind`: then it replaces the section.
    """
    return type(own).model_validate(_merge(own.model_dump(mode="json"), overrides))


def _merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in overrides.items():
        below = base.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            same = value.get("kind", below.get("kind")) == below.get("kind")
            merged[name] = _merge(below, value) if same else value
        else:
            merged[name] = value
    return merged


def table_rows(experiment: Experiment, table: str) -> dict[str, Row]:
    """The rows of a table by variant name, which is also the folder name. A comparison ends with the experiment's own
    localizer, under the name of its method."""
    if table == "compare_localizers":
        compared = {name: Row(name, overrides) for name, overrides in experiment.compare.localizers.items()}
        own = experiment.localize.method.kind
        return compared | {own: Row(own, {})}
    ablation = ABLATIONS[table.removeprefix("ablation_")]
    return {row.name: row for row in ablation}


def all_variants(experiment: Experiment) -> dict[str, LocalizeSettings]:
    """The settings of every variant of every table, by name."""
    rows = {name: row for table in TABLES for name, row in table_rows(experiment, table).items()}
    return {name: variant_settings(experiment.localize, row.overrides) for name, row in rows.items()}


def features_settings(settings: LocalizeSettings) -> LocalizeSettings | None:
    """The settings that the frozen features of training crops depend on, all others at their defaults; None if the
    localizer is trained on images."""
    cnn, training = _frozen_cnn(settings), settings.training
    if cnn is None:
        return None
    augmentation = {name: getattr(training, name) for name in AUGMENTATION}
    return LocalizeSettings(method=CamSettings(kind="cam"), backbone=cnn, training=LocalizerTraining(**augmentation))


def map_features_settings(settings: LocalizeSettings) -> LocalizeSettings | None:
    """As `features_settings`, for the frozen features that maps are made from."""
    cnn, maps = _frozen_cnn(settings), settings.maps
    if cnn is None:
        return None
    views = {name: getattr(maps, name) for name in ("size", "scales", "flip", "batch_size")}
    once = cnn.model_copy(update={"views": 1})
    return LocalizeSettings(method=CamSettings(kind="cam"), backbone=once, maps=MapSettings(**views))


def features_name(settings: LocalizeSettings | None) -> str | None:
    """Name of the frozen features that the settings describe: the CNN's name and a hash of the rest. Localizers that
    can share features get the same name."""
    return f"{settings.backbone.model}-{_hash(settings.model_dump(mode='json'))}" if settings else None


def _frozen_cnn(settings: LocalizeSettings) -> CnnBackbone | None:
    """The CNN of a `hybrid` or `cnn` backbone whose features are computed once."""
    backbone = settings.backbone
    if settings.method.on_clip or isinstance(backbone, VitBackbone) or not backbone.views:
        return None
    return CnnBackbone(
        kind="cnn",
        model=backbone.model,
        strides=backbone.strides,
        output_stride=backbone.output_stride if isinstance(backbone, CnnBackbone) else 32,
        frozen=True,
        views=backbone.views,
    )


def refiner_rows(experiment: Experiment) -> dict[str, Row]:
    """The rows of `compare_refiners` by name: from the maps alone to the experiment's own way, then `compare.refiners`.

    The table trains no affinity network of its own: learned affinities are in it only if the experiment's own
    refinement has them or the config names them.
    """
    without_walk, without_crf = {"affinity": {"kind": "none"}}, {"crf": {"iterations": 0}}
    # One step, unchanged, as in MCTformer: all patches are neighbours, so many steps would leave only their mean.
    attention = {"affinity": {"kind": "attention"}, "walk": {"beta": 1, "doublings": 0}}
    rows = {
        "maps": Row("maps above the threshold", without_walk | without_crf),
        "crf": Row("CRF", without_walk),
    }
    if experiment.localize.method.kind == "mmcst":
        rows["attention"] = Row("attention walk", attention | without_crf)
        rows["attention_crf"] = Row("attention walk, CRF", attention)
    if isinstance(experiment.refine.affinity, LearnedAffinity):
        rows["affinity"] = Row("affinity walk", without_crf)
        rows["affinity_crf"] = Row("affinity walk, CRF", {})
    if isinstance(experiment.refine.affinity, FeaturesAffinity):
        rows["features"] = Row("features walk", without_crf)
        rows["features_crf"] = Row("features walk, CRF", {})
    return rows | {name: Row(name, overrides) for name, overrides in experiment.compare.refiners.items()}


def all_refiners(experiment: Experiment) -> dict[str, RefineSettings]:
    """The settings of every row of `compare_refiners`, by name."""
    rows = refiner_rows(experiment)
    return {name: variant_settings(experiment.refine, row.overrides) for name, row in rows.items()}


def regions_name(affinity: LearnedAffinity) -> str:
    """Name of the sure regions that an affinity network learns from. Networks that can share them get the same name."""
    return _hash([affinity.sure_powers, affinity.sure_crf.model_dump(mode="json")])


def affinity_name(affinity: LearnedAffinity) -> str:
    """Name of a trained affinity network. Refiners that can share it get the same name."""
    return f"{affinity.backbone}-{_hash(affinity.model_dump(mode='json'))}"


def threshold_name(settings: RefineSettings) -> str | None:
    """Name of the file with a chosen threshold; None if the config gives a number or no threshold is used."""
    if settings.background == "power" or isinstance(settings.background_threshold, float):
        return None
    if settings.background_threshold == "oracle":
        return "oracle"
    return f"auto-{_hash(settings.auto.model_dump(mode='json'))}"


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
