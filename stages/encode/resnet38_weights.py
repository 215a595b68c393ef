"""Public weights of ResNet38 under the names of `stages/networks/resnet38.py`, each tensor checked."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.encode.mxnet_params import read_params
from stages.errors import DataError
from stages.networks.resnet38 import ResNet38
from stages.weight_files import read_state, refuse_not_finite, without_prefix

log = logging.getLogger(__name__)

# Such as arg:res2b1_branch2a_weight, aux:bn7_moving_var: kind, stage, number of the block, branch, part.
MXNET_NAME = re.compile(
    r"(?:arg:|aux:)?(?P<kind>res|bn)(?P<stage>\d)(?:a|b(?P<block>\d+))?"
    r"(?:_(?P<branch>branch\d[a-z]?\d?))?_(?P<part>weight|gamma|beta|moving_mean|moving_var)"
)
PARTS = {
    "weight": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var",
}  # fmt: skip


def reference_state() -> dict[str, Tensor]:
    """Every tensor of ResNet38, without values."""
    with torch.device("meta"):
        return ResNet38().state_dict()


def own_name(name: str) -> str | None:
    """Our name for a tensor of MXNet's file; None for the classifier, which is not used.

    res2b1_branch2a_weight -> b2_1.conv_branch2a.weight; bn7_gamma -> bn7.weight.
    """
    if name.removeprefix("arg:") == "conv1a_weight":
        return "conv1a.weight"
    found = MXNET_NAME.fullmatch(name)
    if found is None:
        return None
    part = PARTS[found["part"]]
    if found["branch"] is None:
        return f"bn{found['stage']}.{part}"
    block = f"b{found['stage']}" + (f"_{found['block']}" if found["block"] else "")
    return f"{block}.{'conv' if found['kind'] == 'res' else 'bn'}_{found['branch']}.{part}"


def read_resnet38(path: Path) -> dict[str, Tensor]:
    """The state dict of ResNet38 from MXNet's `.params`, or from a file that `stages.weight_files` reads.

    Tensors that are not in ResNet38 (classifiers, heads) are left out. Raises DataError that names what is missing or
    misshapen.
    """
    if path.suffix == ".params":
        arrays = read_params(path)
        named: Mapping[Any, Tensor] = {own_name(name): torch.from_numpy(array.copy()) for name, array in arrays.items()}
    else:
        named = without_prefix(read_state(path), reference_state(), path)
    state = checked(named, path)
    refuse_not_finite(state, path)
    return state


def checked(named: Mapping[str | None, Tensor] | Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of ResNet38 among those given. Raises DataError if one is missing or has another shape."""
    state: dict[str, Tensor] = {}
    for name, wanted in reference_state().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)  # MXNet counts no batches, and frozen batch norms do not use the count
            continue
        value = named.get(name)
        if value is None or value.shape != wanted.shape:
            found = "missing" if value is None else f"{tuple(value.shape)}, not {tuple(wanted.shape)}"
            raise DataError(f"{path}: {name} is {found}; give weights of ResNet38 (Wu et al., model A1)")
        state[name] = value.float().contiguous()
    unused = [str(name) for name in named if name not in state]
    log.info("%s: %d tensors, %d left out: %s", path, len(state), len(unused), ", ".join(unused[:8]))
    return state
