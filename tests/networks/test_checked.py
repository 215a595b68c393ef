"""A localizer's backbone that does not fit is told before its weights are loaded."""

import json
from pathlib import Path

import pytest

from stages.encode import load_weights
from stages.errors import SettingsError
from stages.networks.checked import check_backbone
from stages.settings import CnnBackbone, HybridBackbone, VitBackbone

CNN = "test_efficientnet"


def test_what_fits_is_let_through() -> None:
    check_backbone(HybridBackbone(kind="hybrid", model=CNN))
    check_backbone(CnnBackbone(kind="cnn", model=CNN, output_stride=32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (HybridBackbone(kind="hybrid", model=CNN, strides=(12,)), r"strides: .*not of \[12\]"),
        (
            HybridBackbone(kind="hybrid", model="cnn_of_nobody"),
            "localize.backbone.model: timm has no model 'cnn_of_nobody'",
        ),
        (
            HybridBackbone(kind="hybrid", model="resnet18.nope"),
            r"timm's resnet18 has no weights 'nope'; it has a1_in1k",
        ),
        (VitBackbone(model="vit_tiny_patch16_224.nope"), "model: timm's vit_tiny_patch16_224 has no weights 'nope'"),
        (
            VitBackbone(model="vit_tiny_patch16_22"),
            r"has no model 'vit_tiny_patch16_22'; did you mean vit_tiny_patch16_",
        ),
        (
            HybridBackbone(kind="hybrid", model="coat_tiny"),
            r"of any size \(Input height \(80\) doesn't match model \(224\)\); choose a timm CNN",
        ),
        (CnnBackbone(kind="cnn", model="vgg11", output_stride=8), "localize.backbone.model: vgg11 cannot give"),
    ],
)
def test_what_does_not_fit_is_told_by_its_name(
    settings: VitBackbone | HybridBackbone | CnnBackbone, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        check_backbone(settings)


def test_weights_of_a_vit_that_does_not_fit_are_not_even_looked_for(tmp_path: Path) -> None:
    settings = json.dumps({"weights": {"beit_base_patch16_224": str(tmp_path / "none.pth")}})
    words = ["--settings", settings, "--model", "beit_base_patch16_224", "--output", str(tmp_path / "out.safetensors")]
    backbone = {"kind": "vit", "model": "beit_base_patch16_224"}
    with pytest.raises(SettingsError, match="adds relative positions"):
        load_weights.run([*words, "--backbones", json.dumps([backbone])])
