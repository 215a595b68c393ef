"""Which of timm's ViTs the localizers can take apart: those give timm's own tokens, the others are refused by name."""

import pytest
import timm
import torch

from stages.errors import SettingsError
from stages.localize.attention import Attention, run_blocks
from stages.localize.encoders import VitEncoder
from stages.networks import vit as networks
from stages.settings import VitBackbone

# One per family, cut down to two blocks. `test_vit` has registers, as DINOv2's.
EQUAL = {
    "plain": ("vit_tiny_patch16_224", 16),
    "DINO, small patches": ("vit_small_patch8_224", 8),
    "DINOv2": ("vit_small_patch14_dinov2", 14),
    "registers": ("vit_small_patch14_reg4_dinov2", 14),
    "CLIP: a norm before the blocks": ("vit_xsmall_patch16_clip_224", 16),
    "distilled: two tokens of its own": ("deit_tiny_distilled_patch16_224", 16),
    "DeiT III: layer scale, class token without position": ("deit3_small_patch16_224", 16),
    "norms of queries and keys": ("vit_intern300m_patch14_448", 14),
    "any size of patches": ("flexivit_small", 16),
    "sub-norms": ("beit3_base_patch16_224", 16),
    "over a CNN": ("vit_tiny_r_s16_p8_224", 32),
}
REFUSED = {
    "vit_base_patch16_siglip_224": "has no class token",
    "vit_medium_patch16_gap_240": "has no class token",
    "eva02_tiny_patch14_224": "turns queries and keys by their positions in every block",
    "vit_small_patch16_dinov3": "turns queries and keys by their positions in every block",
    "vit_small_patch16_rope_224": "turns queries and keys by their positions in every block",
    "beit_base_patch16_224": "adds relative positions to the attention of every block",
    "vit_relpos_small_patch16_224": "adds relative positions to the attention of every block",
    "samvit_base_patch16": "attends within windows",
    "naflexvit_base_patch16_gap": "takes patches of any image size, packed",
    "vit_small_patch16_18x2_224": r"has blocks of another kind \(ParallelThingsBlock\)",
    "cait_xxs24_224": "has other blocks for its class token",
    "swin_tiny_patch4_window7_224": "is timm's SwinTransformer, no plain VisionTransformer",
    "resnet18": "is timm's ResNet, no plain VisionTransformer",
    "vit_of_nobody": "timm has no model 'vit_of_nobody'",
}


def shallow(monkeypatch: pytest.MonkeyPatch) -> list[torch.nn.Module]:
    """Makes `build_vit` build narrow models of two blocks with weights of a size that shows; returns those built."""
    built: list[torch.nn.Module] = []

    def create(model: str, **options) -> torch.nn.Module:
        small = {"depth": 2, "embed_dim": 32, "num_heads": 2}
        own = timm.create_model(model, pretrained=False, num_classes=0, **small, **options)
        with torch.no_grad():
            for parameter in own.parameters():
                parameter.normal_(mean=float(parameter.dim() == 1), std=0.2)
        built.append(own)
        return own

    monkeypatch.setattr(networks, "_create", create)
    return built


@pytest.mark.parametrize(("model", "stride"), EQUAL.values(), ids=list(EQUAL))
def test_tokens_are_timms_own(model: str, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    built = shallow(monkeypatch)
    for frozen in (0, 1):
        encoder = VitEncoder(VitBackbone(model=model, tokens_from_block=frozen), None).eval()
        vit = built.pop().eval()
        images = torch.randn(2, 3, 2 * stride, 3 * stride)
        with torch.no_grad():
            before = vit.norm_pre(vit._pos_embed(vit.patch_embed(images)))
            entering = vit.blocks[:frozen](before)[:, vit.num_prefix_tokens :]
            patches, grid = encoder.patches(images)
            assert (encoder.stride, grid) == (stride, (2, 3))
            torch.testing.assert_close(patches, entering, atol=1e-4, rtol=0)
            if not frozen:
                # The blocks written out, with the ViT's own prefix in place of the class tokens.
                torch.testing.assert_close(encoder.start_token(), before[0, 0], atol=1e-4, rtol=0)
                asked = Attention(classes=2, patches=1)
                through = run_blocks(encoder.blocks, vit.norm, encoder._own_prefix(), patches, attention=asked)
                own = vit.forward_features(images)[:, vit.num_prefix_tokens :]
                torch.testing.assert_close(through.patches, own, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("model", "reason"), REFUSED.items(), ids=list(REFUSED))
def test_others_are_refused_by_name(model: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(model: str, **options) -> torch.nn.Module:
        with torch.device("meta"):  # no weights: only what the model is
            return timm.create_model(model, pretrained=False, num_classes=0, **options)

    monkeypatch.setattr(networks, "_create", create)
    with pytest.raises(SettingsError, match=rf"localize.backbone.model: .*{model}.*") as refused:
        networks.build_vit(VitBackbone(model=model))
    assert refused.match(reason)


def test_a_block_that_is_not_there_and_a_norm_that_is_not_there_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shallow(monkeypatch)
    with pytest.raises(SettingsError, match=r"tokens_from_block: 2, but vit_tiny_patch16_224 has 2 blocks"):
        networks.build_vit(VitBackbone(model="vit_tiny_patch16_224", tokens_from_block=2))
    monkeypatch.setattr(
        networks, "_create", lambda model, **options: timm.create_model(model, num_classes=0, final_norm=False, depth=1)
    )
    with pytest.raises(SettingsError, match=r"last_norm: vit_tiny_patch16_224 has no norm after its last block"):
        networks.build_vit(VitBackbone(model="vit_tiny_patch16_224", last_norm=True))
