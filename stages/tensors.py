"""Tensors as safetensors files, written and read whole and finite."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from stages.errors import DataError, in_one_line
from stages.files import atomic_path
from stages.finite import check_finite


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, cure: str, metadata: dict[str, str] | None = None
) -> None:
    """Writes tensors by name, atomically. Raises DataError, with the cure, if one of them is not finite."""
    check_finite(path, tensors, cure)
    with atomic_path(path) as temporary:
        save_file(dict(tensors), temporary, metadata=metadata)


def read_tensors(path: Path, *, stage: str) -> dict[str, Tensor]:
    """Tensors by name that a stage wrote. Raises DataError if the file is missing or not whole, or if one of its
    tensors is not finite."""
    cure = f"delete it and rerun `{stage}`"
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: cannot be read as tensors ({in_one_line(error)}); {cure}") from error
    check_finite(path, tensors, cure)
    return tensors
