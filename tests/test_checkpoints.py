"""Files of trained networks: what a user may name in place of one is told in one line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from stages.checkpoints import CheckpointFormat
from stages.errors import DataError

FORMAT = CheckpointFormat("segmenter", "segmenter", "segment")


def build(path: Path, form: CheckpointFormat = FORMAT) -> tuple[Any, nn.Linear]:
    with form.opened(path) as (description, state):
        network = nn.Linear(description["columns"], 2)
        network.load_state_dict(state)
    return description, network


def test_what_was_saved_is_opened(tmp_path: Path) -> None:
    network = nn.Linear(3, 2)
    FORMAT.save(tmp_path / "a.safetensors", network, {"columns": 3})
    description, opened = build(tmp_path / "a.safetensors")
    assert description == {"columns": 3}
    assert torch.equal(opened.weight, network.weight)


def test_what_is_no_such_network_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    refused: dict[str, Any] = {
        "no such file; correct the path, or run `segment`": lambda: None,
        "it is a Git LFS pointer": lambda: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "it is an empty file": lambda: path.write_text(""),
        r"not a segmenter \(no safetensors file\); name the segmenter that": lambda: torch.save({}, path),
        r"not a segmenter \(no safetensors file\); name": lambda: path.write_bytes(b"\x01\x02\xff" * 9),
        "not a whole segmenter .*delete it and rerun `segment`": lambda: path.write_bytes(
            save({"a": torch.ones(9)})[:-1]
        ),
        "weight has numbers that are not finite .* 1 of 6; it is no segmenter": lambda: save_file(
            {"weight": torch.tensor([[1, 2, torch.nan], [3, 4, 5]]), "bias": torch.zeros(2)},
            path,
            {"segmenter": '{"columns": 3}'},
        ),
        "not a segmenter, but weights without a description; name": lambda: save_file({"a": torch.zeros(2)}, path),
        "not a segmenter, but weights of tagmask's localizer; name the segmenter that `segment` wrote": lambda: (
            CheckpointFormat("localizer", "localizer", "localize").save(path, nn.Linear(3, 2), {"columns": 3})
        ),
        "not a whole segmenter .*Missing key": lambda: FORMAT.save(path, nn.Identity(), {"columns": 3}),
        "not a whole segmenter .*columns": lambda: FORMAT.save(path, nn.Linear(3, 2), {}),
        "not a whole segmenter .*object": lambda: FORMAT.save(path, nn.Linear(3, 2), None),
    }
    for message, write in refused.items():
        write()
        with pytest.raises(DataError, match=rf"a\.safetensors: .*{message}") as raised:
            build(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="it is a folder"):
        build(tmp_path)
