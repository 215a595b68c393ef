"""How well objects of different sizes are found: the IoU of each class in each image, by the area it covers."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Upper limits of the groups, as shares of the image's counted pixels.
SIZES = {"small": 0.05, "medium": 0.15, "large": 1.0}


def size_group(share: float) -> str:
    """The group of a class that covers this share of its image."""
    return next(name for name, limit in SIZES.items() if share <= limit)


class ObjectIous:
    """Sums of the IoU of each class in each image, at every threshold of a sweep, in three groups by true area.

    Each class in an image counts as one object: masks do not tell two birds apart. A class that is in the truth but
    has no map counts with IoU 0.
    """

    def __init__(self, steps: int) -> None:
        self.sums = {name: np.zeros(steps) for name in SIZES}
        self.counts = dict.fromkeys(SIZES, 0)

    def add(self, foreground: NDArray[np.int64], classes: NDArray[np.int64], truths: NDArray[np.int64]) -> None:
        """Adds one image.

        foreground: [K, 1 + C, thresholds] foreground pixels of each mapped class by true label, at each threshold.
        classes: [K] positions in the class list from 0.  truths: [1 + C] pixels of each true label.
        """
        pixels = truths.sum()
        position = {int(name): row for row, name in enumerate(classes)}
        for name in np.flatnonzero(truths[1:]).tolist():
            group = size_group(truths[name + 1] / pixels)
            self.counts[group] += 1
            if name in position:
                own = foreground[position[name]]
                hits = own[name + 1]
                self.sums[group] += hits / (truths[name + 1] + own.sum(axis=0) - hits)

    def means(self, threshold: int) -> Iterator[tuple[str, int, float | None]]:
        """Name, number of objects and mean IoU in percent (None: no object) of each group, at a threshold index."""
        for name, count in self.counts.items():
            yield name, count, 100 * float(self.sums[name][threshold]) / count if count else None
