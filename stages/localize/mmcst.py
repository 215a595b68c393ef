"""The localization transformer (MMCST): class-specific visual and textual tokens correlated with patch tokens.

B images, C classes, N patches, D width, E width of the language embeddings.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import Mlp
from torch import Tensor, nn

from stages.localize.attention import NO_ATTENTION, Attended, Attention, run_blocks, wanted_attention
from stages.localize.encoders import Grid
from stages.localize.localizer import Located, StateDict
from stages.localize.ranks import over_all_ranks
from stages.localize.tokens import (
    combine,
    contrastive_loss,
    correlate,
    global_weighted_ranking_pooling,
    mean_of_own_classes,
)
from stages.localize.transformer import TransformerLocalizer
from stages.settings import LocalizeSettings, MapSettings


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
    class_attention: [B, kinds * C, N], visual first, and patch_attention: [B, N, N], means over the last blocks; only
    when asked for.
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
        self.scale = nn.Parameter(
            torch.tensor(settings.cosine_scale if learned else settings.correlation_scale), requires_grad=learned
        )
        self.bias = nn.Parameter(torch.tensor(-1.5 if learned else 0.0), requires_grad=learned)

    def forward(self, tokens: Tensor, patches: Tensor) -> TokenKind:
        maps = self.scale * correlate(tokens, patches, correlation=self.kind)
        scores = global_weighted_ranking_pooling(maps.float(), self.decay) + self.bias
        return TokenKind(tokens=tokens, maps=maps, scores=scores)


class Mmcst(TransformerLocalizer):
    """The localization transformer.

    Args:
        settings: the section `localize`.
        text: CLIP text embedding of each class, [C, E]; start of the learned textual tokens.
        weights: pretrained weights of the encoder; None where a trained state is loaded afterwards.
    """

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__(settings, text, weights)
        classes, language_width, width = self.classes, self.language_width, self.encoder.width
        self.visual_tokens = nn.Parameter(self.encoder.start_token().repeat(classes, 1))  # [C, D]
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

    def forward(self, images: Tensor | list[Tensor], *, attention: Attention = NO_ATTENTION) -> Localization:
        """Normalised images [B, 3, H, W] (or the hybrid encoder's frozen features of them) to maps and scores."""
        patches, grid = self.encoder.patches(images)  # [B, N, D]
        attended = run_blocks(self.encoder.blocks, self.encoder.norm, self.class_tokens(), patches, attention=attention)
        return self._localize(attended, grid)

    def _localize(self, attended: Attended, grid: Grid) -> Localization:
        settings, patches = self.settings, attended.patches
        visual, *text = attended.class_tokens.split(len(self.visual_tokens), dim=1)
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
            class_attention=attended.class_attention,
            patch_attention=attended.patch_attention,
        )

    def losses(self, inputs: Tensor | list[Tensor], labels: Tensor, embedding: Tensor) -> dict[str, Tensor]:
        """L = MLSM(y_cls) + MLSM(y_t2p) + MLSM(y_c2p) + w * L_language (DESIGN; MMCST, equations of section 3)."""
        output = self(inputs)
        names = ["loss_class_tokens", *(["loss_text_maps"] if output.text is not None else []), "loss_visual_maps"]
        losses = {
            name: F.multilabel_soft_margin_loss(scores.float(), labels)
            for name, scores in zip(names, output.classifiers, strict=True)
        }
        if output.text is not None and self.settings.language_context != "none":
            predicted = self.language_projection(mean_of_own_classes(output.text.tokens, labels)).float()
            losses["loss_language"] = self.settings.language_weight * self._language_loss(predicted, embedding)
        return losses

    def _language_loss(self, predicted: Tensor, embedding: Tensor) -> Tensor:
        if self.settings.language_context == "caption_l1":
            return F.l1_loss(F.normalize(predicted, dim=-1), F.normalize(embedding, dim=-1))
        return contrastive_loss(over_all_ranks(predicted), over_all_ranks(embedding), self.settings.temperature)

    def locate(self, images: Tensor, settings: MapSettings) -> Located:
        """ReLU of each kind's maps, times its class-to-patch attention and smoothed by patch attention where asked."""
        output = self(images, attention=wanted_attention(settings, classes=settings.class_attention))
        kinds = {"visual": torch.relu(output.visual.maps).float()}
        if output.text is not None:
            kinds["text"] = torch.relu(output.text.maps).float()
        if output.class_attention is not None:
            attention = output.class_attention.float().chunk(len(kinds), dim=1)
            kinds = {name: maps * own for (name, maps), own in zip(kinds.items(), attention, strict=True)}
        if output.patch_attention is not None:
            kinds = {name: maps @ output.patch_attention.float().mT for name, maps in kinds.items()}
        rows, columns = output.grid
        kinds = {
            name: rearrange(maps, "b c (rows columns) -> b c rows columns", rows=rows, columns=columns)
            for name, maps in kinds.items()
        }
        # Without textual tokens the visual maps are all there is, whatever the setting's default says.
        chosen = kinds if settings.source == "sum" or settings.source not in kinds else {settings.source: 0}
        maps = torch.stack([kinds[name] for name in chosen]).sum(dim=0)
        return Located(maps, kinds, torch.stack(output.classifiers).float().mean(dim=0))
