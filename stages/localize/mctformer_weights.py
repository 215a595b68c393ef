"""Reads checkpoints of MCTformer's public code under the names of our localizer, checking each tensor."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stages.errors import DataError, SettingsError
from stages.localize.mctformer import Mctformer
from stages.settings import VitBackbone
from stages.weight_files import read_state, refuse_not_finite

log = logging.getLogger(__name__)

StateDict = dict[str, Tensor]
# The public code has a norm after its last block but never runs it; plus also stores positions that it does not use.
UNUSED = ("norm.weight", "norm.bias")
UNUSED_OF_PLUS = "pos_embed"


def load_mctformer(path: Path, localizer: Mctformer) -> None:
    """Puts the weights of a checkpoint of MCTformer V2 or plus into `localizer`, in place.

    Raises DataError for a file that does not fit it, SettingsError for settings that differ from the public code.
    """
    backbone = localizer.settings.backbone
    if not isinstance(backbone, VitBackbone) or backbone.tokens_from_block or backbone.last_norm:
        raise SettingsError(
            f"localize.backbone: {path} is of a ViT whose class tokens enter at its first block, without a norm after"
            " the last; set kind `vit`, tokens_from_block 0, last_norm false"
        )
    if {"encoder.position", "encoder.prefix.0"} - localizer.state_dict().keys() or hasattr(localizer.encoder, "start"):
        raise SettingsError(
            f"localize.backbone.model: {path} is of a ViT with a class token and added positions, unlike"
            f" {backbone.model}; name the timm model of the checkpoint, such as deit_small_patch16_224"
        )
    published = read_checkpoint(path)
    version = "plus" if "pos_embed_cls" in published else "v2"
    if version != localizer.method.version:
        raise SettingsError(
            f"localize.method.version: {path} holds {version}, not {localizer.method.version}; set {version!r}"
        )
    localizer.load_state_dict(own_state(published, localizer.state_dict(), path))


def read_checkpoint(path: Path) -> StateDict:
    """The tensors of a checkpoint: a state dict, or one under `model` among other entries."""
    state = {name.removeprefix("module."): value for name, value in read_state(path).items()}
    refuse_not_finite({name: value for name, value in state.items() if name not in UNUSED}, path)
    return state


def own_state(published: Mapping[str, Tensor], reference: Mapping[str, Tensor], path: Path) -> StateDict:
    """The state dict of our localizer from tensors under their public names; each is used or known to be unused.

    published: from the public code, `cls_token` [1, C, D], `pos_embed` [1, C + N, D] (V2) or `pos_embed_cls` [1, C, D]
        and `pos_embed_pat` [1, N, D] (plus), `patch_embed.proj`, `blocks.<n>`, `head` [C, D, 3, 3].
    reference: the state dict of the target localizer.  path: named in errors.

    Raises DataError for a tensor that is missing, left over, or of another shape.
    """
    classes, width = reference["class_tokens"].shape
    named = {name: value for name, value in published.items() if name not in UNUSED}
    tokens = _take(named, "cls_token", (1, classes, width), path)
    class_position, patch_position = _positions(
        named, classes, reference["encoder.position"].shape[1] - 1, width=width, path=path
    )
    # The ViT's own [CLS] token is not used here: the class tokens replace it.
    none = torch.zeros(1, 1, width)
    state = {
        "class_tokens": tokens[0],
        "class_position": class_position[0],
        "encoder.position": torch.cat((none, patch_position), dim=1),
        "encoder.prefix.0": none,
    }
    for name in reference.keys() - state.keys():
        theirs = name.replace("patch_classifier.", "head.").removeprefix("encoder.")
        state[name] = _take(named, theirs, tuple(reference[name].shape), path)
    if named:
        raise DataError(
            f"{path}: {len(named)} tensors have no place in this localizer, first {min(named)}; name the timm model of"
            " the checkpoint in localize.backbone.model"
        )
    log.info("%s: %d tensors of MCTformer, %d classes", path, len(published), classes)
    return {name: value.contiguous() for name, value in state.items()}


def _positions(named: StateDict, classes: int, patches: int, *, width: int, path: Path) -> tuple[Tensor, Tensor]:
    """Takes the positions of classes [1, C, D] and patches [1, N, D] out of `named`."""
    if "pos_embed_cls" in named:
        named.pop(UNUSED_OF_PLUS, None)
        of_classes = _take(named, "pos_embed_cls", (1, classes, width), path)
        return of_classes, _take(named, "pos_embed_pat", (1, patches, width), path)
    both = _take(named, "pos_embed", (1, classes + patches, width), path)
    return both[:, :classes], both[:, classes:]


def _take(named: StateDict, name: str, shape: tuple[int, ...], path: Path) -> Tensor:
    """Takes a tensor out of `named`. Raises DataError if it is missing or has another shape."""
    value = named.pop(name, None)
    if value is None or tuple(value.shape) != shape:
        found = "missing" if value is None else f"{tuple(value.shape)}, not {shape}"
        raise DataError(
            f"{path}: {name} is {found}; the classes, localize.backbone.model and its image_size must be those of the"
            " checkpoint"
        )
    return value.float()
