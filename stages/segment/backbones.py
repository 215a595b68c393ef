"""Backbones of the segmenters behind one interface: any timm CNN, plain ViTs, ResNet38, and SegFormer's MiT."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from mmseg.models import MixVisionTransformer, TIMMBackbone
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stages.errors import SettingsError
from stages.networks.any_size import needed_filling
from stages.networks.depthwise import with_fast_depthwise
from stages.networks.mit import STRIDES, VARIANTS, mit_channels, mit_options
from stages.networks.resnet38 import ResNet38
from stages.segment.backbone_facts import BackboneFacts
from stages.segment.vit_backbone import describe_vit, is_vit
from stages.settings import NetworkSettings
from stages.tensors import read_tensors

USUAL_STRIDE = 32
RESNET38_STRIDE = 8


def describe_backbone(settings: NetworkSettings, *, output_stride: int) -> BackboneFacts:
    """The facts of the settings' backbone; `output_stride` is used if the settings leave it out and the backbone has a
    choice.

    Raises SettingsError for an unknown backbone, or one that does not support the settings.
    """
    if settings.backbone == "resnet38":
        _require_stride(settings, RESNET38_STRIDE)
        config = {"type": "ResNet38Backbone", "frozen_stages": settings.frozen_stages}
        return BackboneFacts(config, (RESNET38_STRIDE,) * 3, ResNet38.channels)
    if settings.backbone in VARIANTS:
        _require_stride(settings, USUAL_STRIDE)
        if settings.frozen_stages or settings.frozen_norm:
            raise SettingsError(
                f"segment.network.frozen_stages, frozen_norm: {settings.backbone} learns as a whole; leave out"
            )
        config = {"type": "MitBackbone", **mit_options(settings.backbone)}
        return BackboneFacts(config, STRIDES, mit_channels(settings.backbone))
    if is_vit(settings.backbone):
        return describe_vit(settings)
    return _describe_timm(settings, settings.output_stride or output_stride)


def _require_stride(settings: NetworkSettings, stride: int) -> None:
    if settings.output_stride not in (None, stride):
        raise SettingsError(
            f"segment.network.output_stride: {settings.backbone} has {stride}, not {settings.output_stride}; leave it"
            " out"
        )


def stride_option(output_stride: int) -> dict[str, Any]:
    """The option that dilates a timm model; none for 32, the usual stride, since not every model accepts the option."""
    return {} if output_stride == USUAL_STRIDE else {"output_stride": output_stride}


def _describe_timm(settings: NetworkSettings, output_stride: int) -> BackboneFacts:
    name = settings.backbone
    try:
        model: Any = timm.create_model(name, features_only=True, **stride_option(output_stride))
    except RuntimeError as error:
        raise SettingsError(
            f"segment.network.backbone: {error}; give the name of a timm CNN or plain ViT, resnet38, or mit_b0 to"
            " mit_b5"
        ) from error
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(
            f"segment.network.output_stride: timm's {name} cannot be built with {output_stride} ({error}); set"
            f" {USUAL_STRIDE}"
        ) from error
    strides, channels = model.feature_info.reduction(), model.feature_info.channels()
    if settings.frozen_stages > len(strides):
        raise SettingsError(
            f"segment.network.frozen_stages: {settings.frozen_stages}, but {name} has {len(strides)} stages"
        )
    config = {
        "type": "FreezableTimmBackbone",
        "model_name": name,
        **stride_option(output_stride),
        "frozen_stages": settings.frozen_stages,
        "frozen_norm": settings.frozen_norm,
    }
    statistics = model.pretrained_cfg
    return BackboneFacts(config, tuple(strides), tuple(channels), statistics["mean"], statistics["std"])


@MODELS.register_module()
class FreezableTimmBackbone(TIMMBackbone):
    """mmsegmentation's timm backbone, with optionally frozen first stages.

    features: positions of the returned feature maps among all of the model's.
    frozen_stages: everything that the first so many feature maps depend on gets no gradient and keeps its batch norms.
    frozen_norm: all batch norms keep their means and variances (small batches estimate them poorly).
    weights: a timm state dict (safetensors) to start from; random without.
    """

    def __init__(
        self,
        *,
        features: Sequence[int],
        frozen_stages: int,
        frozen_norm: bool,
        weights: str | None = None,
        **options: Any,
    ) -> None:
        # timm prefers a local file over its hubs, and loads it into the model without the classifier.
        source = {"pretrained_cfg_overlay": {"file": weights, "custom_load": False}} if weights else {}
        super().__init__(pretrained=weights is not None, **source, **options)
        self.features = tuple(features)
        self.strides = self.timm_model.feature_info.reduction()
        self.filling = needed_filling(self.timm_model.eval(), self.strides)
        self.timm_model.train()
        # By name: torch replaces the modules when it converts batch norms to SyncBatchNorm (several GPUs).
        self.still = [
            name for name, module in self.timm_model.named_modules() if frozen_norm and isinstance(module, _BatchNorm)
        ]
        if frozen_stages:
            self.still += list(self._freeze(frozen_stages))
        with_fast_depthwise(self.timm_model)

    def _freeze(self, stages: int) -> Iterator[str]:
        """Turns off the gradient of the first stages; yields the names of the modules that hold their parameters."""
        frozen = self.parameters_before(stages)
        for parameter in frozen:
            parameter.requires_grad_(False)
        identities = {id(parameter) for parameter in frozen}
        for name, module in self.timm_model.named_modules():
            own = list(module.parameters(recurse=False))
            if own and all(id(parameter) in identities for parameter in own):
                yield name

    def parameters_before(self, stages: int) -> list[nn.Parameter]:
        """The parameters that feature map number `stages` (from 1) depends on, found by autograd: timm's models
        name and nest their stages in many ways, but all are differentiable."""
        self.timm_model.eval()
        maps = self.timm_model(torch.zeros(1, 3, 64, 64))
        maps[stages - 1].sum().backward()
        reached = [parameter for parameter in self.timm_model.parameters() if parameter.grad is not None]
        self.timm_model.zero_grad(set_to_none=True)
        return reached

    def train(self, mode: bool = True) -> "FreezableTimmBackbone":
        super().train(mode)
        for name in self.still:
            self.timm_model.get_submodule(name).eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, rows, columns] normalised RGB -> the chosen maps, each [B, channels, rows/stride, columns/stride]."""
        rows, columns = x.shape[-2:]
        maps = self.filling.cut(super().forward(self.filling.fill(x)), self.strides, (rows, columns))
        return [maps[position] for position in self.features]


@MODELS.register_module()
class ResNet38Backbone(ResNet38):
    """The affinity network's ResNet38 as a segmenter's backbone; `weights`: its state dict (safetensors)."""

    def __init__(self, *, features: Sequence[int], frozen_stages: int, weights: str | None = None) -> None:
        super().__init__(frozen_stages)
        self.features, self.weights = tuple(features), weights

    def init_weights(self) -> None:
        """Loads the given weights; mmengine calls this before a training."""
        if self.weights:
            self.load_state_dict(read_tensors(Path(self.weights), stage="encode"))

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = super().forward(images)
        return [maps[position] for position in self.features]


@MODELS.register_module()
class MitBackbone(MixVisionTransformer):
    """mmsegmentation's MiT; `weights`: its state dict (safetensors)."""

    def __init__(self, *, features: Sequence[int], weights: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.features, self.weights = tuple(features), weights
        self.eval()  # without it, the trial would draw from the seed of the weights
        self.filling = needed_filling(super().forward, STRIDES)
        self.train()

    def init_weights(self) -> None:
        """Loads the given weights, or initialises them as SegFormer's authors do."""
        if self.weights:
            self.load_state_dict(read_tensors(Path(self.weights), stage="encode"))
        else:
            super().init_weights()

    def forward(self, x: Tensor) -> list[Tensor]:
        rows, columns = x.shape[-2:]
        maps = self.filling.cut(super().forward(self.filling.fill(x)), STRIDES, (rows, columns))
        return [maps[position] for position in self.features]
