"""Batches of all processes of a distributed training, as one."""

import torch
import torch.distributed.nn.functional
from torch import Tensor


def over_all_ranks(batch: Tensor) -> Tensor:
    """The batches of all ranks one after the other, with gradient; the batch itself where there is one process.

    Its gradient sums over ranks, and DistributedDataParallel averages: together the gradient of the whole batch.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return batch
    return torch.cat(torch.distributed.nn.functional.all_gather(batch))
