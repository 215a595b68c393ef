"""Variants of the localizer that are trained side by side: the paper's ablations, and rivals from the config.

A variant is the experiment's own section `localize` with some settings replaced.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stages.settings import CnnBackbone, Experiment, LocalizeSettings, VitBackbone


@dataclass(frozen=True)
class Row:
    """A row of a table: its words, the settings of `localize` that make it, and the published mIoU on VOC train."""

    title: str
    overrides: Mapping[str, Any]
    published: float | None = None


def _row(title: str, tokens: str, representation: str, language: str, published: float) -> Row:
    overrides = {"tokens": tokens, "representation": representation, "language_context": language}
    return Row(title, overrides, published)


# Xu et al., CVPR 2023, the two ablations of maps on VOC train. The rows of global tokens have no language context:
# "global multi-modal" and "no context, no prior" are one figure there, 64.1.
ABLATIONS: Mapping[str, tuple[Row, ...]] = {
    "tokens": (
        _row("global visual tokens", "visual", "global", "none", 62.7),
        _row("global multi-modal", "multimodal", "global", "none", 64.1),
        _row("local multi-modal", "multimodal", "local", "image_contrastive", 63.3),
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


def variant_settings(own: LocalizeSettings, overrides: Mapping[str, Any]) -> LocalizeSettings:
    """The section `localize` with `overrides` in it. Raises pydantic's ValidationError for a setting that is wrong.

    Nested sections are merged, unless the override chooses another `kind`: that one stands alone.
    """
    return LocalizeSettings.model_validate(_merge(own.model_dump(mode="json"), overrides))


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
    """The rows of a table by the name of their variant, which names its folder. A comparison ends with the experiment's
    own localizer, under the name of its method."""
    if table == "compare_localizers":
        compared = {name: Row(name, overrides) for name, overrides in experiment.compare.localizers.items()}
        return compared | {experiment.localize.method: Row(experiment.localize.method, {})}
    ablation = ABLATIONS[table.removeprefix("ablation_")]
    return {"-".join(map(str, row.overrides.values())): row for row in ablation}


def all_variants(experiment: Experiment) -> dict[str, LocalizeSettings]:
    """Every variant of every table by name, with its settings."""
    rows = {name: row for table in TABLES for name, row in table_rows(experiment, table).items()}
    return {name: variant_settings(experiment.localize, row.overrides) for name, row in rows.items()}


def features_name(settings: LocalizeSettings) -> str | None:
    """Name of the frozen features that a training draws from, the same for all that can share them; None for none.

    The CNN's name and a hash of everything else that the features depend on.
    """
    backbone = settings.backbone
    if settings.method == "clip" or isinstance(backbone, VitBackbone) or not backbone.views:
        return None
    training = settings.training
    content = [backbone.strides, backbone.views, training.crop, training.crop_area]
    if isinstance(backbone, CnnBackbone) and backbone.output_stride != 32:
        content.append(backbone.output_stride)
    return f"{backbone.model}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]}"
