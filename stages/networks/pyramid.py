"""Feature maps of a timm CNN, several strides resized to one grid; frozen ones can be computed once and stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.errors import SettingsError
from stages.networks.any_size import needed_filling
from stages.settings import CnnBackbone, HybridBackbone


class Pyramid(nn.Module):
    """Feature maps of a timm CNN at some strides, stacked on the grid of the first.

    Args:
        model: timm name.  strides: feature maps used; if several have the same stride, the last.
        output_stride: 8 or 16 dilate the CNN's last stages, 32 leaves it as trained.
        frozen: the CNN runs without gradient, its batch norms with the pretraining's statistics.
        dropout: of whole channels, in training.
        weights: timm state dict; None if a trained state is loaded afterwards.
    """

    def __init__(
        self,
        model: str,
        strides: Sequence[int],
        *,
        output_stride: int,
        frozen: bool,
        dropout: float,
        weights: Mapping[str, Tensor] | None,
    ) -> None:
        super().__init__()
        # timm rejects the argument for models that cannot be dilated, so it is passed only if it changes something.
        dilation: dict[str, Any] = {} if output_stride == 32 else {"output_stride": output_stride}
        cnn: Any = timm.create_model(model, pretrained=False, features_only=True, **dilation)
        reductions = cnn.feature_info.reduction()
        unknown = [stride for stride in strides if stride not in reductions]
        if unknown:
            raise SettingsError(f"strides: {model} has feature maps of strides {reductions}, not of {unknown}")
        if weights is not None:
            # features_only drops the classifier's layers, but the file still has their weights.
            cnn.load_state_dict({name: weights[_plain_name(name, weights)] for name in cnn.state_dict()})
        self.cnn = cnn.requires_grad_(not frozen)
        self.frozen = frozen
        if frozen:
            # In this layout oneDNN computes a CNN 1.5 to 1.9 times as fast; the results are the same.
            self.cnn.to(memory_format=torch.channels_last)
        self.levels = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in strides]
        self.strides = [reductions[level] for level in self.levels]
        self.filling = needed_filling(self.cnn.eval(), reductions)
        self.cnn.train()
        channels = [cnn.feature_info.channels()[level] for level in self.levels]
        self.channels = sum(channels)
        self.stride = strides[0]
        self.statistics: tuple[Sequence[float], Sequence[float]] = (cnn.default_cfg["mean"], cnn.default_cfg["std"])
        # Levels differ by orders of magnitude; a single one is left unchanged.
        several = len(channels) > 1
        self.norms = nn.ModuleList(nn.GroupNorm(1, count) if several else nn.Identity() for count in channels)
        self.dropout = nn.Dropout2d(dropout)

    def train(self, mode: bool = True) -> "Pyramid":
        super().train(mode)
        if self.frozen:
            self.cnn.eval()
        return self

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of normalised images [B, 3, H, W], one [B, channels, H/stride, W/stride] per stride."""
        if self.frozen:
            images = images.contiguous(memory_format=torch.channels_last)
        rows, columns = images.shape[-2:]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            levels = self.cnn(self.filling.fill(images))
        return self.filling.cut([levels[level] for level in self.levels], self.strides, (rows, columns))

    def forward(self, inputs: Tensor | list[Tensor]) -> Tensor:
        """Normalised images [B, 3, H, W], or their `features`, -> [B, channels, rows, columns]."""
        features = self.features(inputs) if isinstance(inputs, Tensor) else inputs
        grid = features[0].shape[-2:]
        same = [
            F.interpolate(norm(feature), size=grid, mode="bilinear", align_corners=False)
            for norm, feature in zip(self.norms, features, strict=True)
        ]
        return self.dropout(torch.cat(same, dim=1))


def build_pyramid(backbone: CnnBackbone | HybridBackbone, weights: Mapping[str, Tensor] | None) -> Pyramid:
    """The CNN named in the settings; below a hybrid's new blocks it is frozen and undilated."""
    return Pyramid(
        backbone.model,
        backbone.strides,
        output_stride=backbone.output_stride if isinstance(backbone, CnnBackbone) else 32,
        frozen=backbone.frozen if isinstance(backbone, CnnBackbone) else True,
        dropout=backbone.dropout,
        weights=weights,
    )


def _plain_name(name: str, weights: Mapping[str, Tensor]) -> str:
    """features_only renames `layers.0.x` to `layers_0.x` when it flattens a model; the file has the plain name."""
    return name if name in weights else name.replace("_", ".", 1)
