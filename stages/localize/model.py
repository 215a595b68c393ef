"""The localization transformer (MMCST): class-specific visual and textual tokens correlated with patch tokens.

B images, C classes, N patches, D width, E width of the language embeddings.
"""

from dataclasses import dataclass

import torch
from timm.layers import Mlp
from torch import Tensor, nn

from stages.localize.encoders import Encoder, Grid, attention_weights
from stages.localize.tokens import combine, correlate, global_weighted_ranking_pooling
from stages.settings import LocalizeSettings


@dataclass(frozen=True)
class TokenKind:
    """What one kind of class token (visual or textual) gives for a batch.

    tokens: after the blocks and their visual context, [B, C, D].  maps: over patches, [B, C, N].  scores: [B, C].
    """

    tokens: Tensor
    maps: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Localization:
    """Result of one forward pass. `text` is None where the settings have visual tokens only.

    class_scores: mean over D of each visual token, [B, C].  grid: patches as (rows, columns).
    class_attention: [B, kinds * C, N] and patch_attention: [B, N, N], means over the last blocks; only when asked for.
    """

    visual: TokenKind
    text: TokenKind | None
    class_scores: Tensor
    grid: Grid
    class_attention: Tensor | None = None
    patch_attention: Tensor | None = None

    @property
    def classifiers(self) -> list[Tensor]:
        """The image scores that the classification loss is summed over, each [B, C]."""
        kinds = [self.visual] if self.text is None else [self.text, self.visual]
        return [self.class_scores, *(kind.scores for kind in kinds)]


class Correlation(nn.Module):
    """Maps and pooled scores of one kind of class token.

    `cosine` learns a scale of the maps and a bias of the score: the products of L2-normalised tokens lie in [-1, 1],
    too narrow for a logit. `dot` is the paper's plain product times a fixed scale.
    """

    def __init__(self, settings: LocalizeSettings) -> None:
        super().__init__()
        self.kind = settings.correlation
        self.decay = settings.pooling_decay
        learned = self.kind == "cosine"
        self.scale = nn.Parameter(torch.tensor(10.0 if learned else settings.correlation_scale), requires_grad=learned)
        self.bias = nn.Parameter(torch.tensor(-1.5 if learned else 0.0), requires_grad=learned)

    def forward(self, tokens: Tensor, patches: Tensor) -> TokenKind:
        maps = self.scale * correlate(tokens, patches, correlation=self.kind)
        scores = global_weighted_ranking_pooling(maps.float(), self.decay) + self.bias
        return TokenKind(tokens=tokens, maps=maps, scores=scores)


class Localizer(nn.Module):
    """The localization transformer.

    Args:
        settings: the section `localize`.
        encoder: gives patch tokens and the blocks.
        text: CLIP text embedding of each class, [C, E]; start of the learned textual tokens.
    """

    def __init__(self, settings: LocalizeSettings, encoder: Encoder, text: Tensor) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = encoder
        classes, language_width = text.shape
        width = encoder.width
        self.visual_tokens = nn.Parameter(encoder.start_token().repeat(classes, 1))  # [C, D]
        self.visual_position = nn.Parameter(nn.init.trunc_normal_(torch.zeros(classes, width), std=0.02))
        self.visual_correlation = Correlation(settings)
        self.multimodal = settings.tokens == "multimodal"
        if self.multimodal:
            self.text_embeddings = nn.Parameter(text.detach().clone())  # [C, E]
            self.text_mlp = Mlp(language_width, hidden_features=width, out_features=width)
            self.text_correlation = Correlation(settings)
        if settings.language_context != "none":
            self.language_projection = nn.Linear(width, language_width)

    def class_tokens(self) -> Tensor:
        """[V0; T0] at the input, [C or 2C, D]."""
        visual = self.visual_tokens + self.visual_position
        return torch.cat((visual, self.text_mlp(self.text_embeddings))) if self.multimodal else visual

    def forward(self, images: Tensor | list[Tensor], *, attention_blocks: int = 0) -> Localization:
        """Normalised images [B, 3, H, W] (or the hybrid encoder's frozen features of them) to maps and scores.

        attention_blocks: average the attention of this many last blocks into the result; 0 leaves attention out.
        """
        patches, grid = self.encoder.patches(images)  # [B, N, D]
        tokens = self.class_tokens()
        count = len(tokens)
        tokens = torch.cat((tokens.expand(len(patches), -1, -1), patches), dim=1)  # [V; T; P]
        attention: list[Tensor] = []
        for position, block in enumerate(self.encoder.blocks):
            if position >= len(self.encoder.blocks) - attention_blocks:
                attention.append(attention_weights(block, tokens))
            tokens = block(tokens)
        tokens = self.encoder.norm(tokens)
        mean_attention = torch.stack(attention).mean(dim=0) if attention else None
        return self._localize(tokens[:, :count], tokens[:, count:], grid, mean_attention)

    def _localize(self, class_tokens: Tensor, patches: Tensor, grid: Grid, attention: Tensor | None) -> Localization:
        """From the last norm's output to maps: class_tokens [B, C or 2C, D], patches [B, N, D]."""
        settings, count = self.settings, class_tokens.shape[1]
        visual, *text = class_tokens.split(len(self.visual_tokens), dim=1)
        representation = settings.representation
        visual_out = combine(visual, patches, representation=representation, weight=settings.visual_context_weight)
        text_kind = None
        if text:
            text_out = combine(text[0], patches, representation=representation, weight=settings.text_context_weight)
            text_kind = self.text_correlation(text_out, patches)
        return Localization(
            visual=self.visual_correlation(visual_out, patches),
            text=text_kind,
            class_scores=visual.mean(dim=-1),
            grid=grid,
            class_attention=None if attention is None else attention[:, :count, count:],
            patch_attention=None if attention is None else attention[:, count:, count:],
        )
