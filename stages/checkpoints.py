"""Trained networks as files: weights in safetensors, and in the metadata what the network is built from, as JSON."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from stages.errors import DataError, in_one_line
from stages.file_kinds import other_kind
from stages.tensors import write_tensors

# What a missing or broken file raises, and one whose weights or description do not fit the network.
FAULTS = (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError, AttributeError)


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
                entries = stored.metadata() or {}
                self._require_entry(entries, path)
                description = json.loads(entries[self.entry])
                state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
            yield description, state
        except FAULTS as error:
            kind = other_kind(path) if path.exists() else ""
            reason = f"it is {kind}" if kind else in_one_line(error)
            raise DataError(
                f"{path}: not a whole {self.network} ({reason}); delete it and rerun `{self.stage}`"
            ) from error

    def _require_entry(self, entries: Mapping[str, str], path: Path) -> None:
        """Raises DataError for weights of something else, which rerunning the stage would not mend."""
        if self.entry not in entries:
            other = f"of tagmask's {', '.join(entries)}" if entries else "without a description"
            raise DataError(
                f"{path}: not a {self.network}, but weights {other}; name the {self.network} that `{self.stage}` wrote"
            )
