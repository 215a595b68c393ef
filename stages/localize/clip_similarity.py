"""Training-free maps: how similar CLIP finds each patch of an image and the text of each class.

B images, C classes, E width of the joint space.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from stages.errors import SettingsError
from stages.localize.clip_dense import proxy_features, value_features
from stages.localize.clip_localizer import ClipLocalizer
from stages.localize.localizer import Located, StateDict, method_of
from stages.localize.windows import Windows, windows_of
from stages.networks.frozen_patches import FrozenPatches
from stages.networks.towers.tower import Grid, VitTower
from stages.settings import ClipSettings, LocalizeSettings, MapSettings

PLACE = "localize.method"


class ClipSimilarity(ClipLocalizer):
    """Similarity of CLIP's patch features and class texts.

    Source: Zhou, Loy and Dai, Extract Free Dense Labels from CLIP (MaskCLIP), ECCV 2022, section 3.2. MaskCLIP
    labels each patch with the most similar class; here a softmax over the classes weights the similarities. Patch
    features are MaskCLIP's, SCLIP's or ProxyCLIP's (`stages.localize.clip_dense`).

    Args:
        proxy: weights of `method.proxy`, a timm state dict; None if a trained state is loaded afterwards.

    Raises SettingsError, besides those of `ClipLocalizer`, where the tower or the proxy does not fit the settings.
    """

    def __init__(
        self,
        settings: LocalizeSettings,
        text: Tensor,
        weights: StateDict | None,
        *,
        tower: Mapping[str, Any],
        proxy: StateDict | None = None,
    ) -> None:
        super().__init__(settings, text, weights, tower=tower)
        self.method = method_of(settings, ClipSettings)
        self.proxy: FrozenPatches | None = None
        cells = 1
        if self.method.attention == "proxy":
            if weights is not None and proxy is None:
                raise SettingsError(
                    f"{PLACE}.attention: 'proxy' needs --proxy, the weights of {self.method.proxy.model}"
                )
            self.proxy = FrozenPatches(self.method.proxy, proxy, place=f"{PLACE}.proxy")
            cells = -(-self.stride // self.proxy.stride)
        self.windows: Windows | None = None
        if self.method.window is not None:
            self.windows = windows_of(self.method.window, self.method.step, self.stride, cells=cells, place=PLACE)
        mean, deviation = (torch.tensor(tuple(values)).view(3, 1, 1) for values in self.statistics)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        """Maps are the product of two kinds: `similarity`, the ReLU of each patch's cosine with each class's text, and
        `softmax`, over the classes, of these cosines divided by `temperature`. With windows, the cosines are means over
        those that cover a patch. With a proxy, maps are on its grid, or with windows on CLIP's with patches divided.

        Scores: `class_scores` of the pooled image at the same temperature.
        """
        if not isinstance(images, Tensor):
            raise TypeError("CLIP takes images, not features of them")
        if self.windows is None or self._fit_one_window(images):
            patches, pooled = self.features(images)
            cosines = self._cosines(patches)
        else:
            cosines = self.windows.mean_over(
                images, self.stride, lambda own: self._cosines(self._patches(*self.opened.before_last(own), own))
            )
            pooled = self.opened.pooled(*self.opened.before_last(images))
        kinds = {
            "similarity": torch.relu(cosines),
            "softmax": (cosines / self.method.temperature).softmax(dim=1),
        }
        scores = self.class_scores(pooled, self.method.temperature)
        return Located(kinds["similarity"] * kinds["softmax"], kinds, scores)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images [B, 3, H, W] to patch features [B, E, rows, columns] and image embeddings [B, E], not
        normalised. The image embedding is the tower's own."""
        tokens, grid = self.opened.before_last(images)
        return self._patches(tokens, grid, images), self.opened.pooled(tokens, grid)

    def _fit_one_window(self, images: Tensor) -> bool:
        side = 0 if self.windows is None else self.windows.side
        return max(images.shape[-2:]) <= side * self.stride

    def _cosines(self, patches: Tensor) -> Tensor:
        # CLIP's cosines differ by hundredths, which bfloat16 would round off.
        with torch.autocast(patches.device.type, enabled=False):
            return torch.einsum("berl,ce->bcrl", F.normalize(patches.float(), dim=1), self.text.float())

    def _patches(self, tokens: Tensor, grid: Grid, images: Tensor) -> Tensor:
        dense, (rows, columns) = self._dense(tokens, grid, images)
        return rearrange(dense, "b (rows columns) e -> b e rows columns", rows=rows, columns=columns)

    def _dense(self, tokens: Tensor, grid: Grid, images: Tensor) -> tuple[Tensor, Grid]:
        """Patch features [B, N, E] and their grid."""
        if self.proxy is not None:
            proxies = self.proxy(images * self.deviation + self.mean)
            finer = (proxies.shape[-2], proxies.shape[-1])
            return proxy_features(self.opened, tokens, grid, proxies=proxies, settings=self.method.proxy), finer
        if self.method.attention == "self" and isinstance(self.opened, VitTower):
            return self.opened.seen_by_themselves(tokens, grid), grid
        return value_features(self.opened, tokens, grid), grid
