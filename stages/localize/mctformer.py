"""MCTformer: one class token per class, whose attention to patches is multiplied with the patches' own class maps.

Sources: Xu et al., Multi-class Token Transformer for Weakly Supervised Semantic Segmentation, CVPR 2022 (V2); Xu et
al., MCTformer+: Multi-Class Token Transformer for Weakly Supervised Semantic Segmentation, TPAMI 2024 (plus). The
numbers of blocks and the square root are from their public code.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from stages.localize.attention import (
    ALL_BLOCKS,
    NO_ATTENTION,
    USUAL_BLOCKS,
    Attended,
    Attention,
    wanted_attention,
)
from stages.localize.encoders import Grid
from stages.localize.localizer import Located, StateDict, method_of
from stages.localize.tokens import class_token_contrast, global_weighted_ranking_pooling
from stages.localize.transformer import TransformerLocalizer
from stages.settings import LocalizeSettings, MapSettings, MctformerSettings


class Mctformer(TransformerLocalizer):
    """A transformer with a class token for each class, and a 3 x 3 convolution from patch tokens to class maps.

    V2 pools these maps by their mean. Plus pools them by ranking, keeps the class tokens of an image apart, and takes
    the square root of maps times attention, with the attention averaged over all blocks.
    """

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__(settings, text, weights)
        shape = (self.classes, self.encoder.width)
        self.class_tokens = nn.Parameter(self.encoder.start_token().repeat(self.classes, 1))  # [C, D]
        self.class_position = nn.Parameter(nn.init.trunc_normal_(torch.zeros(shape), std=0.02))
        self.patch_classifier = nn.Conv2d(self.encoder.width, self.classes, kernel_size=3, padding=1)
        self.method = method_of(settings, MctformerSettings)
        self.plus = self.method.version == "plus"

    def forward(
        self, inputs: Tensor | list[Tensor], *, attention: Attention = NO_ATTENTION
    ) -> tuple[Tensor, Tensor, Attended]:
        """Patch maps [B, C, rows, columns] of normalised images (or frozen features), the class tokens' scores [B, C]
        and all tokens."""
        keep = self.plus and self.training
        ((attended, grid),) = self.through_blocks([inputs], attention=attention, each_block=keep)
        return self._patch_maps(attended, grid), attended.class_tokens.mean(dim=-1), attended

    def tokens_at_input(self) -> Tensor:
        return self.class_tokens + self.class_position

    def _patch_maps(self, attended: Attended, grid: Grid) -> Tensor:
        rows, columns = grid
        tokens = rearrange(attended.patches, "b (rows columns) d -> b d rows columns", rows=rows, columns=columns)
        return self.patch_classifier(tokens)

    def losses(self, inputs: Tensor | list[Tensor], labels: Tensor, embedding: Tensor) -> dict[str, Tensor]:
        """MLSM of the class tokens' means and of the pooled patch maps; plus adds the contrast of class tokens."""
        maps, class_scores, attended = self(inputs)
        losses = {
            "loss_class_tokens": F.multilabel_soft_margin_loss(class_scores.float(), labels),
            "loss_patch_maps": F.multilabel_soft_margin_loss(self._pool(maps), labels),
        }
        if attended.each_block is not None:
            contrast = class_token_contrast(attended.each_block.float(), labels)
            losses["loss_contrast"] = self.method.contrast_weight * contrast
        return losses

    def _pool(self, maps: Tensor) -> Tensor:
        values = maps.float().flatten(2)
        if self.plus:
            return global_weighted_ranking_pooling(values, self.method.pooling_decay)
        return values.mean(dim=-1)

    def attention_of_maps(self, settings: MapSettings) -> Attention:
        return wanted_attention(settings, classes=True, usual=ALL_BLOCKS if self.plus else USUAL_BLOCKS)

    def located(self, attended: Attended, grid: Grid, settings: MapSettings) -> Located:
        """ReLU of the patch maps times class-to-patch attention of the last blocks (plus: the square root of it),
        smoothed by patch attention if `patch_affinity` is set."""
        assert attended.class_attention is not None  # asked for
        maps = self._patch_maps(attended, grid)
        patch_maps = torch.relu(maps.float())
        class_attention = attended.class_attention.float()
        fused = patch_maps.flatten(2) * class_attention
        if self.plus:
            fused = fused.sqrt()
        if attended.patch_attention is not None:
            fused = fused @ attended.patch_attention.float().mT
        kinds = {"patch maps": patch_maps, "class attention": class_attention.unflatten(-1, grid)}
        scores = (attended.class_tokens.mean(dim=-1).float() + self._pool(maps)) / 2
        return Located(fused.unflatten(-1, grid), kinds, scores)
