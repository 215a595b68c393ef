"""Four small images with masks, an index, and random weights for the backbones."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from stages.images import IGNORE, write_mask
from stages.index import Record, write_classes, write_index
from stages.segment import resolve_model
from stages.segment.architecture import build_model, model_config
from stages.segment.model import save_segmenter
from stages.settings import NetworkSettings, SegmentSettings

CLASSES = ("blue", "red")


def model_of(settings: SegmentSettings, classes: tuple[str, ...] = CLASSES) -> Any:
    """The segmenter of settings, with random weights."""
    return build_model(model_config(settings, classes))


@dataclass(frozen=True)
class TinySet:
    """Paths of a dataset of four images of 72 x 60 to 63: a blue (1) or red (2) square on grey, 255 around it."""

    root: Path
    index: Path
    classes: Path
    records: list[Record]
    names: tuple[str, ...] = CLASSES

    def options(self, settings: SegmentSettings, weights: Path, work: Path) -> list[str]:
        """The arguments of the training command, with its outputs beside `work`; the model is resolved for it."""
        model = work.parent / "model.json"
        resolve_model.run(
            [
                *("--settings", settings.model_dump_json(), "--classes", str(self.classes)),
                *("--output", str(model)),
            ]
        )
        return [
            *("--settings", settings.model_dump_json(), "--seed", "3", "--code", "abc"),
            *("--index", str(self.index), "--root", str(self.root), "--classes", str(self.classes)),
            *("--model", str(model), "--weights", str(weights), "--work", str(work)),
            *("--curves", str(work.parent / "training.csv"), "--output", str(work.parent / "segmenter.safetensors")),
        ]


@pytest.fixture
def make_settings() -> Callable[..., SegmentSettings]:
    """Makes settings of a training that takes a second, with changes to network, training and inference by name."""
    tiny = {
        "backbone": "tf_efficientnet_lite0",
        "decoder_channels": 8,
        "crop": 64,
        "scales": (0.9, 1.1),
        "batch_size": 2,
        "iterations": 2,
        "warmup_iterations": 0,
        "checkpoint_every": 2,
    }

    def make(inference: dict[str, Any] | None = None, **changes: object) -> SegmentSettings:
        sections: dict[str, dict[str, object]] = {"network": {}, "training": {}, "inference": inference or {}}
        for name, value in (tiny | changes).items():
            sections["network" if name in NetworkSettings.model_fields else "training"][name] = value
        return SegmentSettings.model_validate_json(json.dumps(sections))

    return make


@pytest.fixture
def tiny_set(tmp_path: Path) -> TinySet:
    root = tmp_path / "set"
    root.mkdir()
    random = np.random.default_rng(0)
    records = []
    for number in range(4):
        image = random.integers(90, 110, (60 + number, 72, 3), dtype=np.uint8)
        mask = np.zeros(image.shape[:2], dtype=np.uint8)
        label = 1 + number % 2
        image[10:45, 15:50] = (220, 20, 20) if label == 2 else (20, 20, 220)
        mask[9:46, 14:51] = IGNORE
        mask[10:45, 15:50] = label
        Image.fromarray(image).save(root / f"{number}.jpg", quality=95)
        write_mask(root / f"{number}.png", mask)
        records.append(Record(f"im.{number}", f"{number}.jpg", f"{number}.png", (CLASSES[label - 1],), "train"))
    write_index(root / "train.csv", records)
    write_classes(root / "classes.txt", CLASSES)
    return TinySet(root, root / "train.csv", root / "classes.txt", records)


@pytest.fixture(scope="session")
def lite0_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tf_efficientnet_lite0.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), path)
    return path


@pytest.fixture
def build() -> Callable[..., Any]:
    """Makes the segmenter of settings, with random weights."""
    return model_of


@pytest.fixture
def segmenter_file(make_settings, tmp_path: Path) -> Path:
    """A saved segmenter of random weights for the two classes."""
    torch.manual_seed(1)
    config = model_config(make_settings(), CLASSES)
    path = tmp_path / "segmenter.safetensors"
    save_segmenter(path, build_model(config), classes=CLASSES, config=config)
    return path
