"""What training and inference need from a localizer of any method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from stages.networks.pyramid import Pyramid
from stages.settings import LocalizeSettings, MapSettings, Method

StateDict = Mapping[str, Tensor]
M = TypeVar("M", bound=Method)


@dataclass(frozen=True)
class Located:
    """What a localizer finds in a batch.

    maps: the method's localization maps, [B, C, rows, columns] >= 0.
    kinds: the maps that they are combined from, by name, same shape.
    scores: image scores as logits, [B, C].
    """

    maps: Tensor
    kinds: Mapping[str, Tensor]
    scores: Tensor


def method_of(settings: LocalizeSettings, model: type[M]) -> M:
    """The method's own settings. Raises TypeError if they are for another method."""
    if not isinstance(settings.method, model):
        raise TypeError(f"settings of {settings.method.kind}, not of {model.__name__}")
    return settings.method


class Localizer(nn.Module):
    """A localizer: one subclass per method, one entry in `stages.localize.registry`.

    stride: pixels per patch.  statistics: mean and deviation for normalising images, RGB in [0, 1].  trained: whether
    the method is trained at all.  mixes_sizes: whether `locate_each` runs images of several sizes together.
    described: what else determines its structure besides the settings, as JSON values; it is stored with the weights
    and passed to the constructor by name.

    Args:
        settings: the section `localize`.
        text: CLIP text embedding of each class, [C, E].
        weights: pretrained weights of the backbone, a timm state dict; None if a trained state is loaded afterwards.
    """

    trained: ClassVar[bool] = True
    mixes_sizes: ClassVar[bool] = False
    described: Mapping[str, Any] = MappingProxyType({})
    stride: int
    statistics: tuple[Sequence[float], Sequence[float]]

    def __init__(self, settings: LocalizeSettings, text: Tensor, weights: StateDict | None) -> None:
        super().__init__()
        self.settings = settings
        self.classes, self.language_width = text.shape

    def start(self, inputs: Tensor | list[Tensor]) -> None:
        """Called with the first batch before training, for data-dependent initialisation. Inputs as in `losses`."""

    def losses(self, inputs: Tensor | list[Tensor], labels: Tensor, embedding: Tensor) -> dict[str, Tensor]:
        """Losses by name, to be summed.

        Args:
            inputs: normalised images [B, 3, H, W], or the frozen `pyramid`'s features of them.
            labels: tags, [B, C] in {0, 1}.
            embedding: frozen CLIP embedding of each image or caption, [B, E]; [B, 0] if the settings use none.
        """
        raise TypeError(f"{type(self).__name__} must say what it learns from")

    def locate(self, images: Tensor | list[Tensor], settings: MapSettings) -> Located:
        """Maps and scores of normalised images [B, 3, H, W], or of the frozen `pyramid`'s features of them."""
        raise TypeError(f"{type(self).__name__} must make maps")

    def locate_each(self, images: Sequence[Tensor | list[Tensor]], settings: MapSettings) -> list[Located]:
        """`locate` of images of several sizes, one element for each size."""
        return [self.locate(own, settings) for own in images]

    def locate_tagged(
        self, images: Sequence[Tensor | list[Tensor]], settings: MapSettings, tags: Sequence[Tensor]
    ) -> list[Located]:
        """`locate_each` of images whose tags are given, for methods whose maps depend on what else an image shows; the
        others have no use for them.

        tags: for each size [B, C] bool; an image without any gets maps of what the method itself finds in it.
        """
        return self.locate_each(images, settings)

    @property
    def frozen_pyramid(self) -> Pyramid | None:
        """The frozen CNN whose features of the training images can be computed once; None if there is none."""
        return None

    def learning_rates(self) -> dict[str, float]:
        """Parts (prefixes of parameter names) with a different learning rate, and its factor."""
        return {}
