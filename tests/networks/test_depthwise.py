"""Fast depthwise convolutions equal torch's own, forward and backward."""

import pytest
import timm
import torch
from torch import nn

from stages.networks.depthwise import DepthwiseConv2d, with_fast_depthwise


@pytest.mark.parametrize("size", [(10, 10), (7, 11)])
@pytest.mark.parametrize(("kernel", "dilation"), [(5, 1), (5, 2), (5, 3), (3, 2)])
def test_equal_to_torchs_with_gradients(kernel: int, dilation: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, kernel, padding=kernel // 2 * dilation, dilation=dilation, groups=6)
    (fast,) = with_fast_depthwise(nn.Sequential(plain))
    assert isinstance(fast, DepthwiseConv2d)
    inputs, upstream = torch.randn(2, 2, 6, *size).unbind()
    results = []
    for layer in (plain, fast):
        given = inputs.clone().requires_grad_()
        outputs = layer(given)
        outputs.backward(upstream)
        results.append((outputs.detach(), given.grad, layer.weight.grad, layer.bias.grad))
        layer.zero_grad()
    for ours, torchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-5)


def test_only_large_or_dilated_ones_that_learn_are_replaced_and_names_stay() -> None:
    network = timm.create_model("tf_efficientnet_lite0", features_only=True, output_stride=16)
    names = list(network.state_dict())
    network.blocks[:5].requires_grad_(False)
    with_fast_depthwise(network)
    replaced = [name for name, module in network.named_modules() if isinstance(module, DepthwiseConv2d)]
    assert replaced == [*(f"blocks.5.{number}.conv_dw" for number in range(4)), "blocks.6.0.conv_dw"]
    assert list(network.state_dict()) == names


def test_replacing_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    network = timm.create_model("tf_efficientnet_lite0", features_only=True)
    torch.manual_seed(0)
    with_fast_depthwise(network)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_bfloat16_does_not_reach_its_training_on_a_cpu() -> None:
    (layer,) = with_fast_depthwise(nn.Sequential(nn.Conv2d(4, 4, 5, padding=2, groups=4)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(1, 4, 8, 8)).dtype == torch.float32
        assert layer.eval()(torch.randn(1, 4, 8, 8)).dtype == torch.bfloat16  # predictions are torch's own
