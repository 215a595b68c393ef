"""Where and how precisely to compute: chosen when asked, never at import."""

from contextlib import AbstractContextManager, nullcontext

import torch


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
