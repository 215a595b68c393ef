"""Training-free maps: how similar CLIP finds each patch of an image and the text of each class.

B images, C classes, E width of the joint space.
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
from stages.localize.localizer import Localizer, Located, StateDict, method_of
from stages.settings import ClipModel, ClipSettings, LocalizeSettings, MapSettings, PretrainedClip, TowerClip


class ClipSimilarity(Localizer):
    """Similarity of CLIP's patch features and class texts.

    Source: Zhou, Loy and Dai, Extract Free Dense Labels from CLIP (MaskCLIP), ECCV 2022, section 3.2. MaskCLIP
    labels each patch with the most similar class; here a softmax over the classes weights the similarities.

    Args:
        tower: the text-image model, as in `encode.clip`; stored with the weights of its image tower.

    Raises SettingsError for a tower whose patches cannot be projected, DataError for weights of a different tower.
    """

    trained = False

    def __init__(
        self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None, *, tower: Mapping[str, Any]
    ) -> None:
        super().__init__(settings, text, weights)
        self.method = method_of(settings, ClipSettings)
        self.described = {"tower": tower}
        chosen = TypeAdapter(ClipModel).validate_python(tower)
        self.tower = build_image_tower(chosen).requires_grad_(False)
        _check_structure(self.tower, chosen)
        self.stride, self.statistics = _stride(self.tower), image_statistics(chosen, self.tower)
        # A buffer, so that the localizer's file is complete.
        self.text: Tensor
        self.register_buffer("text", F.normalize(text.detach().float(), dim=1))  # [C, E]
        if weights is not None:
            try:
                self.tower.load_state_dict(weights)
            except RuntimeError as error:
                raise DataError(f"weights of another image tower than they describe: {error}") from error

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        """Maps are the product of two kinds: `similarity`, the ReLU of each patch's cosine with each class's text, and
        `softmax`, over the classes, of these cosines divided by `temperature`.

        Scores: log(C p), p the softmax over the classes of the pooled image's cosines divided by `temperature`.
        Nothing is trained, so there is no learned offset between cosines and probabilities; with this one the sigmoid
        is 0.5 when a class is as likely as chance, 1/C. Several classes of one image can reach it; the only class of
        a list always does.
        """
        if not isinstance(images, Tensor):
            raise TypeError("CLIP takes images, not features of them")
        patches, pooled = self.features(images)
        # CLIP's cosines differ by hundredths, which bfloat16 would round off.
        with torch.autocast(images.device.type, enabled=False):
            cosines = torch.einsum("berl,ce->bcrl", F.normalize(patches.float(), dim=1), self.text.float())
            whole = F.normalize(pooled.float(), dim=1) @ self.text.float().T
        kinds = {
            "similarity": torch.relu(cosines),
            "softmax": (cosines / self.method.temperature).softmax(dim=1),
        }
        scores = (whole / self.method.temperature).log_softmax(dim=1) + math.log(self.classes)
        return Located(kinds["similarity"] * kinds["softmax"], kinds, scores)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images [B, 3, H, W] to patch features [B, E, rows, columns] and image embeddings [B, E], not
        normalised."""
        return (_vit_features if isinstance(self.tower, VisionTransformer) else _cnn_features)(self.tower, images)


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


def tokens_before_last_block(tower: VisionTransformer, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Normalised images [B, 3, H, W] to the tokens that enter the last block, [B, 1 + rows * columns, D], and the
    patch grid (rows, columns). The position embedding is interpolated to the input's size."""
    embedded = tower.conv1(images)
    rows, columns = embedded.shape[-2:]
    patches = rearrange(embedded, "b d rows columns -> b (rows columns) d")
    class_token = tower.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    position = resample_abs_pos_embed(
        tower.positional_embedding[None], [rows, columns], old_size=list(tower.grid_size), num_prefix_tokens=1
    )
    tokens = tower.ln_pre(torch.cat((class_token, patches), dim=1) + position)
    for block in tower.transformer.resblocks[:-1]:
        tokens = block(tokens)
    return tokens, (rows, columns)


def _vit_features(tower: VisionTransformer, images: Tensor) -> tuple[Tensor, Tensor]:
    """As in MaskCLIP: the values of the last block's attention go through its output projection, then the tower's last
    norm and projection. The image embedding is the tower's own."""
    tokens, (rows, columns) = tokens_before_last_block(tower, images)
    last = tower.transformer.resblocks[-1]
    weight, bias = (parameter.chunk(3)[2] for parameter in (last.attn.in_proj_weight, last.attn.in_proj_bias))
    values = F.linear(last.ln_1(tokens[:, 1:]), weight, bias)
    dense = tower.ln_post(last.ls_1(last.attn.out_proj(values))) @ tower.proj
    pooled, _ = tower._pool(last(tokens))
    return rearrange(dense, "b (rows columns) e -> b e rows columns", rows=rows, columns=columns), pooled @ tower.proj


def _cnn_features(tower: TimmModel, images: Tensor) -> tuple[Tensor, Tensor]:
    """Each position of the CNN's last feature map goes through the tower's pooling and projection on its own. If these
    are a mean and a linear layer, the mean over positions is the image embedding."""
    features = tower.trunk.forward_features(images)  # [B, channels, rows, columns]
    rows, columns = features.shape[-2:]
    positions = rearrange(features, "b channels rows columns -> (b rows columns) channels 1 1")
    dense = tower.head(tower.trunk.forward_head(positions))
    pooled = tower.head(tower.trunk.forward_head(features))
    return rearrange(dense, "(b rows columns) e -> b e rows columns", rows=rows, columns=columns), pooled


def _check_structure(tower: nn.Module, settings: PretrainedClip | TowerClip) -> None:
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
            " localize.method.kind 'clip' does; choose a plain ViT (such as ViT-B-16) or a timm CNN that pools by a"
            " mean"
        )


def _stride(tower: nn.Module) -> int:
    """Pixels per patch."""
    if isinstance(tower, VisionTransformer):
        return int(tower.patch_size[0])
    return int(tower.trunk.feature_info[-1]["reduction"])  # type: ignore[union-attr,index]
