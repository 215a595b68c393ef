"""Small localizers of both backbones, with random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from stages.index import Record, write_classes, write_index
from stages.localize import freeze_features
from stages.localize.checkpoint import build_localizer
from stages.localize.localizer import Localizer
from stages.settings import LocalizeSettings

CLASSES = ("bird", "road sign", "coin")
VIT = {"kind": "vit", "model": "vit_tiny_patch16_224", "tokens_from_block": 10}
HYBRID = {"kind": "hybrid", "model": "tf_efficientnet_lite0", "width": 48, "blocks": 2, "heads": 3}
CNN = {"kind": "cnn", "model": "tf_efficientnet_lite0", "strides": (16, 32), "output_stride": 32}
ROTARY = {"kind": "vit", "model": "vit_tiny_patch16_dinov3_qkvb", "tokens_from_block": 10}
BACKBONES = {"vit": VIT, "rotary": ROTARY, "hybrid": HYBRID, "cnn": CNN}
# What a method is built from beside settings, text and a backbone's weights, as `Localizer.described` tells it.
TOWER = {"kind": "towers", "image_tower": "tf_efficientnet_lite0", "image_size": 64, "width": 16}
DESCRIBED = {"clip": {"tower": TOWER}, "clip_es": {"tower": TOWER, "background_texts": ["sky", "ground"]}}


@pytest.fixture(scope="session")
def weight_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random timm weights of each backbone, as `encode` leaves them."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for kind, backbone in BACKBONES.items():
        torch.manual_seed(0)
        paths[kind] = folder / f"{kind}.safetensors"
        save_file(timm.create_model(str(backbone["model"]), pretrained=False).state_dict(), paths[kind])
    return paths


@pytest.fixture
def make_localizer(weight_files: dict[str, Path]):
    """Builds a small localizer: kind of backbone, method, then any settings of the method or of `localize`."""

    def make(kind: str = "hybrid", method: str = "mmcst", *, classes: int = len(CLASSES), **settings) -> Localizer:
        torch.manual_seed(0)
        backbone = BACKBONES[kind] | settings.pop("backbone", {})
        text = torch.nn.functional.normalize(torch.randn(classes, 16), dim=1)
        own = {name: settings.pop(name) for name in list(settings) if name not in LocalizeSettings.model_fields}
        validated = LocalizeSettings.model_validate(
            {"method": {"kind": method, **own}, "backbone": backbone, **settings}
        )
        described = DESCRIBED.get(method)
        weights = None if described else weight_files[kind]
        return build_localizer(validated, weights=weights, text=text, described=described).eval()

    return make


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Six noise images, each tagged with one class, with text and image embeddings."""
    random = np.random.default_rng(0)
    records = []
    for number in range(6):
        Image.fromarray(random.integers(0, 255, (80, 100, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        records.append(Record(f"im{number}", f"{number}.png", "", (CLASSES[number % 3],), "train"))
    write_index(tmp_path / "train.csv", records)
    write_classes(tmp_path / "classes.txt", CLASSES)
    torch.manual_seed(0)
    save_file({"text": torch.randn(3, 16)}, tmp_path / "text.safetensors")
    save_file({record.id: torch.randn(16) for record in records}, tmp_path / "images.safetensors")
    return tmp_path


def arguments(dataset: Path, weights: Path, *, epochs: int = 2, views: int = 0, seed: int = 0) -> list[str]:
    settings = {
        "backbone": HYBRID | {"views": views},
        "training": {"crop": 64, "epochs": epochs, "batch_size": 3, "warmup_epochs": 0},
    }
    paths = {name: dataset / f"{name}.safetensors" for name in ("text", "images")}
    paths |= {"index": dataset / "train.csv", "classes": dataset / "classes.txt", "root": dataset, "weights": weights}
    paths |= {"work": dataset / "work", "curves": dataset / "curves.csv", "output": dataset / "localizer.safetensors"}
    if views:
        paths["features"] = freeze(dataset, weights, views, seed)
    named = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    return ["--settings", json.dumps(settings), "--seed", str(seed), *named]


def freeze(dataset: Path, weights: Path, views: int, seed: int) -> Path:
    settings = json.dumps({"backbone": HYBRID | {"views": views}, "training": {"crop": 64}})
    paths = {"index": dataset / "train.csv", "root": dataset, "weights": weights, "output": dataset / "features"}
    named = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    freeze_features.run(["--settings", settings, "--seed", str(seed), *named])
    return dataset / "features"
