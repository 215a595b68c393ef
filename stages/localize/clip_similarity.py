"""Training-free maps: how similar CLIP finds each patch of an image and the text of each class.

B images, C classes, E width of the joint space.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor

from stages.localize.clip_tower import ClipLocalizer, tokens_before_last_block
from stages.localize.localizer import Located, StateDict, method_of
from stages.settings import ClipSettings, LocalizeSettings, MapSettings


class ClipSimilarity(ClipLocalizer):
    """Similarity of CLIP's patch features and class texts.

    Source: Zhou, Loy and Dai, Extract Free Dense Labels from CLIP (MaskCLIP), ECCV 2022, section 3.2. MaskCLIP
    labels each patch with the most similar class; here a softmax over the classes weights the similarities.
    """

    def __init__(
        self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None, *, tower: Mapping[str, Any]
    ) -> None:
        super().__init__(settings, text, weights, tower=tower)
        self.method = method_of(settings, ClipSettings)

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        """Maps are the product of two kinds: `similarity`, the ReLU of each patch's cosine with each class's text, and
        `softmax`, over the classes, of these cosines divided by `temperature`.

        Scores: `class_scores` of the pooled image at the same temperature.
        """
        if not isinstance(images, Tensor):
            raise TypeError("CLIP takes images, not features of them")
        patches, pooled = self.features(images)
        # CLIP's cosines differ by hundredths, which bfloat16 would round off.
        with torch.autocast(images.device.type, enabled=False):
            cosines = torch.einsum("berl,ce->bcrl", F.normalize(patches.float(), dim=1), self.text.float())
        kinds = {
            "similarity": torch.relu(cosines),
            "softmax": (cosines / self.method.temperature).softmax(dim=1),
        }
        scores = self.class_scores(pooled, self.method.temperature)
        return Located(kinds["similarity"] * kinds["softmax"], kinds, scores)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images [B, 3, H, W] to patch features [B, E, rows, columns] and image embeddings [B, E], not
        normalised."""
        return (_vit_features if isinstance(self.tower, VisionTransformer) else _cnn_features)(self.tower, images)


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
