"""The trained localizer as a file: weights in safetensors, settings and classes in its metadata."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from stages.errors import DataError
from stages.files import atomic_path
from stages.localize.localizer import Localizer
from stages.localize.registry import LOCALIZERS
from stages.settings import LocalizeSettings


def build_localizer(
    settings: LocalizeSettings,
    *,
    weights: Path | None,
    text: torch.Tensor,
    described: Mapping[str, Any] | None = None,
) -> Localizer:
    """A localizer at the start of its training: pretrained weights of its backbone, text embeddings [C, E].

    described: what its structure follows from beside the settings; left out, what the file of weights says of it.
    """
    if described is None:
        described = read_described(weights) if weights else {}
    return LOCALIZERS[settings.method.kind](settings, text, load_file(weights) if weights else None, **described)


def read_described(weights: Path) -> dict[str, Any]:
    """What a file of weights says of the network that they are of; nothing for timm's."""
    with safe_open(weights, framework="pt") as stored:
        return json.loads((stored.metadata() or {}).get("described", "{}"))


def save_localizer(path: Path, localizer: Localizer, classes: Sequence[str]) -> None:
    """Writes the weights, with the settings and class names that they go with, atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in localizer.state_dict().items()}
    # One entry: safetensors writes several in an order that changes from run to run, and equal weights are equal files.
    metadata = {
        "localizer": json.dumps(
            {
                "settings": localizer.settings.model_dump(mode="json"),
                "classes": list(classes),
                "language_width": localizer.language_width,
                "described": dict(localizer.described),
            }
        )
    }
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata=metadata)


def load_localizer(path: Path) -> tuple[Localizer, tuple[str, ...]]:
    """The trained localizer, in evaluation mode, and its class names. Raises DataError when it cannot be read."""
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = json.loads(stored.metadata()["localizer"])
        state = load_file(path)
        settings = LocalizeSettings.model_validate(metadata["settings"])
    except (SafetensorError, FileNotFoundError, KeyError, TypeError) as error:
        raise DataError(f"{path}: no whole localizer ({error}); delete it and rerun `localize`") from error
    classes = tuple(metadata["classes"])
    text = torch.zeros(len(classes), metadata["language_width"])
    localizer = build_localizer(settings, weights=None, text=text, described=metadata["described"])
    localizer.load_state_dict(state)
    return localizer.eval(), classes
