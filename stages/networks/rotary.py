"""Rotary positions: queries and keys of patches are turned by angles that go with their place; class tokens are not.

Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021, equation 34; for images, Heo et
al., Rotary Position Embedding for Vision Transformer, ECCV 2024. The angles are timm's, of each ViT's own kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]


@dataclass(frozen=True)
class Rotary:
    """The sines and cosines of a batch, whose images have one or several sizes.

    tables: of each size's N patches, [blocks or 1, heads or 1, N, 2 d]: d sines, then d cosines, as timm applies them.
    images: the number of images of each size, which follow each other in the batch.
    """

    tables: Sequence[Tensor]
    images: Sequence[int]

    def of_block(self, number: int, *, class_tokens: int) -> Tensor:
        """The table of one block, [B, heads or 1, K + N, 2 d], or [1, ...] for images of one size.

        class_tokens: K, those in front of the patches. They are turned by an angle of 0. Of a smaller image, what
        fills up its patches gets zeros: it is masked.
        """
        own = [with_class_tokens(table[number if len(table) > 1 else 0], class_tokens) for table in self.tables]
        if len(own) == 1:
            return own[0][None]
        longest = max(table.shape[-2] for table in own)
        filled = [F.pad(table, (0, 0, 0, longest - table.shape[-2])) for table in own]
        return torch.cat([table.expand(count, -1, -1, -1) for table, count in zip(filled, self.images, strict=True)])


def with_class_tokens(table: Tensor, count: int) -> Tensor:
    """A table [..., N, 2 d] with `count` rows in front that turn nothing: sines of 0, cosines of 1."""
    rows = torch.zeros_like(table[..., :1, :])
    rows[..., table.shape[-1] // 2 :] = 1
    return torch.cat((rows.expand(*(-1,) * (rows.dim() - 2), count, -1), table), dim=-2)


def grid_table(rope: Any, grid: Grid) -> Tensor:
    """timm's table of a grid of patches, [blocks or 1, heads or 1, N, 2 d]: one for all blocks, or each block's own.

    In training, kinds that move their coordinates at random (as DINOv3's) do so here.
    """
    table = rope.get_embed(shape=list(grid))
    return table if table.dim() == 4 else table[None, None]
