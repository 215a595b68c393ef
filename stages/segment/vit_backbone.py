"""Plain timm ViTs as backbones of segmenters: the patch tokens after some of their blocks, as feature maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import interpolate

from stages.errors import SettingsError
from stages.networks.timm_names import name_fault
from stages.segment.backbone_facts import PYRAMID, BackboneFacts
from stages.settings import NetworkSettings
from stages.tensors import read_tensors

# Eva has the rotary positions of EVA-02, DINOv3 and Perception Encoder. Subclasses attend in other ways.
PLAIN = (VisionTransformer, VisionTransformerDistilled, Eva)
# Modules that the first block's input depends on, or the positions of all blocks; not every ViT has each.
BEFORE_BLOCKS = ("patch_embed", "norm_pre", "rope")


def is_vit(name: str) -> bool:
    """Whether timm's model of this name is a plain ViT, by its class. False for a name that timm does not have."""
    return not name_fault(name) and type(_outline(name)) in PLAIN


def _outline(name: str) -> Any:
    """The model without memory for its weights, which takes a tenth of the time."""
    with torch.device("meta"):
        return timm.create_model(name)


def describe_vit(settings: NetworkSettings) -> BackboneFacts:
    """The facts of a plain ViT: `PYRAMID` feature maps, after blocks spread evenly over its depth, the last one last.

    Raises SettingsError for settings that it does not have.
    """
    name, place = settings.backbone, "segment.network"
    vit = _outline(name)
    stride, depth = int(vit.patch_embed.feat_ratio()), len(vit.blocks)
    if settings.output_stride not in (None, stride):
        raise SettingsError(
            f"{place}.output_stride: {name} has patches of {stride} pixels, not {settings.output_stride}; leave it out"
        )
    if settings.frozen_norm:
        raise SettingsError(f"{place}.frozen_norm: {name} has no batch norms; leave it out")
    if settings.frozen_stages > depth:
        raise SettingsError(f"{place}.frozen_stages: {settings.frozen_stages}, but {name} has {depth} blocks")
    blocks = spread_blocks(depth)
    config = {
        "type": "PlainVitBackbone",
        "model_name": name,
        "blocks": list(blocks),
        "frozen_stages": settings.frozen_stages,
    }
    statistics, maps = vit.pretrained_cfg, len(blocks)
    mean, std = statistics["mean"], statistics["std"]
    return BackboneFacts(config, (stride,) * maps, (int(vit.embed_dim),) * maps, mean, std)


def spread_blocks(depth: int) -> tuple[int, ...]:
    """The last block of each quarter of a ViT's blocks, counted from 0; all blocks of one with fewer than four.

    >>> spread_blocks(12), spread_blocks(2)
    ((2, 5, 8, 11), (0, 1))
    """
    count = min(PYRAMID, depth)
    return tuple(depth * (part + 1) // count - 1 for part in range(count))


@MODELS.register_module()
class PlainVitBackbone(BaseModule):
    """A plain timm ViT without classifier, for images of any size.

    blocks: after which the feature maps are, from 0.  features: positions of the returned ones among these.
    frozen_stages: the first so many blocks, and the embedding of patches before them, get no gradient; if all blocks,
    the norm after them too.  weights: a timm state dict (safetensors) to start from; random without.

    Learned positions are resampled to each image's grid of patches by timm.
    """

    vit: Any

    def __init__(
        self,
        *,
        model_name: str,
        blocks: Sequence[int],
        features: Sequence[int],
        frozen_stages: int,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.vit = timm.create_model(model_name, dynamic_img_size=True)
        self.vit.prune_intermediate_layers([len(self.vit.blocks) - 1])  # what only the classifier uses
        self.indices = [blocks[position] for position in features]
        self.stride = int(self.vit.patch_embed.feat_ratio())
        self.weights = weights
        self.frozen = self._frozen(frozen_stages)
        for parameter in self._frozen_parameters():
            parameter.requires_grad_(False)

    def _frozen(self, count: int) -> list[nn.Module]:
        """The frozen modules."""
        if count == 0:
            return []
        if count == len(self.vit.blocks):
            return [self.vit]
        before = [getattr(self.vit, name, None) for name in BEFORE_BLOCKS]
        return [*(module for module in before if module is not None), *self.vit.blocks[:count]]

    def _frozen_parameters(self) -> list[nn.Parameter]:
        """Their parameters, and those of the tokens and positions before the first block."""
        if not self.frozen:
            return []
        before = [parameter for name, parameter in self.vit.named_parameters() if "." not in name]
        return [*before, *(parameter for module in self.frozen for parameter in module.parameters())]

    def init_weights(self) -> None:
        """Loads the given weights; mmengine calls this before a training. Not the base class's, which would draw
        timm's anew."""
        if self.weights:
            state, own = read_tensors(Path(self.weights), stage="encode"), self.vit.state_dict()
            self.vit.load_state_dict({name: value for name, value in state.items() if name in own})

    def train(self, mode: bool = True) -> "PlainVitBackbone":
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """[B, 3, rows, columns] normalised RGB -> the chosen maps, each [B, D, rows/patch, columns/patch], rounded up.

        Images whose sides are no multiples of the patch are enlarged to such: patches of an image that is filled up
        with zeros would not cover what the maps are resized to.
        """
        size = [-(-side // self.stride) * self.stride for side in images.shape[-2:]]
        # A traced program (export) gets images of other sizes.
        if torch.jit.is_tracing() or size != list(images.shape[-2:]):
            images = interpolate(images, size, mode="bilinear", align_corners=False)
        maps = self.vit.forward_intermediates(images, indices=self.indices, norm=True, intermediates_only=True)
        return list(maps)
