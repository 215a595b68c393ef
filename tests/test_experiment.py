"""Configs as experiments: what is refused, and in which words."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmseg.datasets import COCOStuffDataset

from stages.errors import SettingsError
from stages.experiment import check_variants, read_experiment, section_json
from stages.settings import (
    DataSettings,
    EncodeSettings,
    LearnedAffinity,
    LocalizerTraining,
    LocalizeSettings,
    PretrainedClip,
    VitBackbone,
)
from stages.variants import all_variants

CONFIGS = sorted(Path(__file__).parents[1].glob("configs/*.yaml"))


def demo_config() -> dict[str, Any]:
    return {
        "experiment": "few",
        "data": {"format": "demo", "classes": ["cat", "dog"]},
        "encode": {"weights": {"resnet18": "timm"}},
        "localize": {"backbone": {"kind": "hybrid", "model": "resnet18"}},
        "segment": {"network": {"backbone": "resnet18"}},
    }


def change(config: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The config with one more setting, `path` dotted."""
    *parents, last = path.split(".")
    branch = config
    for parent in parents:
        branch = branch.setdefault(parent, {})
    branch[last] = value
    return config


def message_of(config: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        read_experiment(config, source="few.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_an_experiment(path: Path) -> None:
    experiment = read_experiment(yaml.safe_load(path.read_text()), source=path.name)
    assert experiment.experiment == path.stem


def test_the_configs_are_found() -> None:
    assert {"demo", "voc12", "coco14", "openimages30k", "custom"} <= {path.stem for path in CONFIGS}


def test_voc12_has_the_classes_of_voc_in_mask_order() -> None:
    voc = yaml.safe_load((Path(__file__).parents[1] / "configs/voc12.yaml").read_text())
    assert len(voc["data"]["classes"]) == 20
    assert voc["data"]["classes"] == sorted(voc["data"]["classes"])  # VOC's order is the alphabet's
    assert set(voc["encode"]["synonyms"]) <= set(voc["data"]["classes"])


def test_coco14_has_the_things_of_coco_in_mask_order() -> None:
    coco = yaml.safe_load((Path(__file__).parents[1] / "configs/coco14.yaml").read_text())
    assert tuple(coco["data"]["classes"]) == COCOStuffDataset.METAINFO["classes"][:80]  # mmsegmentation's list


def test_openimages30k_has_a_hundred_classes_in_the_order_of_their_ids() -> None:
    """The benchmark numbers classes by the alphabet of their Open Images ids, which the config gives as comments."""
    text = (Path(__file__).parents[1] / "configs/openimages30k.yaml").read_text()
    identifiers = re.findall(r"^    - .+ # (/m/\S+)$", text, re.MULTILINE)
    assert len(yaml.safe_load(text)["data"]["classes"]) == len(identifiers) == 100
    assert identifiers == sorted(identifiers)


@pytest.mark.parametrize("name", ["voc12", "coco14", "openimages30k"])
def test_full_configs_have_the_encoders_and_the_training_of_the_paper(name: str) -> None:
    path = Path(__file__).parents[1] / f"configs/{name}.yaml"
    experiment = read_experiment(yaml.safe_load(path.read_text()), source=path.name)
    assert experiment.encode.clip == PretrainedClip(model="ViT-B-16", pretrained="openai")
    assert experiment.localize.backbone == VitBackbone(model="vit_base_patch16_224.dino", drop_path=0.1)
    assert (experiment.localize.method.kind, experiment.localize.method.context.attention) == ("mmcst", "map")
    assert experiment.localize.method.language_context == "image_contrastive"
    training = experiment.localize.training
    # MCTformer's public code (main.py and datasets.py): timm's defaults of DeiT, rate 5e-4 for a batch of 512.
    assert training == LocalizerTraining(
        **{"crop": 224, "crop_area": (0.08, 1.0), "interpolation": "bicubic", "randaugment": 9, "erasing": 0.25},
        **{"epochs": 60, "warmup_epochs": 5, "batch_size": 64, "learning_rate": 5e-4 * 64 / 512, "final_rate": 1e-5},
        **{"weight_decay": 0.05, "gradient_clip": None, "workers": training.workers},
    )
    maps = experiment.localize.maps
    assert (maps.attention_blocks, maps.affinity_blocks) == (3, None)
    assert maps.class_attention
    assert maps.patch_affinity
    head = path.read_text().split("\nexperiment:")[0]
    assert "not measured" in head
    assert "Not yet reproduced here." in head


@pytest.mark.parametrize(("name", "images"), [("voc12", 10_582), ("coco14", 82_081)])
def test_full_configs_refine_and_segment_as_mctformers_code_does(name: str, images: int) -> None:
    path = Path(__file__).parents[1] / f"configs/{name}.yaml"
    experiment = read_experiment(yaml.safe_load(path.read_text()), source=path.name)
    assert experiment.data.expected["train"] == images
    affinity = experiment.refine.affinity
    assert isinstance(affinity, LearnedAffinity)
    assert (affinity.backbone, affinity.sure_powers) == ("resnet38", (1, 12))
    rates = (affinity.training.learning_rate, affinity.training.backbone_rate, affinity.training.epochs)
    assert rates == (0.1, 0.1, 5)
    assert (experiment.refine.walk.beta, experiment.refine.walk.doublings) == (8, 6)
    assert experiment.refine.crf.iterations == 0
    segment, network, inference = experiment.segment.training, experiment.segment.network, experiment.segment.inference
    assert (network.model, network.backbone, segment.crop) == ("deeplabv1_mctformer", "resnet38", 321)
    assert (segment.optimizer, segment.momentum, segment.weight_decay) == ("sgd", 0, 0)
    assert (segment.learning_rate, segment.learning_rate * segment.backbone_rate) == (7e-3, pytest.approx(7e-4))
    assert segment.iterations == 30 * (images // segment.batch_size)
    assert (inference.fusion, inference.flip, len(inference.scales)) == ("max", False, 5)
    crf = inference.crf
    assert crf is not None
    assert (crf.bilateral_position, crf.bilateral_colour, crf.bilateral_weight) == (83, 5, 3)
    assert (crf.gaussian_position, crf.gaussian_weight, crf.iterations) == (4, 3, 10)


def test_voc12_has_both_of_mctformers_localizers_as_its_code_trains_them() -> None:
    path = Path(__file__).parents[1] / "configs/voc12.yaml"
    experiment = read_experiment(yaml.safe_load(path.read_text()), source=path.name)
    v2, plus = (all_variants(experiment)[f"mctformer_{version}"] for version in ("v2", "plus"))
    assert v2.training == experiment.localize.training
    assert (plus.training.crop, plus.training.batch_size, plus.training.epochs) == (448, 32, 45)
    assert plus.training.learning_rate == pytest.approx(5e-4 * 32 / 512)
    assert (v2.maps.attention_blocks, plus.maps.attention_blocks) == (3, None)
    assert all(isinstance(own.backbone, VitBackbone) and own.backbone.drop_path == 0.1 for own in (v2, plus))


@pytest.mark.parametrize(
    ("wrong", "suggested"),
    [
        ("refine.crf.iteratoins", "refine.crf.iterations"),  # two letters swapped
        ("refine.iterations", "refine.crf.iterations"),  # right name, wrong section
        ("localize.backbone.head", "localize.backbone.heads"),  # in the section that `kind` chooses
        ("lokalize", "localize"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_right_one(wrong: str, suggested: str) -> None:
    message = message_of(change(demo_config(), wrong, 3))
    assert message == f"few.yaml: {wrong}: no such setting (given: 3); did you mean `{suggested}`?"


def test_a_setting_like_no_other_is_answered_with_the_section() -> None:
    message = message_of(change(demo_config(), "report.xyzzy", 3))
    assert message == "few.yaml: report.xyzzy: no such setting (given: 3); settings of `report`: panels"


def test_one_line_for_each_wrong_value() -> None:
    config = change(change(demo_config(), "localize.training.epochs", "many"), "refine.background_threshold", 1.5)
    lines = message_of(config).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("few.yaml: localize.training.epochs: ")
    assert lines[0].endswith("(given: 'many')")
    cure = "must be a number above 0 and up to 1, `auto` or `oracle` (given: 1.5)"
    assert lines[1] == f"few.yaml: refine.background_threshold: {cure}"


def test_the_kind_of_a_section_is_checked() -> None:
    assert message_of(change(demo_config(), "localize.backbone.kind", "hybird")) == (
        "few.yaml: localize.backbone.kind: must be one of 'vit', 'hybrid', 'cnn' (given: 'hybird')"
    )
    config = demo_config()
    del config["localize"]["backbone"]["kind"]
    assert message_of(config).startswith("few.yaml: localize.backbone.kind: must be given")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("encode.clip", {"kind": "towers", "pretrained": "x"},
         ".pretrained: no such setting (given: 'x'); it is a setting of `encode.clip.kind` `pretrained`; remove it, or"
         " change `kind`"),
        ("localize.backbone.image_size", 64,
         ": no such setting (given: 64); it is a setting of `localize.backbone.kind` `vit`; remove it, or"
         " change `kind`"),
        ("localize.splits", [], ": must be [train] or [train, val] (given: [])"),
        ("localize.splits", ["val"], ": must be [train] or [train, val] (given: ['val'])"),
        ("refine.crf", "none", ": no CRF preset with this name; choose one of psa, deeplab, irn, mctformer; for no CRF,"
         " write {iterations: 0} (given: 'none')"),
        ("refine.affinity", "none", ": holds settings by name (given: 'none'); write `affinity: {kind: none}`"),
        ("segment.training.loss", "bootstrapped",
         ": holds settings by name (given: 'bootstrapped'); write `loss: {kind: bootstrapped}`"),
        ("encode.clip", "ViT-B-16",
         ": must be settings by name, of which `kind` is one of pretrained, towers (given: 'ViT-B-16')"),
        ("localize", None, ": is empty; write its settings below it, or remove the line"),
        ("segment.training", None, ": is empty; write its settings below it, or remove the line"),
        ("segment.predict", None, ": is empty; give a value, or remove the line"),
        ("segment.predict", "val", ": must be a list; write [val] (given: 'val')"),
        ("data.demo", [], ": must be settings by name (given: [])"),
        ("data.demo.sides", [1, 2, 3], ": lists too many, at most 2 (given: [1, 2, 3])"),
        ("seed", 1.5, ": must be a whole number (given: 1.5)"),
        ("seed", True, ": must be a number, not true or false (given: True)"),
        ("localize.maps.flip", "yes", ": must be true or false (given: 'yes')"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_told_in_the_words_of_a_config(path: str, value: object, message: str) -> None:
    assert message_of(change(demo_config(), path, value)) == f"few.yaml: {path}{message}"


def test_what_must_be_given() -> None:
    config = demo_config()
    del config["data"]["classes"]
    assert message_of(config) == "few.yaml: data.classes: must be given"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("data.classes", ["cat", "cat"], "duplicated in `classes`"),
        ("data.format", "voc", "needs `root`"),
        ("segment.network.backbone", "resnet50", "encode.weights has no entry for resnet50"),
        ("encode.synonyms.bird", ["bird"], "synonyms names bird"),
        ("segment.training.class_weights", {"dog": 2, "doog": 1}, "class_weights names doog"),
        ("segment.training.warmup_iterations", 20000, "warmup_iterations: 20000 must be below"),
        ("evaluate.segmenter", ["train"], "segment.predict leaves out"),
    ],
)
def test_settings_that_do_not_fit_each_other(path: str, value: object, words: str) -> None:
    assert words in message_of(change(demo_config(), path, value))


@pytest.mark.parametrize("data", [{"format": "demo"}, {"format": "folder", "root": "photos"}])
def test_packaged_towers_are_for_any_data(data: dict[str, str]) -> None:
    config = change(demo_config(), "encode.clip", {"kind": "towers", "image_tower": "resnet18"})
    config["data"] |= data
    assert read_experiment(config, source="few.yaml").encode.clip.learns_from == ("cutouts", "images")
    config["encode"]["clip"]["learns_from"] = ["images", "images"]
    assert "encode.clip: learns_from lists a source twice (images, images)" in message_of(config)


def test_a_localizer_that_is_compared_learns_from_the_same_images() -> None:
    config = demo_config() | {"compare": {"localizers": {"wider": {"splits": ["train", "val"]}}}}
    experiment = read_experiment(config, source="few.yaml")
    with pytest.raises(SettingsError, match="compare.localizers.wider.splits: all localizers learn from the same"):
        check_variants(experiment, source="few.yaml")


def test_splits_that_are_scored_together() -> None:
    config = demo_config() | {"evaluate": {"maps": ["train", "train+val"]}, "compare": {"split": "train+val"}}
    assert read_experiment(config, source="few.yaml").compare.split == "train+val"
    assert "compare.split" in message_of(config | {"compare": {"split": "val+train"}})
    config["evaluate"]["train_list"] = "train.txt"
    assert "evaluate.train_list applies to train alone" in message_of(config)


def test_a_section_as_json_is_read_back_as_it_was() -> None:
    experiment = read_experiment(demo_config(), source="few.yaml")
    assert LocalizeSettings.model_validate_json(section_json(experiment, "localize")) == experiment.localize


def test_without_leaves_the_default() -> None:
    experiment = read_experiment(change(demo_config(), "localize.maps.scales", [0.5, 2.0]), source="few.yaml")
    text = section_json(experiment, "localize", without=["maps", "training.crop"])
    assert "maps" not in json.loads(text)
    assert LocalizeSettings.model_validate_json(text).maps.scales == (1.0,)
    assert "crop" not in json.loads(text)["training"]


def test_only_keeps_what_has_no_default() -> None:
    experiment = read_experiment(change(demo_config(), "data.demo.train", 7), source="few.yaml")
    values = json.loads(section_json(experiment, "data", only=["demo.cache"]))
    assert set(values) == {"format", "classes", "demo"}
    assert set(values["demo"]) == {"cache"}
    assert DataSettings.model_validate(values).demo.train == DataSettings.model_fields["demo"].default.train


def test_only_follows_names_with_dots_whole() -> None:
    config = change(demo_config(), "encode.weights", {"resnet18": "timm", "vit_b.dino": "timm"})
    text = section_json(read_experiment(config, source="few.yaml"), "encode", only=["weights"])
    assert EncodeSettings.model_validate_json(text).weights == {"resnet18": "timm", "vit_b.dino": "timm"}


def test_attention_of_another_localizer_is_refused() -> None:
    config = change(
        change(demo_config(), "refine.affinity", {"kind": "attention"}), "localize.method", {"kind": "ts_cam"}
    )
    assert "refine.affinity.kind `attention` needs localize.method.kind `mmcst`, not 'ts_cam'" in message_of(config)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"walk": {"bta": 3}}, "x.walk.bta: no such setting (given: 3); did you mean `compare.refiners.x.walk.beta`?"),
        (
            {"crf": "psaa"},
            "x.crf: no CRF preset with this name; choose one of psa, deeplab, irn, mctformer (given: 'psaa')",
        ),
        ({"affinity": {"kind": "learned"}}, "x: encode.weights has no entry for resnet38"),
    ],
)
def test_a_wrong_refiner_of_the_table_is_named(overrides: dict[str, Any], message: str) -> None:
    experiment = read_experiment(change(demo_config(), "compare.refiners", {"x": overrides}), source="few.yaml")
    with pytest.raises(SettingsError) as caught:
        check_variants(experiment, source="few.yaml")
    assert str(caught.value) == f"few.yaml: compare.refiners.{message}"


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("segment", {"predict": ["test"]}, "segment.predict leaves out val, which the report shows"),
        ("evaluate", {"localization": ["val"]}, "evaluate.localization needs data.format `openimages`, not 'demo'"),
    ],
)
def test_splits_that_a_run_could_not_use_are_refused(section: str, changes: dict, message: str) -> None:
    config = yaml.safe_load((Path(__file__).parents[1] / "configs/demo.yaml").read_text())
    config["evaluate"] = {**config.get("evaluate", {}), "segmenter": ["test"]}
    config[section] |= changes
    with pytest.raises(SettingsError, match=re.escape(message)):
        read_experiment(config, source="changed.yaml")


def test_the_threshold_of_localization_is_chosen_on_val() -> None:
    config = yaml.safe_load((Path(__file__).parents[1] / "configs/openimages30k.yaml").read_text())
    for splits in (["test"], ["train", "val"]):
        config["evaluate"]["localization"] = splits
        with pytest.raises(
            SettingsError, match="evaluate.localization must include val, where the threshold is chosen"
        ):
            read_experiment(config, source="changed.yaml")


NO_PLACE = "needs exactly one place {} for the class's name"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        *[("encode.templates", [wrong], NO_PLACE) for wrong in ("a photo", "a {c}", "a {0}", "{} or {}", "", "{ }")],
        *[
            ("encode.templates", [wrong], "may only be its one place {}")
            for wrong in ("a {} {", "{{}}", "}{}", "{} {c}")
        ],
        ("encode.templates", [], "lists too few, at least 1"),
        ("encode.synonyms", {"cat": []}, "encode.synonyms.cat: lists too few, at least 1"),
        ("encode.synonyms", {"cat": ["puss", " "]}, "encode.synonyms.cat.1: must not be empty or blank"),
        ("localize.maps.scales", [], "localize.maps.scales: lists too few"),
        ("localize.maps.scales", [1.0, float("inf")], "localize.maps.scales.1: must be a finite number"),
        ("localize.backbone.strides", [], "localize.backbone.strides: lists too few"),
        ("localize.training.learning_rate", float("inf"), "must be a finite number (given: inf)"),
        ("localize.training.weight_decay", float("nan"), "must be a finite number (given: nan)"),
        ("refine.background_threshold", float("nan"), "must be a number above 0 and up to 1"),
        ("refine.crf", {"gaussian_weight": float("inf")}, "refine.crf.gaussian_weight: must be a finite number"),
        ("segment.training.class_weights", {"cat": float("inf")}, "must be a finite number"),
        ("localize.training.crop_area", [1.0, 0.5], "crop_area: the first number must not be above the second"),
        ("segment.training.scales", [2.0, 0.5], "segment.training.scales: the first number must not be above"),
        (
            "data.demo.sides",
            [320, 240],
            "the first number must not be above the second; write [240, 320]",
        ),
        ("data.demo.object_sizes", [0.75, 0.35], "data.demo.object_sizes: the first number must not be above"),
        (
            "refine.affinity",
            {"kind": "learned", "backbone": "resnet18", "sure_powers": [24, 4]},
            "sure_powers: the first",
        ),
        ("refine.ignore_band", [0.6, 0.2], "must be increasing"),
        ("refine.crf.gaussian_weight", 1e300, "less than or equal to 1000000"),
        ("refine.crf.bilateral_weight", 1e39, "less than or equal to 1000000"),
        ("segment.inference.crf", {"bilateral_position": 1e-300}, "greater than or equal to 0.001"),
        ("localize.method", {"kind": "mmcst", "temperature": 1e-320}, "localize.method.temperature: "),
        ("localize.method", {"kind": "mmcst", "context": {"power": 1e308}}, "localize.method.context.power: "),
        ("localize.training.learning_rate", 1e300, "less than or equal to 1000000"),
        ("refine.background_power", 1e308, "less than or equal to 1000"),
        ("localize.maps.scales", [1e-300], "localize.maps.scales.0: "),
        ("segment.inference.scales", [1e6], "segment.inference.scales.0: "),
        ("localize.training.batch_size", 10**30, "localize.training.batch_size: "),
        ("localize.backbone", {"kind": "hybrid", "width": 32, "heads": 5}, "width: 32 cannot be divided among 5 heads"),
        (
            "localize.backbone",
            {"kind": "hybrid", "width": 30},
            "width: 30 is not a multiple of 4, as sines and cosines",
        ),
        ("localize.backbone", {"kind": "hybrid", "width": 33, "heads": 3}, "need; set 36"),
        (
            "localize.backbone",
            {"kind": "vit", "image_size": 8},
            "image_size: 8 is below the side of a patch",
        ),
        *[(f"compare.{table}", [1, 2, 1], "lists 1 twice; list it once") for table in ("seeds", "refiner_seeds")],
        ("evaluate.maps", ["val", "val"], "lists val twice"),
        ("segment.predict", ["val", "val", "test"], "lists val twice"),
        ("localize.training.crop", 1, "localize.training.crop: "),
        ("segment.training.crop", 1, "segment.training.crop: "),
        ("encode.weights.resnet18", "", "encode.weights.resnet18: must not be empty"),
        ("encode.synonyms", {"cat": ["\u200b"]}, "encode.synonyms.cat.0: must not be empty or blank"),
        ("data.folder", {"val": 0.6, "test": 0.6}, "val (0.6) and test (0.6) leave no image for train"),
        *[
            ("data.classes", ["cat", "caf\xe9 bar", other], "differ only in case, spaces or Unicode form")
            for other in ("Cat", "cafe\u0301 bar", "caf\xe9  bar", "CAF\xc9 bar")
        ],
        *[
            ("data.classes", ["cat", other], "contains a tab or an invisible character")
            for other in ("a\tb", "ca\u200bt", "a\x00b", "ca\xadt")
        ],
        ("store", "a{b}", "store: contains a brace"),
        ("seed", 99999999999999999999999, "seed: Input should be less than or equal to 4294967295"),
        ("seed", 2**32, "seed: Input should be less than or equal to 4294967295"),
        ("compare.seeds", [0, -1], "compare.seeds.1: Input should be greater than or equal to 0"),
        ("compare.refiner_seeds", [2**32], "compare.refiner_seeds.0: Input should be less than or equal to"),
    ],
)
def test_what_would_make_nonsense_later_is_refused_in_one_line(path: str, value: object, words: str) -> None:
    message = message_of(change(demo_config(), path, value))
    assert words in message
    assert message.count("\n") == 0


def test_names_of_classes_in_any_script_are_right() -> None:
    classes = ["\u0645\u06cc\u200c\u0631\u0648\u062f", "\u732b", "stra\xdfe", "strasze", "cat 2", "cat \xb2"]
    config = change(demo_config(), "data.classes", classes)
    assert read_experiment(config, source="few.yaml").data.classes == tuple(classes)


def test_the_largest_seed_is_right() -> None:
    assert read_experiment(demo_config() | {"seed": 2**32 - 1}, source="few.yaml").seed == 2**32 - 1


def test_ranges_of_one_value_and_names_with_braces_are_right() -> None:
    config = change(demo_config(), "segment.training.scales", [1, 1])
    config["data"]["classes"] = ["cat {wild}", "dog"]
    experiment = read_experiment(change(config, "encode.synonyms", {"cat {wild}": ["{0}"]}), source="few.yaml")
    assert experiment.encode.synonyms == {"cat {wild}": ("{0}",)}
