"""timm's CNNs as image towers: the positions of their last feature map are their patches."""

from typing import Any

from einops import rearrange
from open_clip.timm_model import TimmModel
from torch import Tensor

from stages.networks.towers.tower import Grid, ImageTower


class TimmCnn(ImageTower):
    """A timm CNN that pools by a mean. If what follows that is linear, the mean over positions is the image
    embedding."""

    def __init__(self, visual: TimmModel) -> None:
        super().__init__(visual)
        self.trunk: Any = visual.trunk
        self.stride = int(self.trunk.feature_info[-1]["reduction"])

    @staticmethod
    def fault(visual: TimmModel) -> str:
        """What keeps a tower from being opened so; empty if nothing does."""
        trunk: Any = visual.trunk
        # timm sets pool_size for networks whose features have rows and columns; a few of them put channels last.
        grid = trunk.default_cfg.get("pool_size") is not None and getattr(trunk, "output_fmt", "NCHW") == "NCHW"
        fits = grid and set(dict(visual.head.named_children())) <= {"drop", "proj", "mlp"}
        return "" if fits else "is neither a plain ViT nor a CNN that pools by a mean"

    def before_last(self, images: Tensor) -> tuple[Tensor, Grid]:
        features = self.trunk.forward_features(images)
        return rearrange(features, "b d rows columns -> b (rows columns) d"), tuple(features.shape[-2:])

    def values(self, tokens: Tensor, grid: Grid) -> Tensor:
        return tokens

    def embed_values(self, values: Tensor) -> Tensor:
        positions = rearrange(values, "b m d -> (b m) d 1 1")
        embedded = self.visual.head(self.trunk.forward_head(positions))
        return rearrange(embedded, "(b m) e -> b m e", b=len(values))

    def pooled(self, tokens: Tensor, grid: Grid) -> Tensor:
        features = rearrange(tokens, "b (rows columns) d -> b d rows columns", rows=grid[0])
        return self.visual.head(self.trunk.forward_head(features))
