"""The rounds of the segmenter: what each learns from, where its files are, and which one is the experiment's own."""

import copy
import json

import pytest
import yaml

from stages.experiment import read_experiment, section_json
from stages.plan import Plan
from tests.workflow.tiny import REPOSITORY

CONFIG = yaml.safe_load((REPOSITORY / "tests/configs/tiny.yaml").read_text())
RESULTS = "results/tiny"


def plan_of(rounds: int, **changes: dict) -> Plan:
    config = copy.deepcopy(CONFIG)
    config["segment"]["rounds"] = rounds
    for section, values in changes.items():
        config.setdefault(section, {}).update(values)
    return Plan(read_experiment(config, source="test"))


def masks_of(plan: Plan, folder: str) -> list[str]:
    return plan.segmenters.training_masks(plan.segmenters.by_folder[folder])


def test_each_round_learns_from_what_the_one_before_makes_of_train() -> None:
    plan = plan_of(3)
    assert masks_of(plan, "pseudo_masks") == [f"{RESULTS}/refine/masks/train/{shard}" for shard in range(2)]
    assert masks_of(plan, "pseudo_masks-round2") == [
        f"{RESULTS}/segment/pseudo_masks/told/train/{shard}" for shard in range(2)
    ]
    assert masks_of(plan, "pseudo_masks-round3") == [
        f"{RESULTS}/segment/pseudo_masks-round2/told/train/{shard}" for shard in range(2)
    ]
    assert masks_of(plan, "true_masks") == []
    assert "true_masks-round2" not in plan.segmenters.by_folder


def test_other_seeds_have_rounds_of_their_own() -> None:
    plan = plan_of(2, compare={"segmenter_seeds": [7]})
    (first, _) = masks_of(plan, "variants/pseudo_masks-round2-7")
    assert first == f"{RESULTS}/segment/variants/pseudo_masks-7/told/train/0"
    assert plan.segmenters.by_folder["variants/pseudo_masks-round2-7"].seed == 7


def test_the_last_round_is_the_experiments_own() -> None:
    plan = plan_of(2)
    own = plan.segmenters.own
    assert (own.folder, own.round) == ("pseudo_masks-round2", 2)
    assert own.path in plan.final
    # Made again if deleted, though only the training reads them.
    assert f"{RESULTS}/segment/pseudo_masks/told/train/0" in plan.final
    assert plan.scored_masks("", "segmenter", "val").masks[0].startswith(f"{RESULTS}/segment/pseudo_masks-round2/")
    assert plan.scored_masks("", "segmenter", "val").round == "--round 2"
    assert plan.doubts.inputs("val", "0")["predictions"] == f"{RESULTS}/segment/pseudo_masks-round2/compared/val/0"
    assert any("pseudo_masks-round2/predictions/val" in path for path in plan.panels)
    bound = plan.scored_masks("", "upper_bound", "val")
    assert (bound.masks[0], bound.round) == (f"{RESULTS}/segment/true_masks/predictions/val/0", "")


@pytest.mark.parametrize("band", [None, [0.3, 0.5]])
def test_mended_masks_take_the_place_of_those_of_every_round(tmp_path, band: list[float] | None) -> None:
    plan = plan_of(3, refine={"mended": str(tmp_path), "ignore_band": band})
    assert masks_of(plan, "pseudo_masks")[0] == f"{RESULTS}/refine/with_mended/learned/0"
    assert masks_of(plan, "pseudo_masks-round3")[1] == f"{RESULTS}/segment/pseudo_masks-round3/with_mended/1"
    third = plan.segmenters.by_folder["pseudo_masks-round3"]
    assert plan.segmenters.relabelled(third, "1") == f"{RESULTS}/segment/pseudo_masks-round2/told/train/1"


def test_the_ignore_band_is_of_pseudo_masks_alone() -> None:
    """It is where two thresholds of the maps disagree; predictions have none."""
    plan = plan_of(2, refine={"ignore_band": [0.3, 0.5]})
    assert masks_of(plan, "pseudo_masks")[0] == f"{RESULTS}/refine/banded/0"
    assert masks_of(plan, "pseudo_masks-round2")[0] == f"{RESULTS}/segment/pseudo_masks/told/train/0"


def test_the_table_has_a_row_for_each_round_and_one_bound() -> None:
    plan = plan_of(2, compare={"segmenter_seeds": [3, 4]}, evaluate={"segmenter": ["val"]})
    # 3 is the experiment's own seed, and round 2 its own round.
    assert [path.removeprefix(f"{RESULTS}/evaluate/") for path in plan.segmenters.scores()] == [
        "pseudo_masks-train.json",
        *("segmenters/3/told_segmenter-train.json", "segmenters/3/segmenter-val.json"),
        *("told_segmenter-train.json", "segmenter-val.json", "upper_bound-val.json"),
        *("segmenters/4/told_segmenter-train.json", "segmenters/4/segmenter-val.json"),
        *("segmenters/4-round2/told_segmenter-train.json", "segmenters/4-round2/segmenter-val.json"),
        "segmenters/4/upper_bound-val.json",
    ]
    for folder, seed, number in (("segmenters/3/", 3, ""), ("segmenters/4-round2/", 4, "--round 2")):
        scored = plan.scored_masks(folder, "told_segmenter", "train")
        assert (scored.seed, scored.round) == (seed, number)
    assert plan.scored_masks("segmenters/4/", "upper_bound", "val").masks[0].endswith("true_masks-4/predictions/val/0")


def test_a_round_may_be_compared_and_not_be_the_own_one() -> None:
    plan = plan_of(1, compare={"segmenter_seeds": [3], "segmenter_rounds": [1, 2]})
    assert plan.segmenters.own.folder == "pseudo_masks"
    assert f"{RESULTS}/evaluate/segmenters/3-round2/segmenter-val.json" in plan.segmenters.scores()
    assert f"{RESULTS}/evaluate/segmenter-val.json" in plan.segmenters.scores()


def test_a_table_of_the_third_round_alone_knows_those_before() -> None:
    plan = plan_of(1, compare={"segmenter_seeds": [3], "segmenter_rounds": [3]})
    assert {"pseudo_masks", "pseudo_masks-round2", "pseudo_masks-round3"} <= set(plan.segmenters.by_folder)
    assert not any("segmenters/3-round2/" in path for path in plan.segmenters.scores())


def test_one_round_is_as_before() -> None:
    """Nothing is trained again by who never heard of rounds: the same folders, and the same JSON for the training."""
    plan = plan_of(1)
    assert set(plan.segmenters.by_folder) == {
        *("pseudo_masks", "true_masks"),
        *(f"variants/{name}-{seed}" for name in ("pseudo_masks", "true_masks") for seed in (0, 1, 2)),
    }
    training = section_json(plan.experiment, "segment", without=["network", "inference", "predict", "rounds"])
    assert list(json.loads(training)) == ["training"]
    assert plan.scored_masks("", "segmenter", "val").round == ""
