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
from stages.file_kinds import is_safetensors, other_kind
from stages.finite import check_finite
from stages.tensors import write_tensors

# What a missing or broken file raises, and one whose weights or description do not fit the network.
FAULTS = (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError, AttributeError, AssertionError)


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

        Raises DataError when the file is missing or broken, when a weight is not finite, or when the network cannot be
        built.
        """
        try:
            with safe_open(path, framework="pt") as stored:
                entries = stored.metadata() or {}
                self._require_entry(entries, path)
                description = json.loads(entries[self.entry])
                state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
            check_finite(path, state, f"it is no {self.network} to use; name another, or rerun `{self.stage}`")
            yield description, state
        except FAULTS as error:
            raise DataError(self._fault(path, error)) from error

    def _fault(self, path: Path, error: Exception) -> str:
        """What is wrong with a file that is missing, another program's, or damaged. Only what tagmask wrote itself may
        be deleted."""
        if not path.exists():
            return f"{path}: no such file; correct the path, or run `{self.stage}`, which writes the {self.network}"
        written = f"name the {self.network} that `{self.stage}` wrote"
        try:
            kind = other_kind(path)
            ours = not path.is_dir() and is_safetensors(path)
        except OSError as unreadable:
            return f"{path}: cannot be read ({unreadable.strerror}); {written}"
        if not ours and (path.is_dir() or not kind):
            return f"{path}: not a {self.network} ({f'it is {kind}' if kind else 'no safetensors file'}); {written}"
        if not ours:
            return (
                f"{path}: not a whole {self.network} (it is {kind}); {written}, or rerun `{self.stage}` if this was it"
            )
        reason = f"it is {kind}" if kind else in_one_line(error)
        return f"{path}: not a whole {self.network} ({reason}); delete it and rerun `{self.stage}`"

    def _require_entry(self, entries: Mapping[str, str], path: Path) -> None:
        """Raises DataError for weights of something else, which rerunning the stage would not mend."""
        if self.entry not in entries:
            other = f"of tagmask's {', '.join(entries)}" if entries else "without a description"
            raise DataError(
                f"{path}: not a {self.network}, but weights {other}; name the {self.network} that `{self.stage}` wrote"
            )
