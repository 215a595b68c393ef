"""Patch features of a frozen timm network, which are compared with each other: of a ViT, or of a CNN's feature maps."""

from collections.abc import Mapping
from typing import Any

import timm
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from stages.errors import SettingsError, in_one_line
from stages.networks.pyramid import Pyramid
from stages.networks.timm_names import name_fault
from stages.settings import FrozenNetwork

CURE = "choose a ViT, such as vit_base_patch8_224.dino, or a CNN with `strides`, such as resnet50 with [16]"
# Patches of the trial: not square, so that rows and columns are told apart.
TRIAL_GRID = (5, 7)


class FrozenPatches(nn.Module):
    """Features of the patches of images of any size: a ViT's after its last norm, or a CNN's feature maps, stacked.

    stride: pixels per patch.

    Args:
        settings: the network.  weights: its timm state dict; None if a trained state is loaded afterwards.
        place: the setting that chooses it, for messages.

    Raises SettingsError, naming the model, if it is neither a ViT nor a CNN with such strides.
    """

    def __init__(self, settings: FrozenNetwork, weights: Mapping[str, Tensor] | None, *, place: str) -> None:
        super().__init__()
        if fault := name_fault(settings.model):
            raise SettingsError(f"{place}.model: {fault}")
        self.network: Any
        vit = _vit(settings.model)
        if vit is not None:
            if settings.strides is not None:
                raise SettingsError(
                    f"{place}.strides: {list(settings.strides)} are for a CNN, and {settings.model} is a ViT, whose"
                    " patches have one stride; leave them out"
                )
            if weights is not None:
                vit.load_state_dict({name: weights[name] for name in vit.state_dict()})
            self.network, self.stride = vit, int(vit.patch_embed.feat_ratio())
            mean, deviation = vit.pretrained_cfg["mean"], vit.pretrained_cfg["std"]
        else:
            self.network = _cnn(settings, weights, place)
            self.stride, (mean, deviation) = self.network.stride, self.network.statistics
        self.prefix = vit.num_prefix_tokens if vit is not None else 0
        self.is_vit = vit is not None
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "FrozenPatches":
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, D, rows, columns] of images [B, 3, H, W], RGB in [0, 1].

        A ViT gets them resized to the nearest whole number of patches; a CNN's last patches may reach over the border.
        """
        if not self.is_vit:
            return self.network((images - self.mean) / self.deviation)
        rows, columns = (max(1, round(side / self.stride)) for side in images.shape[-2:])
        size = (rows * self.stride, columns * self.stride)
        if size != tuple(images.shape[-2:]):
            images = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
        tokens = self.network.forward_features((images - self.mean) / self.deviation)
        return rearrange(tokens[:, self.prefix :], "b (rows columns) d -> b d rows columns", rows=rows)


def check_frozen_patches(settings: FrozenNetwork, *, place: str) -> None:
    """Raises SettingsError, naming the model, if it cannot be built, or does not give patches for images of any
    size."""
    network = FrozenPatches(settings, None, place=place)
    size = tuple(side * network.stride for side in TRIAL_GRID)
    try:
        with torch.inference_mode():
            grid = tuple(network(torch.zeros(1, 3, *size)).shape[-2:])
    # timm's networks raise anything; in any case this one does not fit.
    except Exception as error:
        raise SettingsError(
            f"{place}.model: {settings.model} gives no patches ({in_one_line(error)}); {CURE}"
        ) from error
    if grid != TRIAL_GRID:
        raise SettingsError(
            f"{place}.model: {settings.model} gives {grid} patches where its stride says {TRIAL_GRID}; {CURE}"
        )


def _vit(model: str) -> Any | None:
    """The timm model with random weights and without classifier, for images of any size; None if it is no ViT."""
    try:
        vit: Any = timm.create_model(model, pretrained=False, num_classes=0, dynamic_img_size=True)
    except (TypeError, ValueError, RuntimeError, AssertionError):
        return None  # other models do not take the option
    return vit if hasattr(vit, "num_prefix_tokens") and hasattr(vit, "patch_embed") else None


def _cnn(settings: FrozenNetwork, weights: Mapping[str, Tensor] | None, place: str) -> Pyramid:
    if settings.strides is None:
        raise SettingsError(
            f"{place}.model: {settings.model} is no ViT for images of any size, and no strides are given; {CURE}"
        )
    try:
        return Pyramid(
            settings.model, settings.strides, output_stride=32, frozen=True, dropout=0.0, weights=weights
        ).eval()
    except SettingsError as error:
        raise SettingsError(f"{place}.{error}") from error
    except Exception as error:  # of timm's constructors
        raise SettingsError(
            f"{place}.model: {settings.model} has no feature maps by stride ({in_one_line(error)}); {CURE}"
        ) from error
