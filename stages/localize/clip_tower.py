"""The image tower of a CLIP model, and what the training-free localizers on it have in common.

B images, C classes, D width of the tower, E width of the joint space.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from einops import rearrange
from open_clip.model import _build_vision_tower
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from pydantic import TypeAdapter
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from stages.errors import DataError, SettingsError
from stages.localize.localizer import Localizer, StateDict
from stages.settings import ClipModel, LocalizeSettings, PretrainedClip, TowerClip


class ClipLocalizer(Localizer):
    """A localizer that compares an image with class texts by a frozen CLIP; nothing is trained.

    Args:
        tower: the text-image model, as in `encode.clip`; stored with the weights of its image tower.

    Raises SettingsError for a tower whose patches cannot be projected, DataError for weights of a different tower.
    """

    trained = False

    def __init__(
        self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None, *, tower: Mapping[str, Any]
    ) -> None:
        super().__init__(settings, text, weights)
        self.described = {"tower": tower}
        chosen = TypeAdapter(ClipModel).validate_python(tower)
        self.tower = build_image_tower(chosen).requires_grad_(False)
        check_structure(self.tower, chosen, settings.method.kind)
        self.stride, self.statistics = _stride(self.tower), image_statistics(chosen, self.tower)
        # A buffer, so that the localizer's file is complete.
        self.text: Tensor
        self.register_buffer("text", F.normalize(text.detach().float(), dim=1))  # [C, E]
        if weights is not None:
            try:
                self.tower.load_state_dict(weights)
            except RuntimeError as error:
                raise DataError(f"weights of another image tower than they describe: {error}") from error

    def class_scores(self, embedded: Tensor, temperature: float) -> Tensor:
        """Scores of image embeddings [B, E], [B, C]: log(C p), p the softmax over the classes of the cosines of image
        and texts divided by `temperature`.

        Nothing is trained, so there is no learned offset between cosines and probabilities; with this one the sigmoid
        is 0.5 when a class is as likely as chance, 1/C. Several classes of one image can reach it; the only class of
        a list always does.
        """
        # CLIP's cosines differ by hundredths, which bfloat16 would round off.
        with torch.autocast(embedded.device.type, enabled=False):
            cosines = F.normalize(embedded.float(), dim=1) @ self.text.float().T
            return (cosines / temperature).log_softmax(dim=1) + math.log(self.classes)


def build_image_tower(settings: PretrainedClip | TowerClip) -> nn.Module:
    """The image tower of a CLIP model, open_clip's `model.visual`, with random weights. Nothing is downloaded.

    Raises SettingsError when open_clip does not know the model.
    """
    if isinstance(settings, TowerClip):
        vision = {"timm_model_name": settings.image_tower, "image_size": settings.image_size}
        return _build_vision_tower(settings.width, vision)
    config = open_clip.get_model_config(settings.model) if settings.model in open_clip.list_models() else None
    if config is None:
        raise SettingsError(f"encode.clip.model: open_clip has no {settings.model!r}; see open_clip.list_models()")
    tag = open_clip.get_pretrained_cfg(settings.model, settings.pretrained)
    # Some tags' weights (OpenAI's) were trained with a different activation than open_clip's model of that name.
    quick_gelu = config.get("quick_gelu", False) or tag.get("quick_gelu", False)
    vision = config["vision_cfg"] | {"timm_model_pretrained": False}
    return _build_vision_tower(config["embed_dim"], vision, quick_gelu=quick_gelu)


def image_statistics(settings: PretrainedClip | TowerClip, tower: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation for normalising a CLIP model's images, RGB in [0, 1]: those of the weights' tag, OpenAI's for
    weights from a file (as in open_clip), the tower's own for packaged towers."""
    if isinstance(settings, TowerClip):
        return tower.trunk.default_cfg["mean"], tower.trunk.default_cfg["std"]  # type: ignore[union-attr,index,return-value]
    tag = open_clip.get_pretrained_cfg(settings.model, settings.pretrained)
    return tag.get("mean", open_clip.OPENAI_DATASET_MEAN), tag.get("std", open_clip.OPENAI_DATASET_STD)


def tokens_before_blocks(tower: VisionTransformer, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Normalised images [B, 3, H, W] to the tokens that enter the first block, [B, 1 + rows * columns, D], and the
    patch grid (rows, columns). The position embedding is interpolated to the input's size."""
    embedded = tower.conv1(images)
    rows, columns = embedded.shape[-2:]
    patches = rearrange(embedded, "b d rows columns -> b (rows columns) d")
    class_token = tower.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    position = resample_abs_pos_embed(
        tower.positional_embedding[None], [rows, columns], old_size=list(tower.grid_size), num_prefix_tokens=1
    )
    return tower.ln_pre(torch.cat((class_token, patches), dim=1) + position), (rows, columns)


def tokens_before_last_block(tower: VisionTransformer, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """The same after all blocks but the last."""
    tokens, grid = tokens_before_blocks(tower, images)
    for block in tower.transformer.resblocks[:-1]:
        tokens = block(tokens)
    return tokens, grid


def patch_attention(block: ResidualAttentionBlock, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """A block's output for tokens [B, 1 + N, D], same shape, and its attention from patches to patches, the mean over
    its heads, float32 [B, N, N]; rows sum to 1 less the attention to the class token."""
    normed = block.ln_1(tokens)
    attended, weights = block.attn(normed, normed, normed, need_weights=True)
    tokens = tokens + block.ls_1(attended)
    return tokens + block.ls_2(block.mlp(block.ln_2(tokens))), weights[:, 1:, 1:].float()


def check_structure(tower: nn.Module, settings: PretrainedClip | TowerClip, kind: str) -> None:
    """Raises SettingsError unless the tower is a ViT with plain attention, or a timm CNN without attention pooling."""
    if isinstance(tower, VisionTransformer):
        plain = isinstance(tower.transformer.resblocks[-1], ResidualAttentionBlock)
        fits = plain and tower.attn_pool is None and tower.pool_type in ("tok", "avg") and tower.proj is not None
    elif isinstance(tower, TimmModel):
        trunk = tower.trunk
        # timm sets pool_size for networks whose features have rows and columns; a few of them put channels last.
        grid = trunk.default_cfg.get("pool_size") is not None and getattr(trunk, "output_fmt", "NCHW") == "NCHW"
        fits = grid and set(dict(tower.head.named_children())) <= {"drop", "proj", "mlp"}
    else:
        fits = False
    if not fits:
        field = "image_tower" if isinstance(settings, TowerClip) else "model"
        raise SettingsError(
            f"encode.clip.{field}: the patches of {getattr(settings, field)!r} cannot be compared with texts, as"
            f" localize.method.kind {kind!r} does; choose a plain ViT (such as ViT-B-16) or a timm CNN that pools by a"
            " mean"
        )


def _stride(tower: nn.Module) -> int:
    """Pixels per patch."""
    if isinstance(tower, VisionTransformer):
        return int(tower.patch_size[0])
    return int(tower.trunk.feature_info[-1]["reduction"])  # type: ignore[union-attr,index]
