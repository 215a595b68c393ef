"""Depthwise convolutions whose gradients are fast on CPUs.

oneDNN computes the weight gradient of a depthwise 5 x 5 convolution slowly in bfloat16, and both gradients slowly if
it is dilated. In float32, and with a dilated convolution as undilated ones over interleaved grids, they are faster: a
training step of the demo's segmenter takes three quarters of the time (`python -m benchmarks.segment`, step_depthwise).
"""

from typing import TypeVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

Network = TypeVar("Network", bound=nn.Module)

# Smaller kernels have no slow gradients, unless they are dilated.
SLOW_KERNEL = 5


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 that keeps its input's size: in training on a CPU in the dtype of its weights
    and without dilation. Predictions and exports are torch's own: without gradients nothing is slow, and in ONNX the
    number of filled pixels would be that of the traced size."""

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, rows, columns] -> the same shape."""
        if inputs.device.type != "cpu" or not self.training:
            return super().forward(inputs)
        with torch.autocast("cpu", enabled=False):
            return undilated(inputs.to(self.weight.dtype), self.weight, self.bias, dilation=self.dilation[0])


def undilated(inputs: Tensor, weight: Tensor, bias: Tensor | None, *, dilation: int) -> Tensor:
    """The depthwise convolution of [B, C, rows, columns] with an odd kernel [C, 1, k, k], padded with zeros.

    Pixels that a dilated kernel connects are `dilation` apart, so each of dilation^2 interleaved grids is convolved on
    its own, undilated. Channels-last layout is kept.
    """
    padding, channels = weight.shape[-1] // 2, len(weight)
    if dilation == 1:
        return F.conv2d(inputs, weight, bias, padding=padding, groups=channels)
    rows, columns = inputs.shape[-2:]
    padded = F.pad(inputs, (0, -columns % dilation, 0, -rows % dilation)).permute(0, 2, 3, 1)
    grids = rearrange(padded, "b (h dy) (w dx) c -> (b dy dx) h w c", dy=dilation, dx=dilation).permute(0, 3, 1, 2)
    convolved = F.conv2d(grids, weight, bias, padding=padding, groups=channels).permute(0, 2, 3, 1)
    whole = rearrange(convolved, "(b dy dx) h w c -> b (h dy) (w dx) c", dy=dilation, dx=dilation)
    return whole[:, :rows, :columns].permute(0, 3, 1, 2)


def with_fast_depthwise(network: Network) -> Network:
    """The network with its large or dilated depthwise convolutions of stride 1 replaced where they learn; weights are
    shared. Changed in place."""
    for name, module in list(network.named_modules()):
        if type(module) is nn.Conv2d and module.weight.requires_grad and _is_slow(module):
            replacement = DepthwiseConv2d(
                module.in_channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                padding=module.padding,  # type: ignore[arg-type]
                dilation=module.dilation,  # type: ignore[arg-type]
                groups=module.groups,
                bias=module.bias is not None,
                device="meta",  # draws no initial weights, or the weights drawn after it would be others
            )
            replacement.weight, replacement.bias = module.weight, module.bias
            network.set_submodule(name, replacement)
    return network


def _is_slow(module: nn.Conv2d) -> bool:
    size, (across, _) = module.kernel_size[0], module.dilation
    return (
        module.groups == module.in_channels == module.out_channels > 1
        and (size >= SLOW_KERNEL or across > 1)
        and size % 2 == 1
        and module.kernel_size == (size, size)
        and module.stride == (1, 1)
        and module.dilation == (across, across)
        and module.padding == (across * (size // 2),) * 2
        and module.padding_mode == "zeros"
    )
