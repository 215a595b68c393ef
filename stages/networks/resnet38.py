"""ResNet38, the backbone of affinity and segmentation in the field's published programs; no library includes it.

Source: Wu, Shen, van den Hengel, "Wider or deeper: revisiting the ResNet model for visual recognition", 2016, model A1;
dilated to an output stride of 8 as in PSA (Ahn and Kwak, CVPR 2018). Parts are named as in the public `.pth` files.
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# (name, blocks, inner channels, channels out, stride of the first block, dilation of its first convolution, dilation)
STAGES = (
    ("b2", 3, 128, 128, 2, 1, 1),
    ("b3", 3, 256, 256, 2, 1, 1),
    ("b4", 6, 512, 512, 2, 1, 1),
    ("b5", 3, 512, 1024, 1, 1, 2),
)
# (name, channels in, channels out, dilation, dropout)
BOTTLENECKS = (("b6", 1024, 2048, 4, 0.3), ("b7", 2048, 4096, 4, 0.5))


class Block(nn.Module):
    """Pre-activation residual block of two 3 x 3 convolutions: [B, channels_in, H, W] -> [B, channels_out, H / stride,
    W / stride] (rounded up)."""

    def __init__(
        self, inside: int, *, channels_in: int, channels_out: int, stride: int, first_dilation: int, dilation: int
    ) -> None:
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(channels_in)
        self.conv_branch2a = _conv(channels_in, inside, 3, stride=stride, dilation=first_dilation)
        self.bn_branch2b1 = nn.BatchNorm2d(inside)
        self.conv_branch2b1 = _conv(inside, channels_out, 3, dilation=dilation)
        same = channels_in == channels_out and stride == 1
        self.conv_branch1 = None if same else _conv(channels_in, channels_out, 1, stride=stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, and its activated input: the feature map of the stage before."""
        activated = F.relu(self.bn_branch2a(x))
        short = x if self.conv_branch1 is None else self.conv_branch1(activated)
        branch = self.conv_branch2a(activated)
        branch = self.conv_branch2b1(F.relu(self.bn_branch2b1(branch)))
        return short + branch, activated


class Bottleneck(nn.Module):
    """Pre-activation residual block of a 1 x 1, a 3 x 3 and a 1 x 1 convolution, with dropout of whole channels:
    [B, channels_in, H, W] -> [B, channels_out, H, W]."""

    def __init__(self, channels_in: int, channels_out: int, *, dilation: int, dropout: float) -> None:
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(channels_in)
        self.conv_branch2a = _conv(channels_in, channels_out // 4, 1)
        self.bn_branch2b1 = nn.BatchNorm2d(channels_out // 4)
        self.conv_branch2b1 = _conv(channels_out // 4, channels_out // 2, 3, dilation=dilation)
        self.bn_branch2b2 = nn.BatchNorm2d(channels_out // 2)
        self.conv_branch2b2 = _conv(channels_out // 2, channels_out, 1)
        self.conv_branch1 = _conv(channels_in, channels_out, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, and its activated input: the feature map of the stage before."""
        activated = F.relu(self.bn_branch2a(x))
        branch = self.conv_branch2a(activated)
        branch = self.conv_branch2b1(self.dropout(F.relu(self.bn_branch2b1(branch))))
        branch = self.conv_branch2b2(self.dropout(F.relu(self.bn_branch2b2(branch))))
        return self.conv_branch1(activated) + branch, activated


class ResNet38(nn.Module):
    """Features of images at stride 8. Batch norms keep their statistics and get no gradient, as in PSA.

    channels: of the three feature maps.  105,070,912 parameters, 47,744 of them in batch norms.

    Args:
        frozen_stages: without gradient: 0: none; 1: the first convolution; 2: also b2; and so on.
    """

    channels: ClassVar[tuple[int, int, int]] = (512, 1024, 4096)

    def __init__(self, frozen_stages: int = 0) -> None:
        super().__init__()
        self.conv1a = _conv(3, 64, 3)
        width = 64
        self.names: list[str] = []
        for name, blocks, inside, out, stride, first_dilation, dilation in STAGES:
            for number in range(blocks):
                first = number == 0
                block = Block(
                    inside, channels_in=width, channels_out=out, stride=stride if first else 1,
                    first_dilation=first_dilation if first else dilation, dilation=dilation,
                )  # fmt: skip
                self.names.append(name if first else f"{name}_{number}")
                self.add_module(self.names[-1], block)
                width = out
        for name, channels_in, out, dilation, dropout in BOTTLENECKS:
            self.add_module(name, Bottleneck(channels_in, out, dilation=dilation, dropout=dropout))
            self.names.append(name)
        self.bn7 = nn.BatchNorm2d(self.channels[-1])
        stages = ["conv1a", *(name for name, *_ in STAGES), *(name for name, *_ in BOTTLENECKS)][:frozen_stages]
        for name, parameter in self.named_parameters():
            if name.split(".")[0].split("_")[0] in stages:
                parameter.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "ResNet38":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):  # including SyncBatchNorm
                module.eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images [B, 3, H, W], normalised with ImageNet's statistics -> activated features after b4, b5 and b7, each
        [B, channels, H / 8, W / 8] (rounded up)."""
        x = self.conv1a(images)
        features: dict[str, Tensor] = {}
        for name in self.names:
            x, features[name] = self.get_submodule(name)(x)
        return [features["b5"], features["b6"], F.relu(self.bn7(x))]


def _conv(channels_in: int, channels_out: int, size: int, *, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (size // 2)
    return nn.Conv2d(channels_in, channels_out, size, stride, padding=padding, dilation=dilation, bias=False)
