"""Which networks a plan loads and checks, for walks and for frozen features."""

import json
import shlex

from tests.plan.plans import DEMO, MSRC, plan_of


def test_attention_walks_depend_on_the_settings_of_maps_and_the_training_does_not() -> None:
    walk = {"affinity": {"kind": "attention"}}
    before, after = plan_of(MSRC, refine=walk), plan_of(MSRC, refine=walk, localize={"maps": {"size": 96}})
    options = [plan.refiners.walked_option(plan.refiners.own) for plan in (before, after)]
    assert options[0] != options[1]
    assert json.loads(shlex.split(options[1])[1])["maps"]["size"] == 96
    trainings = [plan.localizers.training_json(plan.experiment.localize) for plan in (before, after)]
    assert trainings[0] == trainings[1]
    learned = plan_of(MSRC, refine={"affinity": {"kind": "none"}})
    assert learned.refiners.walked_option(learned.refiners.own) == ""


def test_a_backbone_is_checked_for_the_localizer_that_asks_for_its_weights() -> None:
    other = {"kind": "cnn", "model": "densenet121"}
    own = {**MSRC["encode"]["weights"], "densenet121": "timm"}
    plan = plan_of(
        MSRC,
        encode={"weights": own},
        compare={"localizers": {"dense": {"method": {"kind": "cam"}, "backbone": other}}},
    )
    backbone = plan.experiment.localize.backbone
    assert json.loads(plan.localizers.backbones_json(backbone.model)) == [backbone.model_dump(mode="json")]
    (dense,) = json.loads(plan.localizers.backbones_json("densenet121"))
    assert dense["model"] == "densenet121"
    segmenters = plan.experiment.segment.network.backbone
    assert segmenters == backbone.model or plan.localizers.backbones_json(segmenters) == "[]"


PROXY = {"kind": "clip", "attention": "proxy", "proxy": {"model": "test_efficientnet", "strides": [16]}}
PROXY_MODEL = "test_efficientnet"
FEATURES = {"kind": "features", "model": "test_vit"}


def test_frozen_networks_are_inputs_and_are_checked_with_their_weights() -> None:
    weights = {"encode": {"weights": {**DEMO["encode"]["weights"], "test_efficientnet": "timm", "test_vit": "timm"}}}
    plan = plan_of(DEMO, **weights, localize={"method": PROXY}, refine={"affinity": FEATURES})
    files = {name: f"results/demo/encode/weights/{name}.safetensors" for name in ("test_efficientnet", "test_vit")}
    assert plan.localizers.own.training_inputs == {
        **{"weights": "results/demo/encode/image_tower.safetensors", "proxy": files["test_efficientnet"]}
    }
    refiner = plan.refiners.own
    assert refiner.inputs("val", "0")["affinity"] == files["test_vit"]
    assert (refiner.gpus, refiner.affinity, refiner.regions, plan.refiners.walked_option(refiner)) == (
        1,
        None,
        None,
        "",
    )
    assert json.loads(plan.refiners.masks_json(refiner))["affinity"]["model"] == "test_vit"
    assert plan.experiment.models >= set(files)
    assert set(plan.frozen_weights) >= set(files.values())
    (proxy,) = json.loads(plan.localizers.backbones_json("test_efficientnet"))
    assert proxy == {
        **{"kind": "frozen", "place": "localize.method.proxy"},
        **{"model": "test_efficientnet", "strides": [16]},
    }
    (walk,) = json.loads(plan.localizers.backbones_json("test_vit"))
    assert (walk["kind"], walk["place"], walk["strides"]) == ("frozen", "refine.affinity", None)
    assert [row.name for row in plan.tables["compare_refiners"].rows] == ["maps", "crf", "features", "features_crf"]


def test_frozen_networks_of_rows_are_checked_when_a_table_asks_for_them() -> None:
    weights = {"encode": {"weights": {**DEMO["encode"]["weights"], "test_efficientnet": "timm", "test_vit": "timm"}}}
    rows = {"localizers": {"proxy": {"method": PROXY}}, "refiners": {"dino": {"affinity": FEATURES}}}
    plan = plan_of(DEMO, **weights, compare=rows)
    assert not {"test_efficientnet", "test_vit"} & plan.experiment.models
    places = {name: json.loads(plan.localizers.backbones_json(name))[0]["place"] for name in ("test_vit", PROXY_MODEL)}
    assert places == {"test_vit": "refine.affinity", PROXY_MODEL: "localize.method.proxy"}
    row = next(row for row in plan.tables["compare_localizers"].rows if row.name == "proxy")
    assert len(row.seeds) == 1
    assert set(row.seeds[0].training_inputs) == {"weights", "proxy"}
