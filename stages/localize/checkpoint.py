"""The trained localizer as a file: weights in safetensors, settings and classes in its metadata."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from stages.errors import DataError
from stages.files import atomic_path
from stages.localize.encoders import build_encoder
from stages.localize.model import Localizer
from stages.settings import LocalizeSettings


def build_localizer(settings: LocalizeSettings, *, weights: Path, text: torch.Tensor) -> Localizer:
    """A localizer at the start of its training: pretrained encoder weights, text embeddings [C, E]."""
    return Localizer(settings, build_encoder(settings.backbone, load_file(weights)), text)


def save_localizer(path: Path, localizer: Localizer, classes: Sequence[str]) -> None:
    """Writes the weights, with the settings and class names that they go with, atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in localizer.state_dict().items()}
    metadata = {"settings": localizer.settings.model_dump_json(), "classes": json.dumps(list(classes))}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata=metadata)


def load_localizer(path: Path, *, weights: Path) -> tuple[Localizer, tuple[str, ...]]:
    """The trained localizer, in evaluation mode, and its class names. Raises DataError when it cannot be read."""
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata()
        state = load_file(path)
        settings = LocalizeSettings.model_validate_json(metadata["settings"])
        classes = tuple(json.loads(metadata["classes"]))
    except (SafetensorError, FileNotFoundError, KeyError, TypeError) as error:
        raise DataError(f"{path}: no whole localizer ({error}); delete it and rerun `localize`") from error
    language_width = state["text_embeddings"].shape[1] if "text_embeddings" in state else 1
    localizer = build_localizer(settings, weights=weights, text=torch.zeros(len(classes), language_width))
    localizer.load_state_dict(state)
    return localizer.eval(), classes
