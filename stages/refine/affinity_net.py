"""The affinity network: the distance of its features says whether two neighbours belong together (PSA, CVPR 2018)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.checkpoints import CheckpointFormat
from stages.networks.pyramid import Pyramid
from stages.networks.resnet38 import ResNet38
from stages.settings import LearnedAffinity

FORMAT = CheckpointFormat("affinity", "affinity network", "refine")
RESNET38 = "resnet38"
# Blocks up to the second downsampling stay as pretrained, and so does every batch norm (PSA).
RESNET38_FROZEN = 2
Statistics = tuple[Sequence[float], Sequence[float]]
IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class AffinityNet(nn.Module):
    """Backbone features, each reduced by a 1 x 1 convolution, stacked on the grid of the first and mixed by another.

    stride: pixels per node.  statistics: mean and deviation of the pretraining's inputs, RGB in [0, 1].

    Args:
        settings: the section `refine.affinity`, kind `learned`.
        weights: pretrained weights of the backbone; None if a trained state is loaded afterwards.
    """

    def __init__(self, settings: LearnedAffinity, weights: Mapping[str, Tensor] | None) -> None:
        super().__init__()
        self.settings = settings
        frozen = settings.training.backbone_rate == 0
        if settings.backbone == RESNET38:
            self.backbone: nn.Module = ResNet38(frozen_stages=RESNET38_FROZEN)
            if weights is not None:
                self.backbone.load_state_dict(dict(weights))
            if frozen:
                self.backbone.requires_grad_(False)
            channels, self.stride = list(ResNet38.channels), 8
            self.statistics: Statistics = IMAGENET
        else:
            pyramid = Pyramid(
                settings.backbone, settings.strides, output_stride=32, frozen=frozen, dropout=0.0, weights=weights
            )
            self.backbone, self.stride, self.statistics = pyramid, pyramid.stride, pyramid.statistics
            channels = [pyramid.cnn.feature_info.channels()[level] for level in pyramid.levels]
        self.reductions = nn.ModuleList(
            nn.Conv2d(wide, narrow, kernel_size=1, bias=False)
            for wide, narrow in zip(channels, settings.channels, strict=True)
        )
        width = sum(settings.channels)
        self.mix = nn.Conv2d(width, width, kernel_size=1, bias=False)
        for reduction in self.reductions:
            nn.init.kaiming_normal_(reduction.weight)  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.mix.weight, gain=4)
        self.train()

    def train(self, mode: bool = True) -> "AffinityNet":
        super().train(mode)
        if isinstance(self.backbone, Pyramid):
            # Batch norms keep the pretraining's statistics, as in PSA.
            self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [B, 3, H, W] -> features of the nodes [B, D, H/stride, W/stride] float32."""
        levels = self.backbone.features(images) if isinstance(self.backbone, Pyramid) else self.backbone(images)
        grid = levels[0].shape[-2:]
        reduced = [
            F.interpolate(elu(reduction(level)), size=grid, mode="bilinear", align_corners=False)
            for reduction, level in zip(self.reductions, levels, strict=True)
        ]
        return elu(self.mix(torch.cat(reduced, dim=1)))


def elu(values: Tensor) -> Tensor:
    """`F.elu` in float32, within 1e-7. On CPUs torch's own takes ten times as long, because of expm1."""
    values = values.float()
    return F.relu(values) + (torch.exp(values.clamp(max=0)) - 1)


def save_affinity(path: Path, net: AffinityNet) -> None:
    """Writes the weights with their settings, atomically."""
    FORMAT.save(path, net, net.settings.model_dump(mode="json"))


def load_affinity(path: Path) -> AffinityNet:
    """The trained network, in evaluation mode. Raises DataError when it cannot be read."""
    with FORMAT.opened(path) as (settings, state):
        net = AffinityNet(LearnedAffinity.model_validate(settings), None)
        net.load_state_dict(state)
    return net.eval()
