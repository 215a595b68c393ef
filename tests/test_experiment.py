"""Configs as experiments: what is refused, and in which words."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmseg.datasets import COCOStuffDataset

from benchmarks.full_run.overrides import leaves
from stages.errors import SettingsError
from stages.experiment import check_variants, read_config, read_experiment, section_json
from stages.settings import (
    CRF_SETS,
    ClipEsSettings,
    DataSettings,
    EncodeSettings,
    LearnedAffinity,
    LocalizerTraining,
    LocalizeSettings,
    PretrainedClip,
    VitBackbone,
)
from stages.variants import all_variants
from tests.small_config import change, demo_config, message_of

CONFIGS = sorted(Path(__file__).parents[1].glob("configs/*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_an_experiment(path: Path) -> None:
    experiment = read_experiment(yaml.safe_load(path.read_text()), source=path.name)
    assert experiment.experiment == path.stem


def test_the_configs_are_found() -> None:
    names = {"demo", "voc12", "voc12-clip-es", "voc12-dinov3", "coco14", "coco14-clip-es", "openimages30k", "custom"}
    assert names <= {path.stem for path in CONFIGS}


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


def test_voc12_with_dinov3_differs_from_the_papers_where_its_comments_say_so() -> None:
    voc12, dinov3 = (
        read_experiment(yaml.safe_load((CONFIGS[0].parent / f"{name}.yaml").read_text()), source=name)
        for name in ("voc12", "voc12-dinov3")
    )
    check_variants(dinov3, source="voc12-dinov3")
    theirs, ours = (dict(leaves(own.model_dump(mode="json"))) for own in (voc12, dinov3))
    differing = {path for path in theirs.keys() | ours.keys() if theirs.get(path) != ours.get(path)}
    lines = (CONFIGS[0].parent / "voc12-dinov3.yaml").read_text().lower().split("\nexperiment:")
    explained = {"backbone.model", "backbone.tokens_from_block", "training.crop", "training.epochs", "maps.size"}
    assert {path for path in differing if not path.startswith(("compare", "encode.weights"))} == {
        "experiment",
        *(f"localize.{path}" for path in explained),
    }
    assert lines[1].count("not as in voc12.yaml") == len(explained)
    assert "not measured" in lines[0]
    assert "not yet reproduced here." in lines[0]
    assert "dinov3 license" in lines[0]
    assert (dinov3.localize.training.crop % 16, dinov3.localize.maps.size % 16) == (0, 0)
    assert all_variants(dinov3)["dino"].backbone == voc12.localize.backbone
    paper = all_variants(dinov3)["dino"]
    assert (paper.training, paper.maps) == (voc12.localize.training, voc12.localize.maps)


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


@pytest.mark.parametrize(
    ("base", "boxes", "texts", "steps"), [("voc12", 0.4, 25, 20_000), ("coco14", 0.7, 23, 100_000)]
)
def test_presets_of_clip_es_have_the_values_of_its_paper(base: str, boxes: float, texts: int, steps: int) -> None:
    """Lin et al., CVPR 2023, section 4.1, and its authors' code where the paper is silent."""
    path = Path(__file__).parents[1] / f"configs/{base}-clip-es.yaml"
    experiment, same = (read_config(path.with_stem(name)) for name in (path.stem, base))
    assert experiment.data == same.data
    assert experiment.encode.clip == PretrainedClip(model="ViT-B-16", pretrained="openai")
    assert experiment.encode.templates == ("a clean origami {}.",)
    assert len(experiment.encode.backgrounds) == texts
    assert experiment.models == {"resnet101"}
    method, maps = experiment.localize.method, experiment.localize.maps
    assert method == ClipEsSettings(kind="clip_es", steps=2, attention_blocks=8, box_threshold=boxes)
    assert (maps.size, maps.scales, maps.flip) == (None, (1.0,), False)
    refine = experiment.refine
    assert (refine.background, refine.background_power, refine.ignore_below) == ("power", 1, 0.95)
    assert (refine.affinity.kind, refine.crf) == ("none", CRF_SETS["deeplab"])
    training = experiment.segment.training
    assert (experiment.segment.network.model, training.iterations, training.batch_size) == ("deeplabv2", steps, 10)
    assert (training.learning_rate, training.learning_rate * training.backbone_rate) == (2.5e-3, pytest.approx(2.5e-4))
    assert "Not yet reproduced here." in path.read_text().split("\nexperiment:")[0]


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
    ("path", "value", "words"),
    [
        ("data.classes", ["cat", "cat"], "duplicated in `classes`"),
        ("data.format", "voc", "needs `root`"),
        ("segment.network.backbone", "resnet50", "encode.weights has no entry for resnet50"),
        ("encode.synonyms.bird", ["bird"], "synonyms names bird"),
        ("segment.training.class_weights", {"dog": 2, "doog": 1}, "class_weights names doog"),
        ("segment.training.warmup_iterations", 20000, "warmup_iterations: 20000 must be below"),
        ("evaluate.segmenter", ["train"], "segment.predict leaves out"),
        ("encode.backgrounds", ["cat", "sky"], "encode.backgrounds lists cat, of data.classes; leave out the classes"),
        ("encode.backgrounds", ["sky", "sky"], "lists sky twice; list it once"),
        ("localize.method", {"kind": "clip_es"}, "list them in encode.backgrounds, such as [sky, grass, water"),
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
