"""Which masks a segmenter learns from: mended ones, and those with ignored pixels."""

import json

import pytest

from stages.errors import SettingsError
from stages.experiment import check_variants, read_experiment
from stages.plan import Plan
from tests.plan.plans import DEMO, plan_of


def test_mended_masks_are_learned_and_scored_in_the_place_of_trains(demo: Plan) -> None:
    plan = plan_of(DEMO, refine={**DEMO["refine"], "mended": "to mend"})
    own = plan.segmenters.own
    assert plan.segmenters.training_masks(own) == ["results/demo/refine/with_mended/learned/0"]
    assert plan.segmenters.training_masks(plan.segmenters.of("true_masks", 0)) == []
    train, val = (plan.scored_masks("", "pseudo_masks", split) for split in ("train", "val"))
    assert train.masks == ["results/demo/refine/with_mended/scored/0"]
    assert train.inputs["mended"] == "results/demo/refine/mended.csv"
    assert val.masks == demo.scored_masks("", "pseudo_masks", "val").masks
    assert "mended" not in val.inputs
    both = plan.scored_masks("", "pseudo_masks", "train+val")
    assert both.masks == [*train.masks, *val.masks]
    # Rows of tables are the method's.
    name = next(name for name in plan.refiners.by_folder if name != "masks")
    row = plan.scored_masks(f"refiners/{name.removeprefix('variants/')}/", "pseudo_masks", "train")
    assert row.masks == [f"results/demo/refine/{name}/train/0"]
    assert "mended" not in row.inputs


def test_what_makes_masks_knows_of_no_mended_ones(demo: Plan) -> None:
    plan = plan_of(DEMO, refine={**DEMO["refine"], "mended": "to mend"})
    for name, refiner in plan.refiners.by_folder.items():
        assert plan.refiners.masks_json(refiner) == demo.refiners.masks_json(demo.refiners.by_folder[name])
        assert plan.refiners.affinity_json(refiner) == demo.refiners.affinity_json(demo.refiners.by_folder[name])
    assert "mended" not in demo.experiment.model_dump_json()
    assert json.loads(plan.mended.settings_json) == {"mended": "to mend"}


@pytest.mark.parametrize("ignored", [{"ignore_below": 0.95}, {"ignore_band": [0.2, 0.5]}])
def test_the_segmenter_alone_learns_from_masks_with_ignored_pixels(demo: Plan, ignored: dict) -> None:
    plan = plan_of(DEMO, refine={**DEMO["refine"], **ignored})
    assert plan.segmenters.training_masks(plan.segmenters.own) == ["results/demo/refine/banded/0"]
    assert plan.scored_masks("", "pseudo_masks", "train").masks == ["results/demo/refine/masks/train/0"]
    mended = plan_of(DEMO, refine={**DEMO["refine"], **ignored, "mended": "to mend"}).mended
    assert mended.made("learned", "0") == "results/demo/refine/banded/0"
    assert mended.made("scored", "0") == "results/demo/refine/masks/train/0"


def test_a_lowest_probability_changes_the_training_masks_and_nothing_else(demo: Plan) -> None:
    plan = plan_of(DEMO, refine={**DEMO["refine"], "ignore_below": 0.95})
    before, own = demo.refiners, plan.refiners
    assert before.banded_json(before.own) == before.masks_json(before.own) == own.masks_json(own.own)
    assert json.loads(own.banded_json(own.own)) == json.loads(own.masks_json(own.own)) | {"ignore_below": 0.95}
    for describe in ("regions_json", "affinity_json", "threshold_json"):
        assert getattr(before, describe)(before.own) == getattr(own, describe)(own.own)
    assert "ignore_below" not in demo.experiment.model_dump_json()


def test_rows_of_refiners_cannot_be_mended() -> None:
    compare = {**DEMO["compare"], "refiners": {"by_hand": {"mended": "x"}}}
    experiment = read_experiment({**DEMO, "compare": compare}, source="test")
    with pytest.raises(SettingsError, match="compare.refiners.by_hand.mended: rows are compared as they are made"):
        check_variants(experiment, source="test")
