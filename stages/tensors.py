"""Tensors as safetensors files, written whole and finite."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from stages.files import atomic_path
from stages.finite import check_finite


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, cure: str, metadata: dict[str, str] | None = None
) -> None:
    """Writes tensors by name, atomically. Raises DataError, with the cure, if one of them is not finite."""
    check_finite(path, tensors, cure)
    with atomic_path(path) as temporary:
        save_file(dict(tensors), temporary, metadata=metadata)
