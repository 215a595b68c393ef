"""The segmenter and its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor, nn

from stages.checkpoints import CheckpointFormat
from stages.segment.architecture import build_model

FORMAT = CheckpointFormat("segmenter", "segmenter", "segment")


@MODELS.register_module()
class ChannelsLastEncoderDecoder(EncoderDecoder):
    """EncoderDecoder with channels-last convolutions, which are faster for CNNs on CPUs and tensor cores."""

    def init_weights(self) -> None:
        """Draws or loads the weights, then changes their layout: drawn in the new one, a seed gives other weights."""
        super().init_weights()
        self.to(memory_format=torch.channels_last)

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        return super().extract_feat(inputs.contiguous(memory_format=torch.channels_last))


@dataclass(frozen=True)
class Segmenter:
    """A trained segmenter, ready to predict, and the class names of its channels 1..C."""

    model: ChannelsLastEncoderDecoder
    classes: tuple[str, ...]


def save_segmenter(path: Path, model: nn.Module, *, classes: Sequence[str], config: Mapping[str, Any]) -> None:
    """Writes only the weights as safetensors, atomically; the model's config and classes as JSON in the metadata."""
    FORMAT.save(path, model, {"model": dict(config), "classes": list(classes)})


def load_segmenter(path: Path) -> Segmenter:
    """Rebuilds the model that `save_segmenter` wrote, in evaluation mode on the CPU.

    Raises DataError when the file is missing, truncated, or not a segmenter.
    """
    with FORMAT.opened(path) as (description, tensors):
        model: Any = build_model(description["model"])
        model.load_state_dict(tensors)
        model.to(memory_format=torch.channels_last)
        classes = tuple(description["classes"])
    return Segmenter(model.eval(), classes)
