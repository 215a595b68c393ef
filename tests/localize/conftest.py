"""Small localizers of both backbones, with random weights."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from stages.localize.checkpoint import build_localizer
from stages.localize.localizer import Localizer
from stages.settings import LocalizeSettings

CLASSES = ("bird", "road sign", "coin")
VIT = {"kind": "vit", "model": "vit_tiny_patch16_224", "tokens_from_block": 10}
HYBRID = {"kind": "hybrid", "model": "tf_efficientnet_lite0", "width": 48, "blocks": 2, "heads": 3}
BACKBONES = {"vit": VIT, "hybrid": HYBRID}


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
    """Builds a small localizer: kind of backbone, then any settings of `localize`."""

    def make(kind: str = "hybrid", **settings) -> Localizer:
        torch.manual_seed(0)
        backbone = BACKBONES[kind] | settings.pop("backbone", {})
        text = torch.nn.functional.normalize(torch.randn(len(CLASSES), 16), dim=1)
        validated = LocalizeSettings.model_validate({"backbone": backbone, **settings})
        return build_localizer(validated, weights=weight_files[kind], text=text).eval()

    return make
