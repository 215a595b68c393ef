"""Adds background's score to the maps of an image, and turns scores into labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.errors import SettingsError
from stages.images import BACKGROUND
from stages.settings import RefineSettings


def add_threshold(maps: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Scores [1 + K, rows, columns] of background and K classes: background has the same score everywhere.

    maps [K, rows, columns] float32 in [0, 1].
    """
    return np.concatenate([np.full((1, *maps.shape[1:]), threshold, dtype=np.float32), maps])


def add_power(maps: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    """The same with (1 - max over the classes)^power as background's score (PSA, CVPR 2018; CLIP-ES, CVPR 2023).

    A higher power gives less background. Without classes background scores 1.
    """
    best = maps.max(axis=0, initial=0.0)
    return np.concatenate([((1 - best) ** np.float32(power))[None].astype(np.float32), maps])


def mask_values(classes: Sequence[int]) -> NDArray[np.uint8]:
    """The mask values of channels 0..K of scores: 0, then each class's position + 1."""
    return np.array([BACKGROUND, *(int(position) + 1 for position in classes)], dtype=np.uint8)


def best_labels(scores: NDArray[np.float32], classes: Sequence[int]) -> NDArray[np.uint8]:
    """Mask [rows, columns] uint8 of the best of scores [1 + K, rows, columns]. On a tie, a class beats background, as a
    score equal to the threshold does in a seed, and the first class beats the others."""
    values = mask_values(classes)
    if len(classes) == 0:
        return np.full(scores.shape[1:], BACKGROUND, dtype=np.uint8)
    best = values[1:][scores[1:].argmax(axis=0)]
    return np.where(scores[1:].max(axis=0) < scores[0], np.uint8(BACKGROUND), best)


class Background:
    """Adds background's score to maps, according to the settings and the chosen threshold."""

    def __init__(self, settings: RefineSettings, threshold: float | None) -> None:
        self.power = settings.background_power if settings.background == "power" else None
        self.threshold = threshold

    def __call__(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps [K, rows, columns] -> scores [1 + K, rows, columns]."""
        if self.power is not None:
            return add_power(maps, self.power)
        if self.threshold is None:
            raise SettingsError(
                "refine.background_threshold: give --threshold a number or the file of choose_threshold"
            )
        return add_threshold(maps, self.threshold)
