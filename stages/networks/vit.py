"""timm ViTs as the localizers take them apart: embedding, prefix tokens, blocks. Others are refused by name."""

from typing import Any

import timm
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from stages.errors import SettingsError
from stages.networks.timm_names import name_fault
from stages.networks.vit_blocks import ATTENTIONS, BLOCKS
from stages.settings import VitBackbone

CURE = (
    "take a plain ViT, such as vit_base_patch16_224.dino, vit_base_patch14_dinov2.lvd142m or"
    " vit_base_patch16_dinov3.lvd1689m, or a CNN with `kind: hybrid`"
)
# What the constructor of a model raises that takes other options, or cannot be built with these.
UNFIT = (TypeError, ValueError, RuntimeError, AssertionError, NotImplementedError)
# timm's own class is needed exactly: a subclass has another forward pass, of which the localizers know nothing. Eva has
# the rotary positions of EVA-02, DINOv3, Perception Encoder and RoPE-ViT.
PLAIN = (VisionTransformer, VisionTransformerDistilled, Eva)
# What other families of timm's compute, by the name of their class.
FAMILIES = {
    "Beit": "adds relative positions to the attention of every block",
    "VisionTransformerRelPos": "adds relative positions to the attention of every block",
    "VisionTransformerSAM": "attends within windows",
    "NaFlexVit": "takes patches of any image size, packed, in place of images",
    "Cait": "has other blocks for its class token than for its patches",
    "Xcit": "attends between channels, not between patches",
}


def build_vit(settings: VitBackbone) -> Any:
    """The timm ViT of the settings with random weights and without classifier, for images of any size.

    Its tokens before block k are `norm_pre` of [class, distillation, registers; patches], those that it has, with their
    positions, if it adds any, through the blocks before k, which may turn queries and keys of patches by rotary
    positions: what `VitEncoder` computes. Raises SettingsError, naming the model, for a ViT of which that is
    not so, and for settings that it does not have.
    """
    place, model = "localize.backbone", settings.model
    if fault := name_fault(model):
        raise SettingsError(f"{place}.model: {fault}")
    size: dict[str, Any] = {"img_size": settings.image_size} if settings.image_size else {}
    try:
        vit: Any = _create(model, dynamic_img_size=True, drop_path_rate=settings.drop_path, **size)
    except UNFIT as error:
        raise SettingsError(f"{place}.model: {model} {_why_not_built(model, error)}; {CURE}") from error
    reason = why_not_plain(vit)
    if reason:
        raise SettingsError(f"{place}.model: {model} {reason}; {CURE}")
    if settings.tokens_from_block >= len(vit.blocks):
        raise SettingsError(
            f"{place}.tokens_from_block: {settings.tokens_from_block}, but {model} has {len(vit.blocks)} blocks,"
            " counted from 0"
        )
    if settings.last_norm and isinstance(vit.norm, nn.Identity):
        raise SettingsError(f"{place}.last_norm: {model} has no norm after its last block; leave it out")
    return vit


def _create(model: str, **options: Any) -> Any:
    return timm.create_model(model, pretrained=False, num_classes=0, **options)


def _why_not_built(model: str, error: Exception) -> str:
    """Why a model is not built for images of any size: what its family computes, or what its constructor says."""
    try:
        reason = why_not_plain(_create(model))
    except UNFIT:
        reason = None
    return reason or f"cannot be built with these settings as a ViT for images of any size ({error})"


def why_not_plain(vit: Any) -> str | None:
    """What keeps a timm model from being taken apart as `build_vit` says; None if nothing does."""
    if type(vit) not in PLAIN:
        return FAMILIES.get(type(vit).__name__, f"is timm's {type(vit).__name__}, no plain VisionTransformer")
    rows, columns = vit.patch_embed.patch_size
    if rows != columns:
        return f"has patches of {rows} x {columns} pixels, which are not square"
    kinds = {type(block) for block in vit.blocks} - set(BLOCKS)
    kinds |= {type(block.attn) for block in vit.blocks if type(block) in BLOCKS} - set(ATTENTIONS)
    return f"has blocks of another kind ({', '.join(sorted(kind.__name__ for kind in kinds))})" if kinds else None


def stride_of(vit: Any) -> int:
    """Pixels per patch, of the image."""
    return int(vit.patch_embed.feat_ratio())
