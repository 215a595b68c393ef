"""CLIP-ES: Grad-CAM of what CLIP says of an image's tags, spread by the attention of CLIP's own patches.

B images, C classes, G background texts, N patches, D width of the tower, E width of the joint space.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.localize.class_affinity import affinity_of, spread
from stages.localize.clip_localizer import ClipLocalizer
from stages.localize.grad_cam import grad_cam, tag_odds
from stages.localize.inference import scale_to_one
from stages.localize.localizer import Located, StateDict, method_of
from stages.networks.towers.tower import Grid, VitTower
from stages.settings import ClipEsSettings, LocalizeSettings, MapSettings

USUAL_STEPS = 2


@dataclass(frozen=True)
class Explained:
    """What a tower makes of a batch, and how the rest of it goes on from the features that are explained.

    features: [B, prefix + N, D].  embed: from such features to the image embedding that is compared with texts, [B, E].
    prefix: tokens before the patches.  grid: rows and columns of the patches.  embedded: the tower's own image
    embedding, [B, E].  attention: of patches to patches, the mean over the last blocks, [B, N, N]; None without.
    """

    features: Tensor
    embed: Callable[[Tensor], Tensor]
    prefix: int
    grid: tuple[int, int]
    embedded: Tensor
    attention: Tensor | None


def at_least_float32(values: Tensor) -> Tensor:
    """Values in float32, or in float64 if they are."""
    return values if values.dtype == torch.float64 else values.float()


class ClipEs(ClipLocalizer):
    """CLIP-ES (Lin et al., CLIP is Also an Efficient Segmenter, CVPR 2023): section 3.2, softmax Grad-CAM, at the input
    of the last block's attention or, of a CNN, its last feature map; section 3.3, class-aware attention-based affinity.

    Args:
        background_texts: what the background texts name, as in `encode.backgrounds`; stored with the weights.
        backgrounds: their embeddings [G, E]; None if a stored state is loaded afterwards.

    Raises SettingsError for a tower that the method cannot explain, or for affinities of a CNN.
    """

    def __init__(
        self,
        settings: LocalizeSettings,
        text: Tensor,
        weights: StateDict | None,
        *,
        tower: Mapping[str, Any],
        background_texts: Sequence[str],
        backgrounds: Tensor | None = None,
    ) -> None:
        super().__init__(settings, text, weights, tower=tower)
        self.method = method_of(settings, ClipEsSettings)
        self.described = {"tower": tower, "background_texts": list(background_texts)}
        attends = isinstance(self.opened, VitTower)
        self.steps = (USUAL_STEPS if attends else 0) if self.method.steps is None else self.method.steps
        if backgrounds is None:
            backgrounds = torch.zeros(len(background_texts), self.language_width)
        self.backgrounds: Tensor
        self.register_buffer("backgrounds", F.normalize(backgrounds.detach().float(), dim=1))  # [G, E]

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        """As `locate_tagged`, of images whose tags are not known."""
        tags = torch.zeros(len(images), self.classes, dtype=torch.bool, device=self.text.device)
        return self.locate_tagged([images], settings, [tags])[0]

    def locate_tagged(
        self, images: Sequence[Tensor | list[Tensor]], settings: MapSettings, tags: Sequence[Tensor]
    ) -> list[Located]:
        """Maps of the tags, 0 for other classes: `grad_cam`, each scaled to [0, 1], and `affinity`, these after the
        affinity's steps, if there are any. Scores: `class_scores` of the tower's own image embedding.

        An image without tags is taken to show the classes whose score reaches `localize.class_threshold` in it. Scores
        are averaged over scales and mirrored copies, so a class that reaches it in the end has a map from at least one.
        """
        return [self._locate(own, shown) for own, shown in zip(images, tags, strict=True)]

    def _locate(self, images: Tensor | list[Tensor], tags: Tensor) -> Located:
        if not isinstance(images, Tensor):
            raise TypeError("CLIP takes images, not features of them")
        explained = self.explain(images)
        scores = self.class_scores(explained.embedded, self.method.temperature)
        found = torch.sigmoid(scores) >= self.settings.class_threshold
        tags = torch.where(tags.any(dim=1, keepdim=True), tags, found)
        # Gradients of a few thousandths would be lost in bfloat16. What inference mode made has none, its copies do.
        with torch.inference_mode(False), torch.autocast(images.device.type, enabled=False):
            features, tags = at_least_float32(explained.features).clone(), tags.clone()
            maps = grad_cam(features, tags, self._odds(explained, tags), prefix=explained.prefix)
            maps = scale_to_one(maps.unflatten(2, explained.grid))
            kinds = {"grad_cam": maps}
            if explained.attention is not None:
                kinds["affinity"] = maps = self._spread(maps, tags, explained.attention.clone())
        return Located(maps, kinds, scores)

    def explain(self, images: Tensor) -> Explained:
        """What the tower makes of normalised images [B, 3, H, W]."""
        if isinstance(self.opened, VitTower):
            return self._explain_vit(self.opened, images)
        tower = self.opened
        features, grid = tower.before_last(images)
        return Explained(features, lambda own: tower.pooled(own, grid), 0, grid, tower.pooled(features, grid), None)

    def _explain_vit(self, tower: VitTower, images: Tensor) -> Explained:
        tokens, grid = tower.enter(images)
        first = tower.depth - self.method.attention_blocks if self.steps else tower.depth
        total, before = None, tokens
        for number in range(tower.depth):
            before = tokens
            if number < first:
                tokens = tower.run(number, tokens, grid)
                continue
            tokens, own = tower.with_attention(number, tokens, grid)
            total = own if total is None else total + own
        attention = None if total is None else total / (tower.depth - max(0, first))
        # The paper explains what comes out of the last block's first norm, beside which the tokens themselves pass.
        passing = at_least_float32(before)
        features = tower.attention_inputs(tower.depth - 1, passing)
        embed = self._after_norm(tower, passing, grid)
        return Explained(features, embed, tower.prefix, grid, tower.pool(tokens), attention)

    def _after_norm(self, tower: VitTower, passing: Tensor, grid: Grid) -> Callable[[Tensor], Tensor]:
        def embed(features: Tensor) -> Tensor:
            tokens = tower.after_last(passing.clone(), features, grid)
            return tower.pool(tokens) if self.method.embedding == "tower" else tower.mean_embedding(tokens)

        return embed

    def _odds(self, explained: Explained, tags: Tensor) -> Callable[[Tensor], Tensor]:
        def odds(features: Tensor) -> Tensor:
            embedded, temperature = explained.embed(features), self.method.temperature
            return tag_odds(embedded, self.text, self.backgrounds, tags, temperature=temperature)

        return odds

    def _spread(self, maps: Tensor, tags: Tensor, attention: Tensor) -> Tensor:
        affinity = affinity_of(attention, self.method.sinkhorn)
        spreaded = torch.zeros_like(maps)
        for own, of_image, kept, matrix in zip(spreaded, maps, tags, affinity, strict=True):
            if kept.any():
                own[kept] = spread(of_image[kept], matrix, threshold=self.method.box_threshold, steps=self.steps)
        return spreaded
