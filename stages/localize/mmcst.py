"""The localization transformer (MMCST): class-specific visual and textual tokens correlated with patch tokens.

B images, C classes, N patches, D width, E width of the language embeddings.
"""

from dataclasses import dataclass

import torch
import torch.distributed.nn.functional
import torch.nn.functional as F
from einops import rearrange
from timm.layers import Mlp
from torch import Tensor, nn

from stages.localize.attention import NO_ATTENTION, Attended, Attention, wanted_attention
from stages.localize.encoders import Grid
from stages.localize.localizer import Located, StateDict, method_of
from stages.localize.tokens import (
    attention_of_maps,
    attention_of_tokens,
    combine,
    contrastive_loss,
    correlate,
    entropy_share,
    global_weighted_ranking_pooling,
    local_tokens,
    mean_of_own_classes,
)
from stages.localize.transformer import TransformerLocalizer
from stages.settings import LocalizeSettings, MapSettings, MmcstSettings

# Initial bias of the scores: most classes are absent from an image, and the first steps need not learn that.
ABSENT = -1.5


@dataclass(frozen=True)
class TokenKind:
    """The output of one kind of class token (visual or textual) for a batch.

    tokens: after the blocks, with their visual context, [B, C, D].  maps: over patches, [B, C, N].  scores: [B, C].
    entropy: of the visual context's attention, as a share of that of a uniform one; None without context.
    """

    tokens: Tensor
    maps: Tensor
    scores: Tensor
    entropy: Tensor | None = None


@dataclass(frozen=True)
class Localization:
    """Result of one forward pass. `text` is None if the settings have visual tokens only.

    class_scores: mean over D of each visual token, with a learned scale and bias, [B, C].  grid: patches as (rows,
    columns).
    class_attention: [B, kinds * C, N], visual first, and patch_attention: [B, N, N], means over the last blocks; only
    if asked for.
    """

    visual: TokenKind
    text: TokenKind | None
    class_scores: Tensor
    grid: Grid
    class_attention: Tensor | None = None
    patch_attention: Tensor | None = None

    @property
    def classifiers(self) -> list[Tensor]:
        """The image scores that the classification loss sums over, each [B, C]."""
        kinds = [self.visual] if self.text is None else [self.text, self.visual]
        return [self.class_scores, *(kind.scores for kind in kinds)]


class Correlation(nn.Module):
    """Maps and pooled scores of one kind of class token, with and without its visual context.

    Maps are products over sqrt(D) times a learned scale; scores have a learned bias. Both are initialised on the first
    batch.

    Args:
        settings: the method's own.
        weight: lambda, the weight of the local tokens.
    """

    def __init__(self, settings: MmcstSettings, weight: float) -> None:
        super().__init__()
        self.context = settings.context
        self.decay = settings.pooling_decay
        self.weight = weight
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(ABSENT))

    def forward(self, tokens: Tensor, patches: Tensor, representation: str) -> TokenKind:
        maps = self.scale * correlate(tokens, patches)
        if representation == "global":
            return TokenKind(tokens, maps, self._pool(maps))
        if self.context.attention == "map":
            attention = attention_of_maps(maps.float(), self.context.power)
        else:
            attention = attention_of_tokens(tokens, patches)
        local = local_tokens(attention, tokens, patches, centred=self.context.centred, matched=self.context.matched)
        combined = combine(tokens, local, representation=representation, weight=self.weight)
        with_context = self.scale * correlate(combined, patches)
        scored = with_context if self.context.scores == "context" else maps
        return TokenKind(combined, with_context, self._pool(scored), entropy_share(attention.detach()))

    def start(self, tokens: Tensor, patches: Tensor) -> None:
        """Scales maps to a mean deviation of 1 over the patches of an image, and shifts scores to a mean of ABSENT."""
        maps = correlate(tokens.float(), patches.float())
        self.scale.fill_(1 / maps.var(dim=-1).mean().sqrt().clamp(min=torch.finfo(maps.dtype).tiny))
        self.bias.zero_()
        self.bias.fill_(ABSENT - self._pool(self.scale * maps).mean())

    def _pool(self, maps: Tensor) -> Tensor:
        return global_weighted_ranking_pooling(maps.float(), self.decay) + self.bias


class Mmcst(TransformerLocalizer):
    """The localization transformer.

    Args:
        settings: the section `localize`.
        text: CLIP text embedding of each class, [C, E]; initial value of the learned textual tokens.
        weights: pretrained weights of the encoder; None if a trained state is loaded afterwards.
    """

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__(settings, text, weights)
        classes, language_width, width = self.classes, self.language_width, self.encoder.width
        self.visual_tokens = nn.Parameter(self.encoder.start_token().repeat(classes, 1))  # [C, D]
        self.visual_position = nn.Parameter(nn.init.trunc_normal_(torch.zeros(classes, width), std=0.02))
        self.class_scale = nn.Parameter(torch.tensor(1.0))
        self.class_bias = nn.Parameter(torch.tensor(ABSENT))
        method = method_of(settings, MmcstSettings)
        self.method = method
        self.visual_correlation = Correlation(method, method.visual_context_weight)
        self.multimodal = method.tokens == "multimodal"
        if self.multimodal:
            self.text_embeddings = nn.Parameter(text.detach().clone())  # [C, E]
            self.text_mlp = Mlp(language_width, hidden_features=width, out_features=width)
            self.text_correlation = Correlation(method, method.text_context_weight)
        if method.language_context != "none":
            self.language_projection = nn.Linear(width, language_width)

    def tokens_at_input(self) -> Tensor:
        """[V0; T0], [C or 2C, D]."""
        visual = self.visual_tokens + self.visual_position
        return torch.cat((visual, self.text_mlp(self.text_embeddings))) if self.multimodal else visual

    @torch.no_grad()
    def start(self, inputs: Tensor | list[Tensor]) -> None:
        """Initialises the learned scales and biases from the first batch.

        Raw tokens of a pretrained ViT are orders of magnitude longer than those of new blocks: at a fixed scale the
        ViT's losses start near 100, and the new blocks' maps hardly learn. Source of the idea: Salimans and Kingma,
        Weight Normalization, NeurIPS 2016, section 3.
        """
        self.eval()
        ((attended, _),) = self.through_blocks([inputs])
        visual, *text = attended.class_tokens.split(len(self.visual_tokens), dim=1)
        self.visual_correlation.start(visual, attended.patches)
        if text:
            self.text_correlation.start(text[0], attended.patches)
        # The mean of D entries varies sqrt(D) times less than the entries.
        self.class_scale.fill_(visual.shape[-1] ** 0.5 / visual.pow(2).mean().sqrt())
        self.class_bias.fill_(ABSENT - self.class_scale * visual.mean())
        self.train()

    def forward(
        self,
        images: Tensor | list[Tensor],
        *,
        attention: Attention = NO_ATTENTION,
        representation: str | None = None,
    ) -> Localization:
        """Normalised images [B, 3, H, W] (or the hybrid encoder's frozen features of them) to maps and scores.

        representation: class tokens that maps are read from, if different from those in training.
        """
        ((attended, grid),) = self.through_blocks([images], attention=attention)
        return self._localize(attended, grid, representation or self.method.representation)

    def _localize(self, attended: Attended, grid: Grid, representation: str) -> Localization:
        patches = attended.patches
        visual, *text = attended.class_tokens.split(len(self.visual_tokens), dim=1)
        return Localization(
            visual=self.visual_correlation(visual, patches, representation),
            text=self.text_correlation(text[0], patches, representation) if text else None,
            class_scores=self.class_scale * visual.mean(dim=-1) + self.class_bias,
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
        if output.text is not None and self.method.language_context != "none":
            predicted = self.language_projection(mean_of_own_classes(output.text.tokens, labels)).float()
            losses["loss_language"] = self.method.language_weight * self._language_loss(predicted, embedding, labels)
        # Not losses, but logged with them: a uniform attention gives all classes the same context.
        entropies = {"visual": output.visual.entropy, "text": output.text.entropy if output.text else None}
        return losses | {f"entropy_{name}": value for name, value in entropies.items() if value is not None}

    def _language_loss(self, predicted: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:
        """Over the images with tags, of all ranks; one without has no class whose token could be compared."""
        tagged = over_all_ranks(labels.amax(dim=1)) > 0
        predicted, embedding = over_all_ranks(predicted), over_all_ranks(embedding)
        if self.method.language_context == "caption_l1":
            distances = (F.normalize(predicted, dim=-1) - F.normalize(embedding, dim=-1)).abs().mean(dim=-1)
            return (distances * tagged).sum() / tagged.sum().clamp(min=1)
        return contrastive_loss(predicted, embedding, self.method.temperature, counted=tagged)

    def attention_of_maps(self, settings: MapSettings) -> Attention:
        return wanted_attention(settings, classes=settings.class_attention)

    def located(self, attended: Attended, grid: Grid, settings: MapSettings) -> Located:
        """ReLU of each kind's maps, times its class-to-patch attention and smoothed by patch attention if set."""
        output = self._localize(attended, grid, settings.representation or self.method.representation)
        kinds = {"visual": torch.relu(output.visual.maps).float()}
        if output.text is not None:
            kinds["text"] = torch.relu(output.text.maps).float()
        if output.class_attention is not None:
            of_kinds = output.class_attention.float().chunk(len(kinds), dim=1)
            kinds = {name: maps * own for (name, maps), own in zip(kinds.items(), of_kinds, strict=True)}
        if output.patch_attention is not None:
            kinds = {name: maps @ output.patch_attention.float().mT for name, maps in kinds.items()}
        rows, columns = grid
        kinds = {
            name: rearrange(maps, "b c (rows columns) -> b c rows columns", rows=rows, columns=columns)
            for name, maps in kinds.items()
        }
        # Without textual tokens there are only visual maps, whatever the setting's default.
        chosen = kinds if settings.source == "sum" or settings.source not in kinds else {settings.source: 0}
        maps = torch.stack([kinds[name] for name in chosen]).sum(dim=0)
        return Located(maps, kinds, torch.stack(output.classifiers).float().mean(dim=0))


def over_all_ranks(batch: Tensor) -> Tensor:
    """The batches of all ranks of a distributed training, concatenated, with gradient; the batch itself with only one
    process.

    Its gradient sums over ranks and DistributedDataParallel averages: together, the gradient of the whole batch.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return batch
    return torch.cat(torch.distributed.nn.functional.all_gather(batch))
