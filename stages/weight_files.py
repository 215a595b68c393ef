"""Reads weights files as people have them: whatever they wrap the tensors in, but no code.

`torch.load(weights_only=True)` builds nothing but tensors and plain containers. Checkpoints often hold more: the
program's options (argparse.Namespace), NumPy numbers, or a whole module. In place of each of their classes stands
`Inert`, which keeps what it is given and does nothing: no code of the file's choice is found, let alone run.
"""

import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from stages.errors import DataError, in_one_line
from stages.file_kinds import HEAD, is_safetensors, other_kind

log = logging.getLogger(__name__)

StateDict = dict[str, Tensor]

# Of averages over a training's steps, beside the plain weights or alone.
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema", "params_ema")
# Where checkpoints keep the tensors, the first that is there. DINO's teacher is what its authors evaluate.
NESTS = (
    "state_dict",
    "model_state_dict",
    "model",
    "teacher",
    "student",
    "net",
    "network",
    "module",
    "weights",
    "params",
    *AVERAGES,
)
COUNT = "num_batches_tracked"  # of a batch norm; torch before 0.4.1 had none
LARGEST = torch.finfo(torch.float32).max
DEEPEST = 8  # nests, and modules in modules are no deeper than Python's own limit
LEGACY = b"l\xfc\x9cF\xf9 j\xa8P\x19."  # at the beginning of what torch.save wrote before 1.6
CURE = "save its state dict alone where you trust it: torch.save(model.state_dict(), 'weights.pth')"


class Inert:
    """In place of any class or function that a file names: keeps the state of an object, and does nothing."""

    state: Any = None

    def __new__(cls, *arguments: Any, **named: Any) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class InertArray(Inert):
    """In place of NumPy's."""


def read_state(path: Path) -> StateDict:
    """The tensors of a weights file by name: .safetensors, or torch's, with the tensors at the top, below a key such as
    `state_dict` or `model`, or in a module that was saved whole.

    Raises DataError, in one line that says what the file is and the cure, if it is missing or holds no such tensors.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file; correct the path, or put the file there")
    try:
        kind = other_kind(path)
        if kind:
            raise DataError(f"{path}: is {kind}")
        state = load_file(path) if is_safetensors(path) else _unwrapped(_torch_content(path), path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read as weights ({in_one_line(error)}); fetch it again") from error
    odd = [name for name, value in state.items() if not _is_plain(value)]
    if odd:
        raise DataError(
            f"{path}: {odd[0]} has no plain values (quantized, sparse or empty); give weights in floats of 16 bits"
            " or more"
        )
    return state


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor's values are its own: floats of eight bits and fewer need a scale that is kept elsewhere."""
    tiny = value.is_floating_point() and value.element_size() < 2
    return not (value.is_meta or value.is_quantized or value.layout != torch.strided or tiny)


def _plain_dict(*arguments: Any) -> dict[Any, Any]:
    return {}


def _stand_in(name: str) -> Any:
    if name == "collections.defaultdict":
        return _plain_dict
    return InertArray if name.startswith("numpy.") else Inert


def _torch_content(path: Path) -> Any:
    names = _foreign_names(path)
    stand_ins: list[Any] = [(_stand_in(name), name) for name in names]
    try:
        # As a stream: of a path, torch goes by the name.
        with torch.serialization.safe_globals(stand_ins), path.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises whatever its archive, unpickler or zip reader raises
        reason = _pickled(path) or _reason(error, names)
        raise DataError(f"{path}: cannot be read as weights alone ({reason})") from error


def _foreign_names(path: Path) -> list[str]:
    """The classes and functions that a file names beside torch's own."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (ValueError, RuntimeError, EOFError, LookupError, TypeError, pickle.UnpicklingError):
        # Of a file in torch's old format they cannot be listed; options of a program are what is there most often.
        return ["argparse.Namespace"]


def _pickled(path: Path) -> str:
    """What a file is that was pickled, but not by torch, with the cure; empty of any other."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if not head.startswith(b"\x80") or LEGACY in head[:32]:
        return ""
    arrays = " of NumPy arrays" if b"numpy" in head else ""
    return f"it is a Python pickle{arrays}, not a file of torch; {CURE}"


def _reason(error: Exception, names: Sequence[str]) -> str:
    """Why torch does not read a file, and the cure."""
    text = str(error)
    for mark in ("Unsupported global: GLOBAL ", "unsupported GLOBAL "):
        if mark in text:
            names = [text.split(mark)[1].split()[0]]
    if "Unsupported global" in text or "unsupported GLOBAL" in text or Inert.__name__ in text:
        return f"it holds objects of {', '.join(names[:3])}, and would run their code; {CURE}"
    if "central directory" in text or "Ran out of input" in text or isinstance(error, EOFError):
        return "it is cut short or damaged; fetch it again"
    return f"{in_one_line(error).split('. In PyTorch')[0]}; fetch it again, or {CURE}"


def _unwrapped(content: Any, path: Path) -> StateDict:
    for _ in range(DEEPEST):
        if isinstance(content, Inert):
            content = module_state(content, path)
        if not isinstance(content, Mapping):
            kind = "a single tensor" if isinstance(content, Tensor) else f"a {type(content).__name__}"
            raise DataError(f"{path}: holds {kind}, not a state dict; save one: torch.save(model.state_dict(), FILE)")
        nested = next((key for key in NESTS if isinstance(content.get(key), Mapping | Inert)), None)
        tensors = {key: value for key, value in content.items() if isinstance(value, Tensor) and isinstance(key, str)}
        if nested is None:
            if tensors:
                return tensors
            if any(isinstance(value, InertArray) for value in content.values()):
                raise DataError(
                    f"{path}: holds NumPy arrays, not tensors; save a state dict: torch.save({{name: torch.from_numpy("
                    "array) for name, array in arrays.items()}, FILE)"
                )
            shown = ", ".join(map(repr, list(content)[:5])) or "nothing"
            raise DataError(f"{path}: holds no tensors by name, but {shown}; save a state dict alone")
        _tell_choice(content, nested, path)
        content = content[nested]
    raise DataError(f"{path}: holds dicts in dicts; save a state dict alone")


def _tell_choice(content: Mapping[Any, Any], taken: str, path: Path) -> None:
    """Logs which weights are taken where a file has several."""
    others = [key for key in NESTS if key != taken and isinstance(content.get(key), Mapping | Inert)]
    if others:
        log.info("%s: its weights under %r are taken, not those under %s", path, taken, ", ".join(map(repr, others)))


def module_state(module: Inert, path: Path, prefix: str = "", depth: int = 0) -> StateDict:
    """The tensors of a module that was saved whole, named as in its state dict. Raises DataError if it is none."""
    state = module.state
    parts: list[Any] = (
        [state.get(part) for part in ("_parameters", "_buffers", "_modules")] if isinstance(state, dict) else []
    )
    if not parts or not all(isinstance(part, dict) for part in parts) or depth > DEEPEST * DEEPEST:
        raise DataError(f"{path}: holds an object that is no module of torch; save a state dict alone")
    passing = state.get("_non_persistent_buffers_set") or ()
    own = {**parts[0], **{name: value for name, value in parts[1].items() if name not in passing}}
    found = {f"{prefix}{name}": value for name, value in own.items() if isinstance(value, Tensor)}
    for name, child in parts[2].items():
        if isinstance(child, Inert):
            found |= module_state(child, path, f"{prefix}{name}.", depth + 1)
    return found


def without_prefix(state: Mapping[str, Tensor], reference: Mapping[str, Tensor], path: Path) -> StateDict:
    """The tensors without the prefix that a wrapper gave their names (`module.`, `backbone.`): the one under which most
    of the tensors of `reference` are, by name and shape. Those under no or another prefix are left out.

    Raises DataError if the file holds the model twice.
    """
    # The longest names, which are those of one place alone; old files have no counts of batches.
    endings = sorted((name for name in reference if not name.endswith(COUNT)), key=len, reverse=True)[:8]
    prefixes = {name.removesuffix(end) for end in endings for name in state if name.endswith(f".{end}")} | {""}
    counts = {prefix: sum(fits(state, name, reference, prefix) for name in reference) for prefix in prefixes}
    most = max(counts.values())
    best = sorted((prefix for prefix, count in counts.items() if count == most), key=len)
    if most and len(best) > 1 and best[0]:
        raise DataError(
            f"{path}: holds the model {len(best)} times, under {', '.join(map(repr, best[:4]))}; save the part that you"
            " mean alone"
        )
    return {name.removeprefix(best[0]): value for name, value in state.items() if name.startswith(best[0])}


def fits(state: Mapping[str, Tensor], name: str, reference: Mapping[str, Tensor], prefix: str = "") -> bool:
    """Whether the state has the reference's tensor `name`, with its shape, as a float where it is one."""
    value, wanted = state.get(f"{prefix}{name}"), reference[name]
    return value is not None and value.shape == wanted.shape and value.is_floating_point() == wanted.is_floating_point()


def refuse_not_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Raises DataError for a tensor with a value that is no finite number, or none of float32, in which all is
    computed."""
    for name, value in state.items():
        if value.is_floating_point() and value.numel() and not value.abs().max().item() <= LARGEST:  # NaN is not
            raise DataError(f"{path}: {name} holds values that are no finite numbers; fetch the file again")


def difference(state: Mapping[str, Tensor], wrong: Sequence[str], reference: Mapping[str, Tensor]) -> str:
    """What a file has in place of the tensors that a model needs: how many are wrong, the first, and what there is."""
    first, value = wrong[0], state.get(wrong[0])
    if value is not None:
        wanted = f"{tuple(reference[first].shape)} of {str(reference[first].dtype).removeprefix('torch.')}"
        there = f"which is {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}, not {wanted}"
    else:
        shown = [name for name in state if not name.endswith(COUNT)][:3]
        there = f"where the file has {', '.join(map(repr, shown)) or 'none'}"
    return f"{len(wrong)} tensors missing or of another shape, first {first!r}, {there}"
