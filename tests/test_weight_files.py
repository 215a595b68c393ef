"""Weights files as people have them: read without running what they hold, or named in one line."""

import argparse
import collections
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor, nn

from stages.errors import DataError
from stages.weight_files import read_state, refuse_not_finite, without_prefix


class Small(nn.Module):
    """Two layers in a part of their own, a buffer that is saved and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        self.register_buffer("kept", torch.ones(2))
        self.register_buffer("passing", torch.zeros(2), persistent=False)


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return Small().state_dict()


def same(read: dict[str, Tensor], state: dict[str, Tensor]) -> bool:
    return read.keys() == state.keys() and all(torch.equal(read[name], state[name]) for name in state)


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


def wrapped(name: str, state: dict[str, Tensor]) -> Any:
    student, teacher = (
        prefixed({key: value + 1 for key, value in state.items()}, "module."),
        prefixed(state, "backbone."),
    )
    return {
        "plain": state,
        "module": prefixed(state, "module."),
        "nested module": {"state_dict": prefixed(state, "module."), "epoch": 3, "optimizer": {"state": {}}},
        "namespace": {"model": state, "args": argparse.Namespace(lr=1, path=Path("/"))},
        "numpy": {"model": state, "best": np.float64(0.5), "all": np.arange(3.0)},
        "defaultdict": {"model": state, "more": collections.defaultdict(list, a=[1])},
        "dino": {"student": student, "teacher": teacher, "args": argparse.Namespace(), "epoch": 1},
        "deep": {"state_dict": {"model": prefixed(state, "model.module.")}},
        "head": {"state_dict": {**prefixed(state, "backbone."), "head.weight": torch.zeros(3)}},
    }[name]


WRAPPERS = (
    *("plain", "module", "nested module", "namespace", "numpy", "defaultdict", "dino", "deep", "head"),
    *("whole", "parallel"),
)


@pytest.mark.parametrize("name", WRAPPERS)
def test_whatever_holds_the_tensors_they_are_read(tmp_path: Path, state: dict[str, Tensor], name: str) -> None:
    path = tmp_path / "a.pth"
    if name in ("whole", "parallel"):
        model = Small()
        model.load_state_dict(state)
        torch.save(nn.DataParallel(model) if name == "parallel" else model, path)
    else:
        torch.save(wrapped(name, state), path)
    assert same(without_prefix(read_state(path), state, path), state)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
def test_the_contents_decide_not_the_name(tmp_path: Path, state: dict[str, Tensor], suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_file(state, path)
    assert same(read_state(path), state)
    torch.save(state, path)
    assert same(read_state(path), state)
    torch.save({"model": state, "args": argparse.Namespace(lr=1)}, path, _use_new_zipfile_serialization=False)
    assert same(read_state(path), state)


class Evil:
    """Runs a function of Python's when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("old", [False, True])
def test_nothing_in_a_file_runs(tmp_path: Path, state: dict[str, Tensor], old: bool) -> None:
    mark = tmp_path / "mark"
    evils = [Evil(os.system, f"touch {mark}"), Evil(exec, f"open({str(mark)!r}, 'w')"), Evil(Path.touch, mark)]
    for evil in evils:
        torch.save({"model": state, "more": evil}, tmp_path / "a.pth", _use_new_zipfile_serialization=not old)
        try:
            assert same(read_state(tmp_path / "a.pth"), state)
        except DataError as error:
            assert "and would run their code; save its state dict alone" in str(error)  # noqa: PT017
        assert not mark.exists()
    with (tmp_path / "a.pth").open("wb") as stream:
        pickle.dump(evils[0], stream)
    with pytest.raises(DataError, match=r"a\.pth: cannot be read as weights alone"):
        read_state(tmp_path / "a.pth")
    assert not mark.exists()


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is an empty file; fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 22882\n", "is a Git LFS pointer, not the"),
        (b"\n<!DOCTYPE html><html>Virus scan warning</html>", "is a web page, as servers send"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (b'{"error": "Repository not found"}', "is the error message of a server"),
        (b"Entry not found", "is a text"),
        (bytes(4096), "is nothing but zeros at its beginning"),
        (b"\x1f\x8b\x08\x00 and more", "is a gzip archive; unpack it"),
        (b"\x89HDF\r\n\x1a\n and more", "is an HDF5 file"),
        (cut(save({"a": torch.zeros(64)})), r"is cut short: 168 of 336 bytes|is cut short"),
        (save({"a": torch.zeros(64)})[:20], "is cut short or damaged"),
        (b"\x80\x04\x95 no torch", "cannot be read as weights alone"),
        (b"PK\x03\x04 cut", "is cut short or damaged .* its end is missing"),
        ("<html>".encode("utf-16"), "is a web page"),
        ("Zugriff verweigert für alle".encode(), "is a text"),
        (b"import torch\nprint(1)\n", "is a text"),
        (b"\x08\x07\x12\x07pytorch\x1a\x012:" + bytes(range(200)), "is an ONNX model; save its tensors"),
        (b"\x08\x01\x12\x99\x03\x12\x05" + bytes(range(200)), "is a TensorFlow SavedModel"),
        (b"\x0a\x3c\x0a\x05input\x12\x0bPlaceholder" + bytes(range(200)), "is a TensorFlow graph"),
        (b"\x1c\0\0\0TFL3" + bytes(range(200)), "is a TensorFlow Lite model"),
        (b"a.pth" + bytes(252) + b"ustar" + bytes(range(200)), "is a tar archive; unpack it"),
        (b"\x80", r"is cut short or damaged \(bytes: 1\)"),
        (pickle.dumps({"a": np.zeros(3)}), "cannot .*it is a Python pickle of NumPy arrays, not a file of torch"),
        (pickle.dumps({"a": [0.0]}), "cannot .*it is a Python pickle, not a file of torch"),
        (os.urandom(300), "cannot be read as weights"),
    ],
)
def test_what_is_no_weights_is_named_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: ({message})") as raised:
            read_state(tmp_path / name)
        assert "\n" not in str(raised.value)


def test_other_archives_and_contents_are_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    refused = {
        "list": ([1, 2], "holds a list, not a state dict"),
        "tensor": (torch.zeros(3), "holds a single tensor, not a state dict"),
        "empty": ({}, "holds no tensors by name, but nothing"),
        "numbers": ({"a": 1, 2: torch.zeros(2)}, "holds no tensors by name, but 'a', 2"),
        "options": (argparse.Namespace(lr=1), "holds an object that is no module of torch"),
        "arrays": ({"model": {"a": np.zeros(3)}}, "holds NumPy arrays, not tensors; save a state dict"),
        "float8": ({"a": torch.zeros(2).to(torch.float8_e4m3fn)}, "a has no plain values .* 16 bits or more"),
        "sparse": ({"a": torch.eye(2).to_sparse()}, "a has no plain values"),
    }
    for name, (content, message) in refused.items():
        torch.save(content, tmp_path / f"{name}.pth")
        with pytest.raises(DataError, match=rf"{name}\.pth: {message}"):
            read_state(tmp_path / f"{name}.pth")
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    with pytest.raises(DataError, match=r"is NumPy arrays \(\.npz\)"):
        read_state(tmp_path / "a.npz")
    with pytest.raises(DataError, match="is a folder; name the file in it"):
        read_state(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_state(tmp_path / "nowhere.pth")
    content = (tmp_path / "sparse.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(cut(content))
    with pytest.raises(DataError, match=r"cut\.pth: is cut short or damaged \([\d,]+ bytes\): its end is missing"):
        read_state(tmp_path / "cut.pth")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), str(tmp_path / "a.pt"))
    with pytest.raises(DataError, match=r"a\.pt: is a TorchScript archive, which is a program; save its tensors"):
        read_state(tmp_path / "a.pt")


def test_a_model_that_is_there_twice_is_not_guessed(state: dict[str, Tensor]) -> None:
    both = {**prefixed(state, "encoder_q."), **prefixed(state, "encoder_k.")}
    with pytest.raises(DataError, match=r"a\.pth: holds the model 2 times, under 'encoder_.\.', 'encoder_.\.'; save"):
        without_prefix(both, state, Path("a.pth"))
    beside = {**state, **prefixed({name: value + 1 for name, value in state.items()}, "ema.")}
    read = without_prefix(beside, state, Path("a.pth"))
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_values_that_are_no_finite_numbers_are_named(state: dict[str, Tensor]) -> None:
    refuse_not_finite(state, Path("a.pth"))
    state["part.0.weight"][0, 0] = torch.nan
    with pytest.raises(DataError, match=r"a\.pth: part\.0\.weight holds values that are no finite numbers"):
        refuse_not_finite(state, Path("a.pth"))


def test_values_that_float32_cannot_hold_are_named() -> None:
    with pytest.raises(DataError, match="a holds values that are no finite numbers"):
        refuse_not_finite({"b": torch.zeros(0), "a": torch.tensor([1e300], dtype=torch.float64)}, Path("a.pth"))


def test_averaged_weights_are_read_where_they_are_alone(
    tmp_path: Path, state: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    path, averages = tmp_path / "a.pth", {name: value + 1 for name, value in state.items()}
    for key in ("state_dict_ema", "model_ema"):
        torch.save({key: averages, "epoch": 3}, path)
        assert same(read_state(path), averages)
    with caplog.at_level("INFO"):
        torch.save({"model_ema": averages, "model": state}, path)
        assert same(read_state(path), state)
    assert "its weights under 'model' are taken, not those under 'model_ema'" in caplog.text


def test_the_length_of_a_header_is_no_mark_of_another_format(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(0x112)  # as MXNet's files begin
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert read_state(tmp_path / "a")["a"].tolist() == [0]


SOURCE = {"state_dict": {"a.weight": torch.arange(6.0).reshape(2, 3)}, "args": argparse.Namespace(lr=1), "epoch": 3}


@bounded(max_examples=50, deadline=None, derandomize=True)
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4), st.integers(0, 2000))
def test_no_damage_is_a_traceback(torchs: bool, changes: list[tuple[int, int]], end: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pth"
        torch.save(SOURCE, path) if torchs else save_file(SOURCE["state_dict"], path)  # type: ignore[arg-type]
        content = bytearray(path.read_bytes())
        for place, value in changes:
            content[place % len(content)] = value
        path.write_bytes(content if end < 1000 else content[: end - 1000])
        try:
            assert all(isinstance(value, Tensor) for value in read_state(path).values())
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017


@bounded(max_examples=50, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3) | st.just(torch.ones(2)) | st.just(argparse.Namespace(a=1)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["state_dict", "model", "a", "_modules"]), inner, max_size=3)
            | st.sets(st.integers(), max_size=2)
        ),
        max_leaves=6,
    )
)
def test_no_content_is_a_traceback(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pth"
        torch.save(content, path)
        try:
            assert all(isinstance(value, Tensor) for value in read_state(path).values())
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017
