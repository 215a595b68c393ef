"""The trained localizer as a file: weights in safetensors, settings and classes in its metadata."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open

from stages.checkpoints import CheckpointFormat
from stages.errors import DataError
from stages.localize.localizer import Localizer
from stages.localize.registry import localizer_class
from stages.settings import NOT_OF_TRAINING, LocalizeSettings
from stages.tensors import read_tensors

FORMAT = CheckpointFormat("localizer", "localizer", "localize")


def build_localizer(
    settings: LocalizeSettings,
    *,
    weights: Path | None,
    text: torch.Tensor,
    backgrounds: Path | None = None,
    described: Mapping[str, Any] | None = None,
    proxy: Path | None = None,
) -> Localizer:
    """A localizer at the start of its training: pretrained weights of its backbone, text embeddings [C, E].

    backgrounds: embeddings of background texts, for methods that compare with them.  described: what else determines
    its structure besides the settings; default: what the files say.  proxy: weights of the frozen network beside it,
    if its method has one.
    """
    files = [path for path in (weights, backgrounds) if path]
    if described is None:
        described = {name: value for path in files for name, value in read_described(path).items()}
    given = read_tensors(backgrounds, stage="encode") if backgrounds else {}
    beside = {"proxy": read_tensors(proxy, stage="encode")} if proxy else {}
    own = read_tensors(weights, stage="encode") if weights else None
    return localizer_class(settings.method.kind)(settings, text, own, **described, **given, **beside)


def read_described(weights: Path) -> dict[str, Any]:
    """What a file of weights says about its network, or one of texts about these; nothing for timm's weights."""
    with safe_open(weights, framework="pt") as stored:
        return json.loads((stored.metadata() or {}).get("described", "{}"))


def save_localizer(path: Path, localizer: Localizer, classes: Sequence[str]) -> None:
    """Writes the weights with the settings that they were trained with and their class names, atomically."""
    description = {
        "settings": localizer.settings.model_dump(mode="json", exclude=set(NOT_OF_TRAINING)),
        "classes": list(classes),
        "language_width": localizer.language_width,
        "described": dict(localizer.described),
    }
    FORMAT.save(path, localizer, description)


def load_localizer(path: Path, asked: LocalizeSettings) -> tuple[Localizer, tuple[str, ...]]:
    """The trained localizer, in evaluation mode, and its class names. Raises DataError when it cannot be read.

    asked: the settings of the config that asks. Those of maps and classes are taken from them, the others from the
    file.
    """
    with FORMAT.opened(path) as (description, state):
        settings = _of_file(path, description["settings"], asked)
        classes = tuple(description["classes"])
        text = torch.zeros(len(classes), description["language_width"])
        localizer = build_localizer(settings, weights=None, text=text, described=description["described"])
        localizer.load_state_dict(state)
    return localizer.eval(), classes


def _of_file(path: Path, stored: Mapping[str, Any], asked: LocalizeSettings) -> LocalizeSettings:
    """The settings of a file, and of `asked` those that it was not trained with. Files of earlier versions hold the
    defaults of these, which nobody asked for."""
    try:
        trained = LocalizeSettings.model_validate(
            {name: stored[name] for name in stored if name not in NOT_OF_TRAINING}
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("localize", *first["loc"])))
        raise DataError(
            f"{path}: written by another version of tagmask, with settings that this one does not have ({place}:"
            f" {first['msg']}); delete it and rerun `localize`"
        ) from error
    return trained.model_copy(update={name: getattr(asked, name) for name in NOT_OF_TRAINING})
