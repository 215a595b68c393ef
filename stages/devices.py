"""Where and how precisely to compute: chosen when asked, never at import."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from stages.errors import DataError

# How torch says it on CPUs (its CUDA error is a type of its own).
NO_MEMORY = ("allocate memory", "not enough memory", "out of memory")


def pick_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether bfloat16 arithmetic is in the hardware (CUDA from Ampere on; CPUs with avx512_bf16 or amx)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 autocast where the hardware has it, else full precision."""
    return torch.autocast(device.type, torch.bfloat16) if bfloat16_is_fast(device) else nullcontext()


@contextmanager
def memory_for(subject: str, cure: str) -> Iterator[None]:
    """Makes a DataError of memory that runs out meanwhile.

    subject: the images that are computed, by name.  cure: the settings that need less.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        told = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
        if not told and not any(words in str(error) for words in NO_MEMORY):
            raise
        raise DataError(f"{subject}: the memory is not enough; {cure}") from error
