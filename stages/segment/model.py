"""DeepLabV3+ on a timm CNN: the backbone, the segmenter, and its file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from mmseg.models import EncoderDecoder, TIMMBackbone
from mmseg.registry import MODELS
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stages.errors import DataError, SettingsError
from stages.files import atomic_path
from stages.segment.config import model_config
from stages.settings import SegmentSettings


@MODELS.register_module()
class FreezableTimmBackbone(TIMMBackbone):
    """mmsegmentation's timm backbone whose first stages can stay as they are.

    features: positions, among all of the model's feature maps, of those that are returned.
    frozen_stages: everything that the first so many feature maps depend on gets no gradient and keeps its batch norms.
    frozen_norm: all batch norms keep their means and variances (small batches estimate them badly).
    """

    def __init__(self, *, features: Sequence[int], frozen_stages: int, frozen_norm: bool, **options: Any) -> None:
        super().__init__(**options)
        self.features = tuple(features)
        modules = list(self.timm_model.modules())
        self.still = [module for module in modules if frozen_norm and isinstance(module, _BatchNorm)]
        if frozen_stages:
            frozen = self.parameters_before(frozen_stages)
            for parameter in frozen:
                parameter.requires_grad_(False)
            identities = {id(parameter) for parameter in frozen}
            for module in modules:
                own = list(module.parameters(recurse=False))
                if own and all(id(parameter) in identities for parameter in own):
                    self.still.append(module)

    def parameters_before(self, stages: int) -> list[nn.Parameter]:
        """The parameters that feature map number `stages` (from 1) depends on, as autograd sees it: timm's models
        name and nest their stages in many ways, but all of them differentiate."""
        self.timm_model.eval()
        maps = self.timm_model(torch.zeros(1, 3, 64, 64))
        maps[stages - 1].sum().backward()
        reached = [parameter for parameter in self.timm_model.parameters() if parameter.grad is not None]
        self.timm_model.zero_grad(set_to_none=True)
        return reached

    def train(self, mode: bool = True) -> "FreezableTimmBackbone":
        super().train(mode)
        for module in self.still:
            module.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, rows, columns] normalised RGB -> the chosen maps, each [B, channels, rows/stride, columns/stride]."""
        maps = super().forward(x)
        return [maps[position] for position in self.features]


@MODELS.register_module()
class ChannelsLastEncoderDecoder(EncoderDecoder):
    """EncoderDecoder whose convolutions run channels-last, which is faster for CNNs on CPUs and on tensor cores."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.to(memory_format=torch.channels_last)

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        return super().extract_feat(inputs.contiguous(memory_format=torch.channels_last))


def build_model(settings: SegmentSettings, classes: int) -> ChannelsLastEncoderDecoder:
    """DeepLabV3+ for `classes` classes and background, with random weights."""
    init_default_scope("mmseg")
    return MODELS.build(model_config(settings, classes, weights=None))


@dataclass(frozen=True)
class Segmenter:
    """A trained DeepLab, ready to predict, and the class names that its channels 1..C stand for."""

    model: ChannelsLastEncoderDecoder
    classes: tuple[str, ...]
    settings: SegmentSettings


def save_segmenter(path: Path, model: nn.Module, *, classes: Sequence[str], settings: SegmentSettings) -> None:
    """Writes the weights alone as safetensors, atomically; settings and classes as JSON in the metadata."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"settings": settings.model_dump_json(), "classes": json.dumps(list(classes))}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_segmenter(path: Path) -> Segmenter:
    """Rebuilds the model that `save_segmenter` wrote, in evaluation mode on the CPU.

    Raises DataError when the file is missing, truncated, or no segmenter.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            settings = SegmentSettings.model_validate_json(metadata["settings"])
            classes = tuple(json.loads(metadata["classes"]))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
        model = build_model(settings, len(classes))
        model.load_state_dict(tensors)
    except (SafetensorError, FileNotFoundError, KeyError, ValueError, RuntimeError, SettingsError) as error:
        raise DataError(f"{path}: not a whole segmenter ({error}); delete it and rerun `segment`") from error
    return Segmenter(model.eval(), classes, settings)
