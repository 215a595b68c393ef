"""Which of timm's ViTs the localizers can take apart: those give timm's own tokens, the others are refused by name."""

import copy

import pytest
import timm
import torch

from stages.errors import SettingsError
from stages.localize.attention import NO_ATTENTION, Attention
from stages.localize.encoders import VitEncoder
from stages.networks import vit as networks
from stages.settings import VitBackbone

# One per family, cut down to two narrow blocks.
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
    "norms after attention and MLP": ("vit_base_patch16_rpn_224", 16),
    "over a CNN": ("vit_tiny_r_s16_p8_224", 32),
    "SigLIP: no token of its own": ("vit_base_patch16_siglip_224", 16),
    "registers, no class token": ("vit_little_patch16_reg4_gap_256", 16),
    "EVA: no bias of keys": ("eva_giant_patch14_clip_224", 14),
    "EVA-02: rotary and added positions, SwiGLU": ("eva02_tiny_patch14_224", 14),
    "EVA-02: separate projections": ("eva02_base_patch14_224", 14),
    "EVA-02 CLIP: norms within attention": ("eva02_base_patch16_clip_224", 16),
    "EVA-02 enormous: norms after attention and MLP": ("eva02_enormous_patch14_clip_224", 14),
    "DINOv3: rotary positions alone, registers": ("vit_small_patch16_dinov3", 16),
    "DINOv3 plus: gated MLP": ("vit_small_plus_patch16_dinov3_qkvb", 16),
    "Perception Encoder": ("vit_pe_core_tiny_patch16_384", 16),
    "Perception Encoder, spatial": ("vit_pe_spatial_tiny_patch16_512", 16),
    "RoPE-ViT: angles of each block and head": ("vit_small_patch16_rope_mixed_ape_224", 16),
    "rotary, registers, no class token": ("vit_medium_patch16_rope_reg1_gap_256", 16),
    "Sapiens 2: heads that share keys": ("vit_base_patch16_sapiens2", 16),
}
HALF_KEYS = {"num_kv_heads": (2, 1)}  # of two blocks
REFUSED = {
    "beit_base_patch16_224": "adds relative positions to the attention of every block",
    "vit_relpos_small_patch16_224": "adds relative positions to the attention of every block",
    "samvit_base_patch16": "attends within windows",
    "naflexvit_base_patch16_gap": "takes patches of any image size, packed",
    "vit_small_patch16_18x2_224": r"has blocks of another kind \(ParallelThingsBlock\)",
    "vit_dwee_patch16_reg1_gap_256": r"has blocks of another kind \(DiffAttention\)",
    "cait_xxs24_224": "has other blocks for its class token",
    "xcit_nano_12_p16_224": "attends between channels",
    "swin_tiny_patch4_window7_224": "is timm's SwinTransformer, no plain VisionTransformer",
    "resnet18": "is timm's ResNet, no plain VisionTransformer",
    "vit_of_nobody": "timm has no model 'vit_of_nobody'",
}


def shallow(monkeypatch: pytest.MonkeyPatch) -> list[torch.nn.Module]:
    """Makes `build_vit` build narrow models of two blocks with weights of a size that shows; returns copies of those
    built."""
    built: list[torch.nn.Module] = []

    def create(model: str, **options) -> torch.nn.Module:
        small = {"depth": 2, "embed_dim": 32, "num_heads": 2} | (HALF_KEYS if "sapiens2" in model else {})
        own = timm.create_model(model, pretrained=False, num_classes=0, **small, **options)
        with torch.no_grad():
            for parameter in own.parameters():
                parameter.normal_(mean=float(parameter.dim() == 1), std=0.2)
        built.append(copy.deepcopy(own))
        return own

    monkeypatch.setattr(networks, "_create", create)
    return built


@pytest.mark.parametrize(("model", "stride"), EQUAL.values(), ids=list(EQUAL))
def test_tokens_are_timms_own(model: str, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches without class tokens, with the ViT's own prefix before them, at the model's size, and at two others
    together."""
    torch.manual_seed(0)
    built = shallow(monkeypatch)
    encoder = VitEncoder(VitBackbone(model=model), None).eval()
    vit = built.pop().eval()
    wide = torch.randn(2, 3, 2 * stride, 3 * stride)
    images = [torch.randn(1, 3, *vit.patch_embed.img_size), wide, torch.randn(1, 3, 4 * stride, stride)]
    with torch.no_grad():
        expected = [vit.forward_features(own)[:, vit.num_prefix_tokens :] for own in images]
        embedded = encoder.patches_of_each(images)
        assert (encoder.stride, embedded[1][1], embedded[2][1]) == (stride, (2, 3), (4, 1))
        # Of timm's blocks, and of blocks written out, alone and filled up to one length.
        for asked in (NO_ATTENTION, Attention(classes=2, patches=1)):
            for sizes in (slice(0, 1), slice(1, 2), slice(1, 3)):
                through = encoder.through_blocks(encoder._own_prefix(), embedded[sizes], attention=asked)
                for own, right in zip(through, expected[sizes], strict=True):
                    torch.testing.assert_close(vit.norm(own.patches), right, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("model", "stride"), EQUAL.values(), ids=list(EQUAL))
def test_tokens_out_of_frozen_blocks_are_timms_own(model: str, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    built = shallow(monkeypatch)
    # In training too, frozen blocks move no coordinates and drop no branches.
    encoder = VitEncoder(VitBackbone(model=model, tokens_from_block=1, drop_path=0.5), None).train()
    vit = built.pop().eval()
    images = [torch.randn(2, 3, 2 * stride, 3 * stride), torch.randn(1, 3, 2 * stride, stride)]
    assert not any(parameter.requires_grad for name, parameter in encoder.named_parameters() if "blocks" not in name)
    for own, (patches, grid) in zip(images, encoder.patches_of_each(images), strict=True):
        with torch.no_grad():
            entering = vit.forward_intermediates(own, indices=[0], output_fmt="NLC", intermediates_only=True)[0]
        assert grid == (own.shape[2] // stride, own.shape[3] // stride)
        torch.testing.assert_close(patches, entering, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("model", "stride"), EQUAL.values(), ids=list(EQUAL))
def test_class_tokens_start_from_timms_own_or_at_random(
    model: str, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    built = shallow(monkeypatch)
    encoder = VitEncoder(VitBackbone(model=model), None).eval()
    vit = built.pop().eval()
    if vit.cls_token is None:
        assert encoder.start_token().std().item() == pytest.approx(0.02, rel=0.5)
        return
    with torch.no_grad():
        embedded = vit._pos_embed(vit.patch_embed(torch.randn(1, 3, stride, stride)))
        tokens = embedded[0] if isinstance(embedded, tuple) else embedded
        torch.testing.assert_close(encoder.start_token(), vit.norm_pre(tokens)[0, 0])


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
