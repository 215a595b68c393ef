"""Class activation maps of a CNN classifier.

Source: Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.errors import SettingsError
from stages.localize.localizer import Localizer, Located, StateDict
from stages.networks.pyramid import Pyramid, build_pyramid
from stages.settings import CnnBackbone, LocalizeSettings, MapSettings


class Cam(Localizer):
    """A linear classifier over the pooled features of a CNN; its maps are the classifier's output before pooling."""

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__(settings, text, weights)
        if not isinstance(settings.backbone, CnnBackbone):
            raise SettingsError("localize.method.kind 'cam' needs backbone.kind `cnn`")
        self.rate = settings.backbone.rate
        self.pyramid = build_pyramid(settings.backbone, weights)
        self.stride, self.statistics = self.pyramid.stride, self.pyramid.statistics
        # Average pooling and a linear layer commute: the layer as a 1 x 1 convolution gives the maps directly.
        self.classifier = nn.Conv2d(self.pyramid.channels, self.classes, kernel_size=1, bias=False)

    @property
    def frozen_pyramid(self) -> Pyramid | None:
        return self.pyramid if self.pyramid.frozen else None

    def learning_rates(self) -> dict[str, float]:
        return {} if self.pyramid.frozen else {"pyramid.cnn": self.rate}

    def forward(self, inputs: Tensor | list[Tensor]) -> Tensor:
        """Normalised images [B, 3, H, W], or the frozen pyramid's features of them, -> maps [B, C, rows, columns]."""
        return self.classifier(self.pyramid(inputs))

    def losses(self, inputs: Tensor | list[Tensor], labels: Tensor, embedding: Tensor) -> dict[str, Tensor]:
        """Multi-label soft margin loss on the mean of each map."""
        return {"loss_maps": F.multilabel_soft_margin_loss(self(inputs).float().mean(dim=(-2, -1)), labels)}

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        """ReLU of the maps."""
        raw = self(images).float()
        maps = torch.relu(raw)
        return Located(maps, {"CAM": maps}, raw.mean(dim=(-2, -1)))
