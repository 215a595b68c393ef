"""Transformer blocks run over [class tokens; patches], with the means of their attention that maps are made from.

Blocks whose attention nobody asks for run as timm's own, with fused attention. Of the others only two parts are kept,
summed up as the blocks go: class tokens to patches, and, where asked for, patches to patches. No [heads, N, N] array
outlives its head.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


@dataclass(frozen=True)
class Attention:
    """What is asked for: the mean over heads and the last `blocks` blocks (0: none), patches to patches or not."""

    blocks: int = 0
    patches: bool = False


NO_ATTENTION = Attention()


@dataclass(frozen=True)
class Attended:
    """Class tokens [B, K, D] and patches [B, N, D] after the blocks and the last norm.

    each_block: class tokens after every block, before the norm, [blocks, B, K, D]; only where asked for.
    class_attention: [B, K, N], rows need not sum to 1 as class tokens attend to each other too.
    patch_attention: [B, N, N].
    """

    class_tokens: Tensor
    patches: Tensor
    each_block: Tensor | None
    class_attention: Tensor | None
    patch_attention: Tensor | None


def run_blocks(
    blocks: Iterable[Any],
    norm: Any,
    class_tokens: Tensor,
    patches: Tensor,
    *,
    attention: Attention = NO_ATTENTION,
    each_block: bool = False,
) -> Attended:
    """Runs class tokens [K, D] and patches [B, N, D] through timm blocks and the last norm."""
    blocks = list(blocks)
    count = len(class_tokens)
    tokens = torch.cat((class_tokens.expand(len(patches), -1, -1), patches), dim=1)
    asked = min(attention.blocks, len(blocks))
    kept: list[Tensor] = []
    class_sum, patch_sum = None, None
    for position, block in enumerate(blocks):
        if position < len(blocks) - asked:
            tokens = block(tokens)
        else:
            tokens, of_classes, of_patches = attend(block, tokens, count, patches=attention.patches)
            class_sum = of_classes if class_sum is None else class_sum + of_classes
            if of_patches is not None:
                patch_sum = of_patches if patch_sum is None else patch_sum.add_(of_patches)
        if each_block:
            kept.append(tokens[:, :count])
    tokens = norm(tokens)
    return Attended(
        class_tokens=tokens[:, :count],
        patches=tokens[:, count:],
        each_block=torch.stack(kept) if each_block else None,
        class_attention=None if class_sum is None else class_sum / asked,
        patch_attention=None if patch_sum is None else patch_sum / asked,
    )


def attend(block: Any, tokens: Tensor, count: int, *, patches: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """A timm block's output with its attention, averaged over heads.

    Args:
        block: timm's pre-norm Block.
        tokens: [B, count + N, D], the class tokens first.
        patches: whether patch-to-patch attention is wanted.

    Returns:
        The block's output [B, count + N, D], class-to-patch attention [B, count, N], patch-to-patch [B, N, N] or None.
    """
    layer = block.attn
    normed = block.norm1(tokens)
    query, key, value = rearrange(
        layer.qkv(normed), "b m (three h d) -> three b h m d", three=3, h=layer.num_heads
    ).unbind(0)
    query, key = layer.q_norm(query), layer.k_norm(key)
    class_attention = torch.softmax(query[:, :, :count] @ key.mT * layer.scale, dim=-1).mean(dim=1)[..., count:]
    patch_attention = None
    if patches:
        heads = []
        for head in range(layer.num_heads):
            weights = torch.softmax(query[:, head] @ key[:, head].mT * layer.scale, dim=-1)
            heads.append(weights @ value[:, head])
            between = weights[:, count:, count:]
            patch_attention = (
                between / layer.num_heads
                if patch_attention is None
                else (patch_attention.add_(between, alpha=1 / layer.num_heads))
            )
        attended = torch.stack(heads, dim=1)
    else:
        attended = F.scaled_dot_product_attention(query, key, value)
    merged = layer.norm(rearrange(attended, "b h m d -> b m (h d)"))
    if layer.gate is not None:
        merged = merged * layer.gate(normed).sigmoid()
    tokens = tokens + block.drop_path1(block.ls1(layer.proj_drop(layer.proj(merged))))
    tokens = tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))
    return tokens, class_attention, patch_attention
