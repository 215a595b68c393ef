"""Shared base of the localizers with a transformer encoder."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from stages.localize.attention import NO_ATTENTION, Attended, Attention
from stages.localize.encoders import Grid, build_encoder
from stages.localize.localizer import Localizer, Located, StateDict
from stages.networks.pyramid import Pyramid
from stages.settings import LocalizeSettings, MapSettings


class TransformerLocalizer(Localizer):
    """A localizer whose class tokens go through the blocks of `localize.backbone`.

    A method says which class tokens enter the blocks, which attention its maps need, and how it reads maps from what
    comes out. The encoder provides stride, statistics and frozen CNN. Arguments as in `Localizer`.
    """

    mixes_sizes: ClassVar[bool] = True

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__(settings, text, weights)
        self.encoder = build_encoder(settings, weights)
        self.stride, self.statistics = self.encoder.stride, self.encoder.statistics

    @property
    def frozen_pyramid(self) -> Pyramid | None:
        return self.encoder.pyramid

    def tokens_at_input(self) -> Tensor:
        """The class tokens as they enter the blocks, [K, D]."""
        raise TypeError(f"{type(self).__name__} must say which class tokens it has")

    def attention_of_maps(self, settings: MapSettings) -> Attention:
        """The attention that maps are made with."""
        raise TypeError(f"{type(self).__name__} must say which attention its maps need")

    def located(self, attended: Attended, grid: Grid, settings: MapSettings) -> Located:
        """Maps and scores of images whose patches form this grid."""
        raise TypeError(f"{type(self).__name__} must read maps from tokens")

    def through_blocks(
        self,
        inputs: Sequence[Tensor | list[Tensor]],
        *,
        attention: Attention = NO_ATTENTION,
        each_block: bool = False,
    ) -> list[tuple[Attended, Grid]]:
        """Normalised images [b, 3, H, W] (or frozen features of them), an element for each size, through the encoder
        together: the tokens and the patch grid of each size."""
        embedded = self.encoder.patches_of_each(inputs)
        attended = self.encoder.through_blocks(
            self.tokens_at_input(), embedded, attention=attention, each_block=each_block
        )
        return [(own, grid) for own, (_, grid) in zip(attended, embedded, strict=True)]

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        return self.locate_each([images], settings)[0]

    def locate_each(self, images: Sequence[Tensor | list[Tensor]], settings: MapSettings) -> list[Located]:
        through = self.through_blocks(images, attention=self.attention_of_maps(settings))
        return [self.located(attended, grid, settings) for attended, grid in through]
