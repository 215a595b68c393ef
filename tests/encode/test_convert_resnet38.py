"""ResNet38's public weights: MXNet's files written byte by byte, their names, and what is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stages.encode import convert_resnet38, resnet38_weights
from stages.encode.mxnet_params import read_params
from stages.encode.resnet38_weights import checked, own_name, reference_state
from stages.encode.weights import load_weights
from stages.errors import DataError, SettingsError


def array_bytes(array: np.ndarray, version: int) -> bytes:
    """An array as MXNet writes it: version 0 has no magic and 32-bit sides."""
    heads = {0: b"", 1: struct.pack("<I", 0xF993FAC8), 2: struct.pack("<Ii", 0xF993FAC9, 0)}
    sides = struct.pack(f"<I{array.ndim}{'I' if version == 0 else 'q'}", array.ndim, *array.shape)
    kinds = {"float32": 0, "float64": 1, "float16": 2}
    return heads[version] + sides + struct.pack("<iii", 1, 0, kinds[array.dtype.name]) + array.tobytes()


def write_params(path: Path, arrays: dict[str, np.ndarray], version: int) -> None:
    content = struct.pack("<QQQ", 0x112, 0, len(arrays))
    content += b"".join(array_bytes(array, version) for array in arrays.values())
    content += struct.pack("<Q", len(arrays))
    for name in arrays:
        content += struct.pack("<Q", len(name)) + name.encode()
    path.write_bytes(content)


ARRAYS = {
    "arg:conv1a_weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "aux:bn7_moving_var": np.array([0.5, 2.0], dtype=np.float16),
}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_every_form_of_the_file_is_read(tmp_path: Path, version: int) -> None:
    write_params(tmp_path / "a.params", ARRAYS, version)
    read = read_params(tmp_path / "a.params")
    assert list(read) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.params"
    write_params(path, ARRAYS, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(DataError, match=r"a\.params: not a complete MXNet .params file \(it ends too early\)"):
        read_params(path)
    path.write_bytes(b"PK" + whole[2:])
    with pytest.raises(DataError, match="begins with"):
        read_params(path)
    with pytest.raises(DataError, match="no such file"):
        read_params(tmp_path / "b.params")


LIST_OF_ONE = struct.pack("<QQQ", 0x112, 0, 1)
ONE = array_bytes(np.ones(1, dtype=np.float32), 2)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(
            LIST_OF_ONE + struct.pack("<IiIqqiii", 0xF993FAC9, 0, 2, 2**20, 2**20, 1, 0, 0), "it ends too early",
            id="four terabytes of values",
        ),
        pytest.param(LIST_OF_ONE + ONE + struct.pack("<QQ", 1, 2**64 - 1), "it ends too early", id="endless name"),
        pytest.param(
            LIST_OF_ONE + struct.pack("<IiIqqiii", 0xF993FAC9, 0, 2, -1, -1, 1, 0, 0) + bytes(4),
            r"an array of type 0 and shape \(-1, -1\)", id="negative sides",
        ),
        pytest.param(
            LIST_OF_ONE + struct.pack("<IiIqiii", 0xF993FAC9, 0, 1, 1, 1, 0, 9) + bytes(8),
            r"an array of type 9 and shape \(1,\)", id="unknown type",
        ),
        pytest.param(LIST_OF_ONE + struct.pack("<Ii", 0xF993FAC9, 1), "a sparse array", id="sparse"),
        pytest.param(LIST_OF_ONE + ONE + struct.pack("<Q", 0), "1 arrays, but 0 names", id="no names"),
    ],
)  # fmt: skip
def test_a_damaged_length_is_refused_before_memory_is_asked_for(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "a.params"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.params: not a complete MXNet .params file \({complaint}"):
        read_params(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_params(tmp_path)


@pytest.mark.parametrize("head", [struct.pack("<I", 0xF993FAC8), struct.pack("<Ii", 0xF993FAC9, 0), b""])
def test_an_array_without_dimensions_is_empty_and_stops_after_its_shape(tmp_path: Path, head: bytes) -> None:
    names = struct.pack("<QQ1sQ1s", 2, 1, b"a", 1, b"b")
    (tmp_path / "a.params").write_bytes(struct.pack("<QQQ", 0x112, 0, 2) + head + struct.pack("<I", 0) + ONE + names)
    read = read_params(tmp_path / "a.params")
    assert read["a"].size == 0
    np.testing.assert_array_equal(read["b"], [1.0])


def mxnet_names() -> list[str]:
    """Every name in the public file but the classifier's, from the authors' way of naming: blocks 2a, 2b1, 2b2, ..."""
    names = ["arg:conv1a_weight"]
    norms = ["bn7"]
    for level, blocks in ((2, 3), (3, 3), (4, 6), (5, 3), (6, 1), (7, 1)):
        for number in range(blocks):
            block = f"{level}a" if number == 0 else f"{level}b{number}"
            branches = ["branch2a", "branch2b1"] + ["branch2b2"] * (level >= 6)
            norms += [f"bn{block}_{branch}" for branch in branches]
            # Each level begins with a block that widens, so that its input needs a convolution too.
            names += [f"arg:res{block}_{branch}_weight" for branch in branches + ["branch1"] * (number == 0)]
    for norm in norms:
        names += [f"arg:{norm}_gamma", f"arg:{norm}_beta", f"aux:{norm}_moving_mean", f"aux:{norm}_moving_var"]
    return names


def test_the_names_of_the_whole_file_are_those_of_the_network() -> None:
    translated = [own_name(name) for name in mxnet_names()]
    assert len(set(translated)) == len(translated) == 1 + 42 + 4 * 37
    assert set(translated) == {name for name in reference_state() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("arg:conv1a_weight", "conv1a.weight"),
        ("arg:res2a_branch1_weight", "b2.conv_branch1.weight"),
        ("arg:res4b5_branch2b1_weight", "b4_5.conv_branch2b1.weight"),
        ("arg:bn6a_branch2b2_gamma", "b6.bn_branch2b2.weight"),
        ("aux:bn3b1_branch2a_moving_mean", "b3_1.bn_branch2a.running_mean"),
        ("arg:bn7_beta", "bn7.bias"),
        ("arg:linear1000_weight", None),
    ],
)
def test_names_are_translated(theirs: str, ours: str | None) -> None:
    assert own_name(theirs) == ours
    assert ours is None or ours in reference_state()


def small_state() -> dict[str, torch.Tensor]:
    """Four tensors in place of 400 MB."""
    return {
        "conv1a.weight": torch.rand(2, 3, 1, 1), "bn7.weight": torch.rand(2), "bn7.running_var": torch.rand(2),
        "bn7.num_batches_tracked": torch.tensor(0),
    }  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    state = small_state()
    monkeypatch.setattr(resnet38_weights, "reference_state", lambda: state)
    return state


def test_the_command_converts_both_kinds_of_file(tmp_path: Path, small: dict[str, torch.Tensor]) -> None:
    mxnet = {
        "arg:conv1a_weight": "conv1a.weight",
        "arg:bn7_gamma": "bn7.weight",
        "aux:bn7_moving_var": "bn7.running_var",
    }
    arrays = {theirs: small[ours].numpy() for theirs, ours in mxnet.items()}
    write_params(tmp_path / "a.params", arrays | {"arg:linear1000_bias": np.zeros(4, dtype=np.float32)}, 0)
    parts = {f"module.{name}": value for name, value in small.items()} | {"module.fc8.weight": torch.rand(3)}
    torch.save(parts, tmp_path / "a.pth")
    for name in ("a.params", "a.pth"):
        output = tmp_path / f"{name}.safetensors"
        convert_resnet38.run(["--input", str(tmp_path / name), "--output", str(output)])
        converted = load_file(output)
        assert set(converted) == set(small)
        for key, value in small.items():
            torch.testing.assert_close(converted[key], value, rtol=0, atol=0)
        assert load_weights("resnet38", str(output)).keys() == small.keys()


def test_what_is_missing_or_misshapen_is_named(small: dict[str, torch.Tensor]) -> None:
    given = {name: value for name, value in small.items() if name != "bn7.weight"}
    with pytest.raises(DataError, match="some.pth: bn7.weight is missing; give weights of ResNet38"):
        checked(given, Path("some.pth"))
    with pytest.raises(DataError, match=r"bn7.weight is \(5,\), not \(2,\)"):
        checked(given | {"bn7.weight": torch.rand(5)}, Path("some.pth"))


def test_a_file_without_a_state_dict_is_named(tmp_path: Path) -> None:
    torch.save([torch.rand(2)], tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"a\.pth: holds a list, not a state dict"):
        resnet38_weights.read_resnet38(tmp_path / "a.pth")
    torch.save({"conv1a.weight": Path("/")}, tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"a\.pth: holds no tensors by name, but 'conv1a.weight'"):
        resnet38_weights.read_resnet38(tmp_path / "a.pth")
    torch.save({"conv1a.weight": "text", "3": torch.rand(2)}, tmp_path / "b.pth")
    with pytest.raises(DataError, match=r"b\.pth: conv1a.weight is missing"):
        resnet38_weights.read_resnet38(tmp_path / "b.pth")


def test_without_a_file_the_setting_says_how_to_get_one() -> None:
    with pytest.raises(SettingsError, match=r"encode.weights.resnet38: timm is not a file.*convert_resnet38"):
        load_weights("resnet38", "timm")
