"""Decoders of patch tokens: a linear one, and Segmenter's mask tokens."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.functional import normalize

HEAD_WIDTH = 64  # of attention, as in the ViTs of the paper
INITIAL_DEVIATION = 0.02  # of ViTs' weights


@MODELS.register_module()
class LinearTokenHead(BaseDecodeHead):
    """A batch norm and a linear classifier of each patch token: the linear evaluation of segmentation by Oquab et al.,
    "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024, section 7.4."""

    def __init__(self, *, in_channels: int, **options: Any) -> None:
        super().__init__(in_channels=in_channels, channels=in_channels, **options)
        self.norm = nn.BatchNorm2d(in_channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features [B, channels, rows, columns], the one at `in_index` -> scores [B, labels, rows, columns]."""
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))


@MODELS.register_module()
class MaskTokenHead(BaseDecodeHead):
    """Segmenter's mask transformer: a token per label passes through `layers` transformer blocks together with the
    patch tokens; a label's score at a patch is the cosine of both, after linear projections, through a layer norm over
    the labels.

    Strudel et al., "Segmenter: Transformer for Semantic Segmentation", ICCV 2021, section 3.2. channels: width of the
    blocks; the paper's is the encoder's.
    """

    def __init__(self, *, layers: int, channels: int, **options: Any) -> None:
        super().__init__(channels=channels, init_cfg=None, **options)
        del self.conv_seg
        self.project = nn.Linear(self.in_channels, channels)
        self.label_tokens = nn.Parameter(torch.empty(1, self.out_channels, channels))
        heads = max(1, channels // HEAD_WIDTH)
        self.blocks = nn.Sequential(*(Block(channels, heads, qkv_bias=True) for _ in range(layers)))
        self.norm = nn.LayerNorm(channels)
        self.of_patches = nn.Linear(channels, channels, bias=False)
        self.of_labels = nn.Linear(channels, channels, bias=False)
        self.score_norm = nn.LayerNorm(self.out_channels)
        self.draw()

    def draw(self) -> None:
        """Draws the weights from a truncated normal distribution, as ViT's; biases are 0."""
        nn.init.trunc_normal_(self.label_tokens, std=INITIAL_DEVIATION)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=INITIAL_DEVIATION)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features [B, D, rows, columns], the one at `in_index` -> scores [B, labels, rows, columns]."""
        features = self._transform_inputs(inputs)
        patches = self.project(features.flatten(2).transpose(1, 2))  # [B, patches, channels]
        count = patches.shape[1]
        tokens = torch.cat([patches, self.label_tokens.expand(patches.shape[0], -1, -1)], dim=1)
        tokens = self.norm(self.blocks(tokens))
        patches = normalize(self.of_patches(tokens[:, :count]), dim=-1)
        labels = normalize(self.of_labels(tokens[:, count:]), dim=-1)
        scores = self.score_norm(patches @ labels.transpose(1, 2))  # [B, patches, labels]
        return scores.transpose(1, 2).unflatten(2, features.shape[-2:])
