"""One training over several GPUs: a command restarts itself under torchrun, one process per GPU."""

import os
import sys

import torch
import torch.distributed
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from stages.errors import SettingsError

# mmengine gives each process a GPU by name; on CPUs there is none to name.
CPU_WRAPPER = {"type": "MMDistributedDataParallel", "device_ids": None}


def relaunch(module: str, processes: int, arguments: list[str] | None) -> bool:
    """Runs `python -m module` once per process under torchrun and returns whether it did.

    False: only one process is possible, or this is already one of them and has joined the others; the caller does the
    work. Exits with status 1, in one line, if a process fails.
    """
    if processes <= 1 or "LOCAL_RANK" in os.environ:
        _join_ranks()
        return False
    given = sys.argv[1:] if arguments is None else arguments
    try:
        torchrun(["--standalone", f"--nproc-per-node={processes}", "--module", module, *given])
    except ChildFailedError as error:
        # The process has printed its message; torchrun's own traceback would bury it.
        rank, failure = error.get_first_failure()
        print(
            f"error: process {rank} of {processes} ended with {failure.exitcode}; see its message above",
            file=sys.stderr,
        )
        raise SystemExit(1) from error
    return True


def _join_ranks() -> None:
    """Joins the process group that torchrun announces, nccl on GPUs and gloo on CPUs; does nothing for a single
    process."""
    if "LOCAL_RANK" not in os.environ or torch.distributed.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def ranks() -> int:
    """Number of processes of this training."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def is_first_rank() -> bool:
    """Whether this process writes the files."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def batch_share(batch_size: int, setting: str) -> int:
    """Images per step of this process, so that all of them together make `batch_size`. Raises SettingsError."""
    if batch_size % ranks():
        raise SettingsError(f"{setting}: {batch_size} images cannot be divided among {ranks()} GPUs; choose a multiple")
    return batch_size // ranks()


def from_first_rank(value: bool) -> bool:
    """A decision of the first process, sent to all."""
    if not torch.distributed.is_initialized():
        return value
    told = [value]
    device = torch.device("cuda") if torch.cuda.is_available() else None
    torch.distributed.broadcast_object_list(told, device=device)
    return told[0]
