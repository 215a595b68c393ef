"""Settings that are refused, and in which words."""

import pytest

from stages.experiment import read_experiment
from tests.small_config import change, demo_config, message_of


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
