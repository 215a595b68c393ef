"""Overlays: small mmengine configs that define a segmenter's decoder (configs/segment/)."""

import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from stages.errors import SettingsError
from stages.program import program
from stages.settings import Strict

OVERLAYS = program() / "configs" / "segment"
HEADS = ("decode_head", "auxiliary_head")
# Set by the experiment, not the overlay; two places could contradict each other.
OURS = ("num_classes", "out_channels", "ignore_index", "loss_decode")


class Overlay(Strict):
    """The content of an overlay.

    features: the backbone's feature maps that the decoder reads: the last; the first of stride 4 or more, and the last;
        or the last four.
    output_stride: stride of the last feature map that the atrous rates are meant for.
    model: merged over the model that tagmask makes from the settings, by mmengine's rules (including `_delete_`).
    optim_wrapper: merged over the optimizer in the same way.
    """

    features: Literal["last", "low_and_last", "pyramid"]
    output_stride: Literal[8, 16, 32]
    model: dict[str, Any]
    optim_wrapper: dict[str, Any] = Field({})


def overlay_path(name: str) -> Path:
    """The file of an overlay: `name` itself if it is the path of a .py file, else `name` in configs/segment.

    Raises SettingsError when there is no such file.
    """
    path = Path(name) if name.endswith(".py") else OVERLAYS / f"{name}.py"
    if path.is_file():
        return path
    if name.endswith(".py"):
        raise SettingsError(
            f"segment.network.model: no file {path}; give the path of an overlay, or a name in configs/segment"
        )
    known = sorted(file.stem for file in OVERLAYS.glob("*.py"))
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise SettingsError(
        f"segment.network.model: no overlay {name!r}; {hint}there are {', '.join(known)}, or a path ending in .py"
    )


def read_overlay(name: str) -> Overlay:
    """Reads the overlay of `segment.network.model`. Raises SettingsError that names file, entry and fix."""
    from mmengine.config import Config  # not for the workflow, which only asks for the path

    path = overlay_path(name)
    try:
        content = Config.fromfile(path).to_dict()
    except Exception as error:  # the file is Python and can raise anything
        raise SettingsError(f"{path}: cannot be read as an mmengine config ({error!r})") from error
    try:
        overlay = Overlay.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        known = ", ".join(Overlay.model_fields)
        raise SettingsError(f"{path}: {place}: {problem['msg']}; an overlay has {known}") from error
    head = overlay.model.get("decode_head")
    if not isinstance(head, dict) or "type" not in head:
        raise SettingsError(f"{path}: model.decode_head.type: must be given; name a decoder of mmsegmentation")
    for part in HEADS:
        given = sorted(set(OURS) & set(overlay.model.get(part) or {}))
        if given:
            raise SettingsError(
                f"{path}: model.{part}.{given[0]}: leave it out; tagmask sets it from `data.classes`,"
                " `segment.training.loss`"
                " and `segment.training.class_weights`"
            )
    return overlay
