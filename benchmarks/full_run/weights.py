"""Weights files of the true architectures with random values, of the names and shapes of the published ones."""

from pathlib import Path

import open_clip
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.files import atomic_path
from stages.networks.mit import VARIANTS, mit_options
from stages.networks.resnet38 import ResNet38


def random_model(model: str) -> nn.Module:
    """The named backbone with values of its own initialisation, which keep activations finite in every pass."""
    if model == "resnet38":
        return ResNet38()
    if model in VARIANTS:
        from mmseg.models import MixVisionTransformer  # takes seconds to import, and few experiments use it

        return MixVisionTransformer(**mit_options(model))
    return timm.create_model(model, pretrained=False)


def write_backbone(model: str, path: Path) -> None:
    """The named backbone's state dict as safetensors."""
    torch.manual_seed(0)
    _write(random_model(model).state_dict(), path)


def write_clip(model: str, path: Path) -> None:
    """An open_clip model's state dict as safetensors."""
    torch.manual_seed(0)
    _write(open_clip.create_model(model, pretrained=None).state_dict(), path)


def _write(state: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)
