"""What a segmenter needs to know about its backbone."""

from dataclasses import dataclass
from typing import Any

from stages.errors import SettingsError

LOW_LEVEL_STRIDE = 4
PYRAMID = 4
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class BackboneFacts:
    """What a segmenter needs to know about its backbone.

    config: for mmengine, without `features`.  strides, channels: of all its feature maps.
    mean, std: [3], of the RGB values 0..1 that it was trained on.
    """

    config: dict[str, Any]
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @property
    def output_stride(self) -> int:
        """Image size divided by the size of the last feature map."""
        return self.strides[-1]

    def positions(self, features: str) -> tuple[int, ...]:
        """Positions of the feature maps that an overlay's `features` selects. Raises SettingsError if too few."""
        last = len(self.strides) - 1
        if features == "last":
            return (last,)
        if features == "low_and_last":
            return (next(place for place, stride in enumerate(self.strides) if stride >= LOW_LEVEL_STRIDE), last)
        if len(self.strides) < PYRAMID:
            raise SettingsError(
                f"segment.network.backbone: it has {len(self.strides)} feature maps, the overlay reads {PYRAMID};"
                " take another"
            )
        return tuple(range(last - PYRAMID + 1, last + 1))
