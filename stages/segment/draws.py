"""The stream of training images as numbered draws, so that a resumed training sees the same as an unbroken one.

Draw d has its own image, from a shuffle per pass over the data, and its own seed for the random transforms. Both depend
only on d, not on earlier draws or on the process that loads it.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS, HOOKS
from mmseg.registry import DATASETS
from torch.utils.data import Dataset, Sampler


@DATA_SAMPLERS.register_module()
class Draws(Sampler):
    """Yields the draws of this process endlessly: rank, rank + ranks, rank + 2 * ranks, ..."""

    def __init__(self, dataset: Dataset, seed: int | None = None) -> None:
        self.rank, self.ranks = get_dist_info()
        self.images = len(dataset)  # type: ignore[arg-type]
        self.first = 0

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.rank + self.first * self.ranks, self.ranks)

    def __len__(self) -> int:
        return self.images

    def skip(self, num_samples: int) -> None:
        """Skips that many draws of this process; mmengine calls it when resuming."""
        self.first = num_samples

    def set_epoch(self, epoch: int) -> None:
        """Expected by mmengine; an endless stream has no epochs."""


@DATASETS.register_module()
class DrawnImages(Dataset):
    """Wraps a dataset as draws: item d is the image of draw d, its transforms seeded with d."""

    def __init__(self, *, dataset: Mapping[str, Any], seed: int) -> None:
        self.dataset = DATASETS.build(dict(dataset))
        self.metainfo = self.dataset.metainfo
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def image_of(self, draw: int) -> int:
        """Position in the dataset of a draw's image: every pass takes each image once, in its own order."""
        passed, place = divmod(draw, len(self.dataset))
        return int(np.random.default_rng((self.seed, passed)).permutation(len(self.dataset))[place])

    def __getitem__(self, draw: int) -> Any:
        # mmsegmentation's transforms use both global generators.
        seed = int(np.random.default_rng((self.seed, draw)).integers(2**32))
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        return self.dataset[self.image_of(draw)]


@HOOKS.register_module()
class SeedEachIteration(Hook):
    """Seeds torch before each step (for dropout), by step and rank."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        rank, ranks = get_dist_info()
        draw = np.random.default_rng((self.seed, runner.iter * ranks + rank))
        torch.manual_seed(int(draw.integers(2**63)))
