"""ResNet38: shapes, parameters, its blocks against plain convolutions, and what stays still."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stages.networks import resnet38
from stages.networks.resnet38 import Block, Bottleneck, ResNet38


def norm(x: Tensor, own: torch.nn.BatchNorm2d) -> Tensor:
    """Batch norm with stored statistics, written out."""
    shape = (1, -1, 1, 1)
    scaled = (x - own.running_mean.reshape(shape)) / (own.running_var.reshape(shape) + own.eps).sqrt()
    return scaled * own.weight.reshape(shape) + own.bias.reshape(shape)


def randomize(module: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + ("running_var" in name) * 0.5 - 0.2)


@pytest.fixture(scope="module")
def meta() -> ResNet38:
    with torch.device("meta"):
        return ResNet38(frozen_stages=2)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> ResNet38:
    """All blocks, with few channels: small enough to train."""
    stages = (("b2", 3, 4, 4, 2, 1, 1), ("b3", 3, 4, 4, 2, 1, 1), ("b4", 6, 8, 8, 2, 1, 1), ("b5", 3, 8, 16, 1, 1, 2))
    monkeypatch.setattr(resnet38, "STAGES", stages)
    monkeypatch.setattr(resnet38, "BOTTLENECKS", (("b6", 16, 32, 4, 0.3), ("b7", 32, 64, 4, 0.5)))
    monkeypatch.setattr(ResNet38, "channels", (8, 16, 64))
    torch.manual_seed(0)
    return ResNet38(frozen_stages=2)


@pytest.mark.parametrize(("size", "grid"), [((64, 64), (8, 8)), ((65, 90), (9, 12)), ((321, 321), (41, 41))])
def test_features_lie_at_stride_8(meta: ResNet38, size: tuple[int, int], grid: tuple[int, int]) -> None:
    features = meta(torch.zeros(2, 3, *size, device="meta"))
    assert [tuple(level.shape) for level in features] == [(2, channels, *grid) for channels in (512, 1024, 4096)]


def test_the_number_of_parameters(meta: ResNet38) -> None:
    # By hand: convolutions, and two numbers a channel that a batch norm sees.
    first = 3 * 64 * 9
    b2 = 64 * 128 * 9 + 128 * 128 * 9 + 64 * 128 + 4 * 128 * 128 * 9
    b3 = 128 * 256 * 9 + 256 * 256 * 9 + 128 * 256 + 4 * 256 * 256 * 9
    b4 = 256 * 512 * 9 + 512 * 512 * 9 + 256 * 512 + 10 * 512 * 512 * 9
    b5 = 512 * 512 * 9 + 512 * 1024 * 9 + 512 * 1024 + 2 * (1024 * 512 * 9 + 512 * 1024 * 9)
    b6 = 1024 * 512 + 512 * 1024 * 9 + 1024 * 2048 + 1024 * 2048
    b7 = 2048 * 1024 + 1024 * 2048 * 9 + 2048 * 4096 + 2048 * 4096
    channels = (64 + 128) + 4 * 128 + (128 + 256) + 4 * 256 + (256 + 512) + 10 * 512 + (512 + 512) + 2 * (1024 + 512)
    channels += (1024 + 512 + 1024) + (2048 + 1024 + 2048) + 4096
    counted = sum(parameter.numel() for parameter in meta.parameters())
    assert counted == first + b2 + b3 + b4 + b5 + b6 + b7 + 2 * channels == 105_070_912


def test_strides_dilations_and_dropout_are_those_of_psa(meta: ResNet38) -> None:
    # Weights do not show these: with one wrong, the public file still loads, and the features are others.
    def convolutions(attribute: str) -> dict[str, int]:
        parts = {name: part for name, part in meta.named_modules() if isinstance(part, torch.nn.Conv2d)}
        return {name: getattr(part, attribute)[0] for name, part in parts.items() if getattr(part, attribute)[0] != 1}

    halved = [f"{block}.{part}" for block in ("b2", "b3", "b4") for part in ("conv_branch2a", "conv_branch1")]
    assert convolutions("stride") == dict.fromkeys(halved, 2)
    # The first convolution of b5 stands where the last halving was, so what it reads still lies undilated.
    b5 = ["b5.conv_branch2b1"] + [
        f"b5_{number}.{part}" for number in (1, 2) for part in ("conv_branch2a", "conv_branch2b1")
    ]
    bottlenecks = {"b6.conv_branch2b1": 4, "b7.conv_branch2b1": 4}
    assert convolutions("dilation") == dict.fromkeys(b5, 2) | bottlenecks
    dropouts = {name: part.p for name, part in meta.named_modules() if isinstance(part, torch.nn.Dropout2d)}
    assert dropouts == {"b6.dropout": 0.3, "b7.dropout": 0.5}


@pytest.mark.parametrize(("channels_out", "stride"), [(4, 1), (6, 1), (4, 2)])
def test_a_block_equals_plain_convolutions(channels_out: int, stride: int) -> None:
    block = Block(5, channels_in=4, channels_out=channels_out, stride=stride, first_dilation=1, dilation=2).eval()
    randomize(block)
    x = torch.rand(1, 4, 11, 9)
    activated = F.relu(norm(x, block.bn_branch2a))
    branch = F.conv2d(activated, block.conv_branch2a.weight, stride=stride, padding=1)
    branch = F.conv2d(F.relu(norm(branch, block.bn_branch2b1)), block.conv_branch2b1.weight, padding=2, dilation=2)
    short = x
    if channels_out != 4 or stride != 1:
        assert block.conv_branch1 is not None
        short = F.conv2d(activated, block.conv_branch1.weight, stride=stride)
    output, given = block(x)
    torch.testing.assert_close(given, activated)
    torch.testing.assert_close(output, short + branch)


def test_a_bottleneck_equals_plain_convolutions() -> None:
    block = Bottleneck(4, 8, dilation=4, dropout=0.5).eval()
    randomize(block)
    x = torch.rand(1, 4, 10, 12)
    activated = F.relu(norm(x, block.bn_branch2a))
    branch = F.conv2d(activated, block.conv_branch2a.weight)
    branch = F.conv2d(F.relu(norm(branch, block.bn_branch2b1)), block.conv_branch2b1.weight, padding=4, dilation=4)
    branch = F.conv2d(F.relu(norm(branch, block.bn_branch2b2)), block.conv_branch2b2.weight)
    torch.testing.assert_close(block(x)[0], F.conv2d(activated, block.conv_branch1.weight) + branch)


def test_a_step_of_training_leaves_frozen_stages_and_batch_norms_as_they_were(narrow: ResNet38) -> None:
    before = {name: value.clone() for name, value in narrow.state_dict().items()}
    sum(level.square().mean() for level in narrow(torch.rand(2, 3, 32, 32))).backward()  # type: ignore[union-attr]
    with_gradient = {name for name, parameter in narrow.named_parameters() if parameter.grad is not None}
    torch.optim.SGD(narrow.parameters(), lr=1.0, weight_decay=0.1).step()
    changed = {name for name, value in narrow.state_dict().items() if not torch.equal(value, before[name])}
    convolutions = {name for name in before if "conv" in name}
    frozen = {name for name in convolutions if name == "conv1a.weight" or name.startswith(("b2.", "b2_"))}
    # By hand: a first convolution, 7 in b2, and 7 + 13 + 7 in b3 to b5, 4 + 4 in b6 and b7.
    assert (len(frozen), len(convolutions)) == (8, 43)
    assert changed == with_gradient == convolutions - frozen


def test_the_features_are_the_activated_outputs_of_b4_b5_and_b7(narrow: ResNet38) -> None:
    randomize(narrow.bn7)
    outputs: dict[str, Tensor] = {}
    for name in ("b4_5", "b5_2", "b7"):
        narrow.get_submodule(name).register_forward_hook(
            lambda _module, _given, output, name=name: outputs.__setitem__(name, output[0])
        )
    features = narrow.eval()(torch.rand(1, 3, 33, 40))
    norms = [narrow.get_submodule(name) for name in ("b5.bn_branch2a", "b6.bn_branch2a", "bn7")]
    for feature, output, own in zip(features, outputs.values(), norms, strict=True):
        assert isinstance(own, torch.nn.BatchNorm2d)
        torch.testing.assert_close(feature, F.relu(norm(output, own)))
        assert feature.max() > 0


def test_batch_norms_stay_and_the_first_stages_get_no_gradient(meta: ResNet38) -> None:
    learned = {name for name, parameter in meta.named_parameters() if parameter.requires_grad}
    assert not any("bn" in name for name in learned)
    assert not any(name.startswith(("conv1a", "b2")) for name in learned)
    assert {"b3.conv_branch2a.weight", "b7.conv_branch2b2.weight"} <= learned
    norms = [module for module in meta.train().modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 2 * 15 + 3 * 2 + 1
    assert not any(module.training for module in norms)
    assert meta.b7.dropout.training  # type: ignore[union-attr]
