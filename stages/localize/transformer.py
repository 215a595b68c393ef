"""Shared base of the localizers with a transformer encoder."""

from torch import Tensor

from stages.localize.encoders import build_encoder
from stages.localize.localizer import Localizer, StateDict
from stages.networks.pyramid import Pyramid
from stages.settings import LocalizeSettings


class TransformerLocalizer(Localizer):
    """A localizer whose class tokens go through the blocks of `localize.backbone`.

    The encoder provides stride, statistics and frozen CNN. Arguments as in `Localizer`.
    """

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__(settings, text, weights)
        self.encoder = build_encoder(settings, weights)
        self.stride, self.statistics = self.encoder.stride, self.encoder.statistics

    @property
    def frozen_pyramid(self) -> Pyramid | None:
        return self.encoder.pyramid
