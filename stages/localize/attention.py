"""Runs transformer blocks over [class tokens; patches], and averages their attention for maps.

Blocks whose attention is not needed run as timm's own, with fused attention. From the others only what is asked for is
kept, summed block by block: class tokens to patches, patches to patches. No [heads, N, N] array outlives its head.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from stages.settings import MapSettings


@dataclass(frozen=True)
class Attention:
    """Which attention to return: the mean over heads and over the last so many blocks, at most all of them; 0: none.

    classes: number of blocks for the attention of class tokens to patches.  patches: for that of patches to patches.
    """

    classes: int = 0
    patches: int = 0


NO_ATTENTION = Attention()
ALL_BLOCKS = 10**6  # more than any transformer has
USUAL_BLOCKS = 3  # MCTformer V2's


@dataclass(frozen=True)
class Attended:
    """Class tokens [B, K, D] and patches [B, N, D] after the blocks and the last norm.

    each_block: class tokens after every block, before the norm, [blocks, B, K, D]; only if asked for.
    class_attention: [B, K, N]; rows need not sum to 1, since class tokens attend to each other too.
    patch_attention: [B, N, N].
    """

    class_tokens: Tensor
    patches: Tensor
    each_block: Tensor | None
    class_attention: Tensor | None
    patch_attention: Tensor | None


def wanted_attention(maps: MapSettings, *, classes: bool, usual: int = USUAL_BLOCKS) -> Attention:
    """The attention that `maps` asks for; class attention over `usual` blocks if `attention_blocks` is not set."""
    return Attention(
        classes=(maps.attention_blocks or usual) if classes else 0,
        patches=(maps.affinity_blocks or ALL_BLOCKS) if maps.patch_affinity else 0,
    )


def run_blocks(
    blocks: Iterable[Any],
    norm: Any,
    class_tokens: Tensor,
    patches: Tensor,
    *,
    attention: Attention = NO_ATTENTION,
    each_block: bool = False,
    own: Tensor | None = None,
) -> Attended:
    """Runs class tokens [K, D] and patches [B, N, D] through timm blocks and the last norm.

    own: which patches are an image's own, [B, N] bool; nothing attends to the others, which only fill up the batch.
    """
    blocks = list(blocks)
    count = len(class_tokens)
    mask = None if own is None else F.pad(own, (count, 0), value=True)[:, None, None]  # [B, 1, 1, K + N]
    tokens = torch.cat((class_tokens.expand(len(patches), -1, -1), patches), dim=1)
    kept: list[Tensor] = []
    class_sum, patch_sum = None, None
    for left, block in zip(range(len(blocks), 0, -1), blocks, strict=True):
        classes_too, patches_too = left <= attention.classes, left <= attention.patches
        if not (classes_too or patches_too):
            tokens = block(tokens, attn_mask=mask)
        else:
            tokens, of_classes, of_patches = attend(
                block, tokens, count, classes=classes_too, patches=patches_too, mask=mask
            )
            class_sum = _add(class_sum, of_classes)
            patch_sum = _add(patch_sum, of_patches)
        if each_block:
            kept.append(tokens[:, :count])
    tokens = norm(tokens)
    return Attended(
        class_tokens=tokens[:, :count],
        patches=tokens[:, count:],
        each_block=torch.stack(kept) if each_block else None,
        class_attention=None if class_sum is None else class_sum / min(attention.classes, len(blocks)),
        patch_attention=None if patch_sum is None else patch_sum / min(attention.patches, len(blocks)),
    )


def run_blocks_together(
    blocks: Iterable[Any],
    norm: Any,
    class_tokens: Tensor,
    patches: Sequence[Tensor],
    *,
    attention: Attention = NO_ATTENTION,
) -> list[Attended]:
    """`run_blocks` for images of several sizes at once: patches of each size, [b, n, D], and as many results.

    Each image's result is what it would be alone: the patches are filled up to one length, and masked.
    """
    if len(patches) == 1:
        return [run_blocks(blocks, norm, class_tokens, patches[0], attention=attention)]
    lengths = [part.shape[1] for part in patches]
    longest = max(lengths)
    filled = torch.cat([F.pad(part, (0, 0, 0, longest - part.shape[1])) for part in patches])
    own = None
    if min(lengths) < longest:
        each = torch.tensor([part.shape[1] for part in patches for _ in part], device=filled.device)
        own = torch.arange(longest, device=filled.device) < each[:, None]
    attended = run_blocks(blocks, norm, class_tokens, filled, attention=attention, own=own)
    results, start = [], 0
    for part, length in zip(patches, lengths, strict=True):
        results.append(_cut(attended, slice(start, start + len(part)), length))
        start += len(part)
    return results


def _cut(attended: Attended, images: slice, length: int) -> Attended:
    """Some images of a batch, and their first `length` patches."""
    of_classes, of_patches = attended.class_attention, attended.patch_attention
    return Attended(
        class_tokens=attended.class_tokens[images],
        patches=attended.patches[images, :length],
        each_block=None,
        class_attention=None if of_classes is None else of_classes[images, :, :length],
        patch_attention=None if of_patches is None else of_patches[images, :length, :length],
    )


def _add(total: Tensor | None, more: Tensor | None) -> Tensor | None:
    """Their sum, in the memory of the first: one array [B, N, N] per block would be far larger than the features."""
    if total is None or more is None:
        return more if total is None else total
    return total.add_(more)


def attend(
    block: Any, tokens: Tensor, count: int, *, classes: bool, patches: bool, mask: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """A timm block's output with its attention, averaged over heads.

    Args:
        block: timm's pre-norm Block.
        tokens: [B, count + N, D], the class tokens first.
        classes, patches: which attention to return.
        mask: which tokens are attended to, [B, 1, 1, count + N] bool; all if None.

    Returns:
        The block's output [B, count + N, D], class-to-patch attention [B, count, N] and patch-to-patch [B, N, N], each
        None if not requested.
    """
    layer = block.attn
    normed = block.norm1(tokens)
    query, key, value = rearrange(
        layer.qkv(normed), "b m (three h d) -> three b h m d", three=3, h=layer.num_heads
    ).unbind(0)
    query, key = layer.q_norm(query), layer.k_norm(key)
    class_attention, patch_attention = None, None
    if classes:
        products = query[:, :, :count] @ key.mT * layer.scale
        if mask is not None:
            products = products.masked_fill(~mask, -torch.inf)
        class_attention = torch.softmax(products, dim=-1).mean(dim=1)[..., count:]
    if patches:
        attended, patch_attention = _head_by_head(query, key, value, count=count, scale=layer.scale, mask=mask)
    else:
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    merged = layer.norm(rearrange(attended, "b h m d -> b m (h d)"))
    if layer.gate is not None:
        merged = merged * layer.gate(normed).sigmoid()
    tokens = tokens + block.drop_path1(block.ls1(layer.proj_drop(layer.proj(merged))))
    tokens = tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))
    return tokens, class_attention, patch_attention


def _head_by_head(
    query: Tensor, key: Tensor, value: Tensor, *, count: int, scale: float, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Attended values [B, heads, M, d] from query, key and value of the same shape, and the attention among the tokens
    from `count` on, [B, M - count, M - count], averaged over heads; only one head's M x M array exists at a time."""
    attended: list[Tensor] = []
    between: Tensor | None = None
    heads = query.shape[1]
    for head in range(heads):
        products = query[:, head] @ key[:, head].mT * scale
        if mask is not None:
            products = products.masked_fill(~mask[:, 0], -torch.inf)
        weights = torch.softmax(products, dim=-1)
        attended.append(weights @ value[:, head])
        own = weights[:, count:, count:]
        between = own / heads if between is None else between.add_(own, alpha=1 / heads)
    assert between is not None  # there is at least one head
    return torch.stack(attended, dim=1), between
