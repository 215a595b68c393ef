"""Trained networks as files: weights in safetensors, and in the metadata what the network is built from, as JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from stages.errors import DataError
from stages.tensors import write_tensors

# What a missing or broken file raises, and one whose weights or description do not fit the network.
FAULTS = (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError)


@dataclass(frozen=True)
class CheckpointFormat:
    """The files of one kind of network.

    entry: of the metadata.  network: its name in messages.  stage: makes the file again.
    """

    entry: str
    network: str
    stage: str

    def save(self, path: Path, network: nn.Module, description: Any) -> None:
        """Writes the weights and the description, atomically. Raises DataError if a weight is not finite."""
        state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        # One entry: safetensors writes several in an order that changes from run to run, and equal weights are equal
        # files.
        cure = f"the {self.network} is not written; lower the learning rate of its training, and train it again"
        write_tensors(path, state, cure=cure, metadata={self.entry: json.dumps(description)})

    @contextmanager
    def opened(self, path: Path) -> Iterator[tuple[Any, dict[str, Tensor]]]:
        """Yields the description and the weights; the block builds the network from them.

        Raises DataError when the file is missing or broken, or when the network cannot be built.
        """
        try:
            with safe_open(path, framework="pt") as stored:
                description = json.loads((stored.metadata() or {})[self.entry])
                state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
            yield description, state
        except FAULTS as error:
            raise DataError(
                f"{path}: not a whole {self.network} ({error}); delete it and rerun `{self.stage}`"
            ) from error
