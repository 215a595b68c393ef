"""Token semantic coupled attention map: class maps of the patches times the class token's attention.

Source: Gao et al., TS-CAM: Token Semantic Coupled Attention Map for Weakly Supervised Object Localization, ICCV 2021.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from stages.localize.attention import ALL_BLOCKS, NO_ATTENTION, Attended, Attention
from stages.localize.encoders import Grid
from stages.localize.localizer import Located, StateDict
from stages.localize.transformer import TransformerLocalizer
from stages.settings import LocalizeSettings, MapSettings


class TsCam(TransformerLocalizer):
    """A transformer with one class token; a 3 x 3 convolution turns its patch tokens into class maps."""

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__(settings, text, weights)
        self.class_token = nn.Parameter(self.encoder.start_token()[None])  # [1, D]
        self.semantic = nn.Conv2d(self.encoder.width, self.classes, kernel_size=3, padding=1)

    def forward(
        self, inputs: Tensor | list[Tensor], *, attention: Attention = NO_ATTENTION
    ) -> tuple[Tensor, Attended, Grid]:
        """Semantic maps [B, C, rows, columns] of normalised images (or frozen features), tokens and the patch grid."""
        ((attended, grid),) = self.through_blocks([inputs], attention=attention)
        return self._semantic_maps(attended, grid), attended, grid

    def tokens_at_input(self) -> Tensor:
        return self.class_token

    def _semantic_maps(self, attended: Attended, grid: Grid) -> Tensor:
        rows, columns = grid
        tokens = rearrange(attended.patches, "b (rows columns) d -> b d rows columns", rows=rows, columns=columns)
        return self.semantic(tokens)

    def losses(self, inputs: Tensor | list[Tensor], labels: Tensor, embedding: Tensor) -> dict[str, Tensor]:
        """Multi-label soft margin loss on the mean of each semantic map (the paper uses the single-label one)."""
        semantic, _, _ = self(inputs)
        return {"loss_maps": F.multilabel_soft_margin_loss(semantic.float().mean(dim=(-2, -1)), labels)}

    def attention_of_maps(self, settings: MapSettings) -> Attention:
        return Attention(classes=ALL_BLOCKS)

    def located(self, attended: Attended, grid: Grid, settings: MapSettings) -> Located:
        """ReLU of the semantic maps times the class token's attention, averaged over all heads and blocks."""
        assert attended.class_attention is not None  # asked for
        rows, columns = grid
        semantic = self._semantic_maps(attended, grid)
        attention = rearrange(
            attended.class_attention.float(), "b one (rows columns) -> b one rows columns", rows=rows, columns=columns
        )
        meaning = torch.relu(semantic.float())
        kinds = {"semantic": meaning, "attention": attention.expand_as(meaning)}
        return Located(meaning * attention, kinds, semantic.float().mean(dim=(-2, -1)))
