"""Variants of the localizer: what a row of a table changes, and what variants share."""

import pytest
import yaml
from pydantic import ValidationError

from stages.errors import SettingsError
from stages.experiment import check_variants, read_experiment
from stages.report.published import MAPS
from stages.settings import CamSettings, Experiment, HybridBackbone, LocalizeSettings, MmcstSettings
from stages.variants import (
    ABLATIONS,
    TABLES,
    all_variants,
    features_name,
    features_settings,
    map_features_settings,
    table_rows,
    variant_settings,
)
from tests.workflow.tiny import REPOSITORY


@pytest.fixture
def demo() -> Experiment:
    return read_experiment(yaml.safe_load((REPOSITORY / "configs/demo.yaml").read_text()), source="demo")


OWN = LocalizeSettings(backbone=HybridBackbone(kind="hybrid", blocks=2), method=MmcstSettings(pooling_decay=0.9))
CNN = {"kind": "cnn", "model": "resnet50"}


def test_sections_are_merged_below_the_surface() -> None:
    changed = variant_settings(OWN, {"training": {"epochs": 3}, "backbone": {"blocks": 1}})
    assert changed.training.epochs == 3
    assert changed.training.crop == OWN.training.crop
    assert changed.backbone == HybridBackbone(kind="hybrid", blocks=1)
    assert changed.method == MmcstSettings(pooling_decay=0.9)


def test_another_kind_stands_alone() -> None:
    changed = variant_settings(OWN, {"method": {"kind": "cam"}, "backbone": CNN})
    assert changed == LocalizeSettings(method=CamSettings(kind="cam"), backbone=CNN)


def test_a_wrong_setting_of_a_variant_is_refused() -> None:
    with pytest.raises(ValidationError, match="epoch"):
        variant_settings(OWN, {"training": {"epoch": 3}})


def test_the_ablations_end_with_the_paper_itself(demo: Experiment) -> None:
    for rows in ABLATIONS.values():
        assert rows[-1].published == float(MAPS.rows[-1][2])
    for table in TABLES:
        last = list(table_rows(demo, table).values())[-1]
        assert variant_settings(demo.localize, last.overrides) == demo.localize


def test_every_row_has_a_variant_of_its_own_settings(demo: Experiment) -> None:
    variants = all_variants(demo)
    assert len({settings.model_dump_json() for settings in variants.values()}) == len(variants) - 1  # own, twice named
    assert variants["visual-global-none"].method.tokens == "visual"
    assert variants["multimodal-global_local-caption_l1"].method.language_source == "caption"


def test_trainings_share_frozen_features_that_are_the_same(demo: Experiment) -> None:
    def name(changes: dict) -> str | None:
        return features_name(features_settings(variant_settings(demo.localize, changes)))

    own = name({})
    assert own
    assert own.startswith("tf_efficientnet_lite0-")
    rivals = all_variants(demo)
    assert {features_name(features_settings(rivals[rival])) for rival in ("cam", "ts_cam")} == {own}
    # What is above the frozen CNN doesn't count.
    assert name({"backbone": {"width": 96, "dropout": 0.1}, "training": {"epochs": 2}, "maps": {"size": 64}}) == own
    assert name({"training": {"crop": 128}}) != own
    assert name({"backbone": {"views": 0}}) is None
    assert features_settings(LocalizeSettings()) is None


def test_maps_share_frozen_features_that_are_the_same(demo: Experiment) -> None:
    def name(changes: dict) -> str | None:
        return features_name(map_features_settings(variant_settings(demo.localize, changes)))

    rivals = all_variants(demo)
    assert {features_name(map_features_settings(rivals[rival])) for rival in ("cam", "ts_cam")} == {name({})}
    assert name({"backbone": {"width": 96, "views": 9}, "training": {"crop": 128}}) == name({})
    assert name({"maps": {"size": 64}}) != name({})
    assert name({"backbone": {"views": 0}}) is None


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("fast", {"training": {"epoch": 3}}, r"x: compare.localizers.fast.training.epoch: no such setting"),
        ("fast", {"method": {"kind": "cam"}}, r"compare.localizers.fast: method 'cam' needs backbone.kind `cnn`"),
        ("mmcst", {}, "this is the name of the experiment's own localizer"),
        (
            "r50",
            {"method": {"kind": "cam"}, "backbone": CNN},
            "encode.weights has no entry for resnet50",
        ),
        (
            "proxy",
            {"method": {"kind": "clip", "attention": "proxy"}},
            r"localizers.proxy.method.proxy: encode.weights has no entry for vit_base_patch8_224.dino; add it",
        ),
    ],
)
def test_wrong_localizers_of_a_comparison_are_named(demo: Experiment, name: str, overrides: dict, message: str) -> None:
    compare = demo.compare.model_copy(update={"localizers": {name: overrides}})
    with pytest.raises(SettingsError, match=message):
        check_variants(demo.model_copy(update={"compare": compare}), source="x")
