"""Plain ViTs under a segmenter: timm's own patch tokens, at any size of image, frozen from the first block on."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate

from stages.encode.weights import load_weights
from stages.errors import SettingsError
from stages.segment.architecture import build_model, checked_model, model_config
from stages.segment.config import with_weights
from stages.segment.inference import class_probabilities
from stages.segment.vit_backbone import PlainVitBackbone, is_vit

CLASSES = ("blue", "red")
# A model a family: learned positions; patches that are averaged, with registers; pooled by attention; a distillation
# token; rotary positions beside learned ones, and alone.
FAMILIES = (
    *("test_vit", "test_vit2", "test_vit3", "deit_tiny_distilled_patch16_224"),
    *("eva02_tiny_patch14_224", "vit_small_patch16_dinov3"),
)


@pytest.fixture
def vit_settings(make_settings) -> Any:
    """Settings of a segmenter on a tiny ViT of six blocks, with changes by name."""

    def make(**changes: object) -> Any:
        return make_settings(**{"model": "vit_linear", "backbone": "test_vit", "decoder_channels": None} | changes)

    return make


@pytest.mark.parametrize("name", FAMILIES)
def test_maps_are_timms_own_patch_tokens(name: str) -> None:
    torch.manual_seed(0)
    # Of the size that it was made for, with positions as they are.
    theirs: Any = timm.create_model(name).eval()
    last = len(theirs.blocks) - 1
    backbone = PlainVitBackbone(model_name=name, blocks=[1, last], features=[1], frozen_stages=0).eval()
    backbone.vit.load_state_dict({name: theirs.state_dict()[name] for name in backbone.vit.state_dict()})
    images = torch.randn(2, *theirs.pretrained_cfg["input_size"])
    for vit, sized in ((theirs, images), (backbone.vit, images[..., : 3 * backbone.stride, : 5 * backbone.stride])):
        with torch.inference_mode():
            (found,) = backbone(sized)
            tokens = vit.forward_features(sized)[:, vit.num_prefix_tokens :]
        rows, columns = (side // backbone.stride for side in sized.shape[-2:])
        assert found.shape == (2, vit.embed_dim, rows, columns)
        torch.testing.assert_close(found.flatten(2).transpose(1, 2), tokens, rtol=0, atol=1e-4)


def test_sides_that_are_no_multiples_are_enlarged() -> None:
    torch.manual_seed(0)
    backbone = PlainVitBackbone(model_name="test_vit", blocks=[2, 5], features=[0, 1], frozen_stages=0).eval()
    images = torch.randn(1, 3, 50, 70)
    enlarged = interpolate(images, (64, 80), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        for found, expected in zip(backbone(images), backbone(enlarged), strict=True):
            assert found.shape == (1, 64, 4, 5)
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert backbone(torch.randn(1, 3, 7, 3))[1].shape == (1, 64, 1, 1)


@pytest.mark.parametrize("frozen", [0, 2, 6])
def test_the_first_blocks_are_frozen(vit_settings, frozen: int) -> None:
    model = build_model(model_config(vit_settings(frozen_stages=frozen), CLASSES)).train()
    vit = model.backbone.vit
    learned = {name for name, own in vit.named_parameters() if own.requires_grad}
    for block in range(6):
        assert (f"blocks.{block}.attn.qkv.weight" in learned) == (block >= frozen)
        assert vit.blocks[block].training == (block >= frozen)
    assert ({"cls_token", "pos_embed", "patch_embed.proj.weight"} <= learned) == (frozen == 0)
    assert ("norm.weight" in learned) == (frozen < 6)
    features = model.extract_feat(torch.randn(2, 3, 64, 64))[-1]
    assert features.requires_grad == (frozen < 6)
    model.decode_head([features]).square().mean().backward()
    assert {name for name, own in vit.named_parameters() if own.grad is not None} == learned


def test_weights_of_the_file_reach_the_vit_and_stay(vit_settings, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "given.safetensors")
    state = load_weights("test_vit", str(tmp_path / "given.safetensors"))
    save_file(state, tmp_path / "vit.safetensors")
    torch.manual_seed(1)
    model = build_model(with_weights(model_config(vit_settings(), CLASSES), tmp_path / "vit.safetensors"))
    model.init_weights()  # as a Runner does; timm's models have a method of this name, which would draw them anew
    own = model.backbone.vit.state_dict()
    assert set(state) - set(own) == {"head.weight", "head.bias"}
    for name, value in own.items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


@pytest.mark.parametrize("overlay", ["vit_linear", "vit_mask_tokens", "deeplabv3plus", "segformer", "upernet"])
def test_every_decoder_runs_on_a_vit(vit_settings, overlay: str) -> None:
    width = None if overlay == "vit_linear" else 8
    settings = vit_settings(model=overlay, decoder_channels=width, crop=48)
    config, _ = checked_model(settings, CLASSES)
    assert config["data_preprocessor"]["mean"] == [127.5] * 3
    model = build_model(config).eval()
    probabilities = class_probabilities(model, torch.randint(0, 255, (3, 33, 52)), settings.inference)
    assert probabilities.shape == (3, 33, 52)
    assert probabilities.isfinite().all()


def test_the_class_tells_what_a_vit_is() -> None:
    for name in ("vit_small_patch14_dinov2.lvd142m", "deit_tiny_distilled_patch16_224", "vit_base_patch16_dinov3"):
        assert is_vit(name)
    for name in ("convnext_tiny", "resnet18", "swin_tiny_patch4_window7_224", "beit_base_patch16_224", "no_such_vit"):
        assert not is_vit(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frozen_stages": 7}, "frozen_stages: 7, but test_vit has 6 blocks"),
        ({"frozen_norm": True}, "frozen_norm: test_vit has no batch norms; leave it out"),
        ({"output_stride": 8}, "output_stride: test_vit has patches of 16 pixels, not 8; leave it out"),
        ({"decoder_channels": 8}, "decoder_channels: the decoder of vit_linear has none; leave it out"),
    ],
)
def test_settings_that_a_vit_does_not_have(vit_settings, changes: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"segment\.network\.{message}"):
        model_config(vit_settings(**changes), CLASSES)
