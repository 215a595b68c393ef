"""What the localizers without training need of a text-image model's image tower: one interface for ViTs and CNNs.

B images, P tokens before the patches, N patches, D width of the tower, E width of the joint space.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

Grid = tuple[int, int]


class ImageTower(ABC):
    """An image tower whose patches can be projected into the joint space one by one.

    visual: the network itself, open_clip's `model.visual`.  stride: pixels per patch.  prefix: P.
    """

    stride: int
    prefix: int = 0

    def __init__(self, visual: Any) -> None:
        self.visual = visual

    @abstractmethod
    def before_last(self, images: Tensor) -> tuple[Tensor, Grid]:
        """Normalised images [B, 3, H, W] to the tokens that enter a ViT's last block, [B, P + N, D], or to a CNN's last
        features, [B, N, D], and the grid of the patches (rows, columns)."""

    @abstractmethod
    def values(self, tokens: Tensor, grid: Grid) -> Tensor:
        """What the tower's last step gathers, of each patch, [B, N, D], from the result of `before_last`: the values of
        the last block's attention if a class token gathers them, or the patches as they are pooled, by a mean or an
        attention. Weighted means of them can be projected as they are."""

    @abstractmethod
    def embed_values(self, values: Tensor) -> Tensor:
        """Values, or weighted means of them, [B, M, D], as the image's embedding would be if it had gathered each of
        them alone: [B, M, E]."""

    @abstractmethod
    def pooled(self, tokens: Tensor, grid: Grid) -> Tensor:
        """The tower's own image embedding, [B, E], from the result of `before_last`."""


class VitTower(ImageTower):
    """A ViT whose attention can be read and replaced.

    depth: number of blocks.  by_class_token: whether the last block's class token becomes the image's embedding.
    """

    depth: int
    by_class_token: bool

    @property
    @abstractmethod
    def heads(self) -> int:
        """Heads of the last block's values."""

    @abstractmethod
    def enter(self, images: Tensor) -> tuple[Tensor, Grid]:
        """Normalised images [B, 3, H, W] to the tokens that enter the first block, [B, P + N, D], and the grid of the
        patches. Positions are interpolated to the input's size."""

    @abstractmethod
    def run(self, number: int, tokens: Tensor, grid: Grid) -> Tensor:
        """A block's own output for tokens [B, P + N, D]."""

    @abstractmethod
    def attention_inputs(self, number: int, tokens: Tensor) -> Tensor:
        """What a block's attention gets of the tokens: usually the normed ones."""

    @abstractmethod
    def queries_keys_values(self, number: int, inputs: Tensor, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Of inputs [B, P + N, D], each [B, heads, P + N, d], with positions where the attention adds them; products of
        queries and keys are to be divided by the root of d."""

    @abstractmethod
    def attention_outputs(self, number: int, inputs: Tensor, attended: Tensor) -> Tensor:
        """An attention's output [B, M, D] from the values that it has gathered, [B, heads, M, d]."""

    @abstractmethod
    def attention_branch(self, number: int, outputs: Tensor) -> Tensor:
        """What a block adds to its tokens of an attention's output [B, M, D]: the same, scaled or normed."""

    @abstractmethod
    def block_outputs(self, number: int, tokens: Tensor, outputs: Tensor) -> Tensor:
        """A block's output from its tokens and its attention's output, each [B, M, D]."""

    @abstractmethod
    def pool(self, tokens: Tensor) -> Tensor:
        """The tower's own image embedding [B, E] from the last block's output [B, P + N, D]."""

    @abstractmethod
    def normed(self, tokens: Tensor) -> Tensor:
        """The last block's output as it is pooled: after the last norm, unless that follows the pooling."""

    @abstractmethod
    def alone(self, normed: Tensor) -> Tensor:
        """Normed patches [B, M, D], each pooled and projected as if it were an image's only one: [B, M, E]."""

    def before_last(self, images: Tensor) -> tuple[Tensor, Grid]:
        tokens, grid = self.enter(images)
        for number in range(self.depth - 1):
            tokens = self.run(number, tokens, grid)
        return tokens, grid

    def values(self, tokens: Tensor, grid: Grid) -> Tensor:
        last = self.depth - 1
        if not self.by_class_token:
            return self.normed(self.run(last, tokens, grid))[:, self.prefix :]
        _, _, values = self.queries_keys_values(last, self.attention_inputs(last, tokens), grid)
        return rearrange(values[:, :, self.prefix :], "b h n d -> b n (h d)")

    def embed_values(self, values: Tensor) -> Tensor:
        if not self.by_class_token:
            return self.alone(values)
        last = self.depth - 1
        heads = rearrange(values, "b m (h d) -> b h m d", h=self.heads)
        outputs = self.attention_outputs(last, values, heads)
        return self.alone(self.normed(self.attention_branch(last, outputs)))

    def pooled(self, tokens: Tensor, grid: Grid) -> Tensor:
        return self.pool(self.run(self.depth - 1, tokens, grid))

    def seen_by_themselves(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Patches [B, N, E], each pooled alone, after a last block whose attention is softmax(q q^T / sqrt(d)) +
        softmax(k k^T / sqrt(d)), for each head of width d and with the tokens before the patches; its rows sum to 2.
        All else of the block stays: residuals, norms and MLP.

        Source: SCLIP (Wang, Mei and Yuille, ECCV 2024), correlative self-attention.

        tokens: those that enter the last block, [B, P + N, D].
        """
        last = self.depth - 1
        inputs = self.attention_inputs(last, tokens)
        queries, keys, values = self.queries_keys_values(last, inputs, grid)
        seen = F.scaled_dot_product_attention(queries, queries, values)
        seen = seen + F.scaled_dot_product_attention(keys, keys, values)
        tokens = self.block_outputs(last, tokens, self.attention_outputs(last, inputs, seen))
        return self.alone(self.normed(tokens)[:, self.prefix :])

    def with_attention(self, number: int, tokens: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """A block's output for tokens [B, P + N, D], same shape, and its attention from patches to patches, the mean
        over its heads, float32 [B, N, N]; rows sum to 1 less the attention to the tokens before the patches."""
        inputs = self.attention_inputs(number, tokens)
        queries, keys, values = self.queries_keys_values(number, inputs, grid)
        attention = (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=-1)
        tokens = self.block_outputs(number, tokens, self.attention_outputs(number, inputs, attention @ values))
        return tokens, attention[:, :, self.prefix :, self.prefix :].float().mean(dim=1)

    def after_last(self, tokens: Tensor, inputs: Tensor, grid: Grid) -> Tensor:
        """The last block's output from its tokens and from what its attention gets, which may be changed, each
        [B, P + N, D]."""
        last = self.depth - 1
        queries, keys, values = self.queries_keys_values(last, inputs, grid)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        return self.block_outputs(last, tokens, self.attention_outputs(last, inputs, attended))

    def mean_embedding(self, tokens: Tensor) -> Tensor:
        """The mean of the patches of the last block's output [B, P + N, D], embedded as if it were the only one:
        [B, E]."""
        mean = self.normed(tokens)[:, self.prefix :].mean(dim=1, keepdim=True)
        return self.alone(mean)[:, 0]
