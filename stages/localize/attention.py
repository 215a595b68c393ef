"""Runs transformer blocks over [class tokens; patches], and averages their attention for maps.

Blocks whose attention is not needed run as timm's own, with fused attention, where that is fast. From the others only
what is asked for is kept, summed block by block: class tokens to patches, patches to patches. No [heads, N, N] array
outlives its head.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.networks.rotary import Rotary
from stages.networks.vit_blocks import (
    attention_inputs,
    attention_outputs,
    block_outputs,
    queries_keys_values,
    run_whole,
)
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
# Attention weights of all heads that are written out at once: 16 MB in bfloat16, which stay near the cores.
WEIGHTS_AT_ONCE = 2**23
# In training they are kept for the gradient, block by block.
WEIGHTS_IN_TRAINING = 2**24


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
    rotary: Rotary | None = None,
) -> Attended:
    """Runs class tokens [K, D] and patches [B, N, D] through timm blocks and the last norm.

    own: which patches are an image's own, [B, N] bool; nothing attends to the others, which only fill up the batch.
    rotary: the patches' positions, for blocks that turn queries and keys by them.
    """
    blocks = list(blocks)
    count, (images, length) = len(class_tokens), patches.shape[:2]
    mask = None if own is None else F.pad(own, (count, 0), value=True)[:, None, None]  # [B, 1, 1, K + N]
    tokens = torch.cat((class_tokens.expand(images, -1, -1), patches), dim=1)
    of_classes = tokens.new_zeros(images, count, length, dtype=torch.float32) if attention.classes else None
    of_patches = tokens.new_zeros(images, length, length, dtype=torch.float32) if attention.patches else None
    kept: list[Tensor] = []
    for number, block in enumerate(blocks):
        left = len(blocks) - number
        tokens = run_block(
            block,
            tokens,
            mask=mask,
            rotary=None if rotary is None else rotary.of_block(number, class_tokens=count),
            of_classes=of_classes if left <= attention.classes else None,
            of_patches=of_patches if left <= attention.patches else None,
        )
        if each_block:
            kept.append(tokens[:, :count])
    tokens = norm(tokens)
    return Attended(
        class_tokens=tokens[:, :count],
        patches=tokens[:, count:],
        each_block=torch.stack(kept) if each_block else None,
        class_attention=_mean(of_classes, blocks[-attention.classes :]),
        patch_attention=_mean(of_patches, blocks[-attention.patches :]),
    )


def _mean(total: Tensor | None, blocks: Sequence[Any]) -> Tensor | None:
    """A sum over the blocks and their heads divided by their number, in place."""
    return None if total is None else total.div_(sum(block.attn.num_heads for block in blocks))


def run_blocks_together(
    blocks: Iterable[Any],
    norm: Any,
    class_tokens: Tensor,
    patches: Sequence[Tensor],
    *,
    attention: Attention = NO_ATTENTION,
    each_block: bool = False,
    tables: Sequence[Tensor] | None = None,
) -> list[Attended]:
    """`run_blocks` for images of several sizes at once: patches of each size, [b, n, D], and as many results.

    tables: of each size, as in `Rotary`.

    Each image's result is what it would be alone: the patches are filled up to one length, and masked.
    """
    rotary = None if tables is None else Rotary(tables, [len(part) for part in patches])
    asked: Any = {"attention": attention, "each_block": each_block, "rotary": rotary}
    if len(patches) == 1:
        return [run_blocks(blocks, norm, class_tokens, patches[0], **asked)]
    lengths = [part.shape[1] for part in patches]
    longest = max(lengths)
    filled = torch.cat([F.pad(part, (0, 0, 0, longest - part.shape[1])) for part in patches])
    own = None
    if min(lengths) < longest:
        each = torch.tensor([part.shape[1] for part in patches for _ in part], device=filled.device)
        own = torch.arange(longest, device=filled.device) < each[:, None]
    attended = run_blocks(blocks, norm, class_tokens, filled, own=own, **asked)
    results, start = [], 0
    for part, length in zip(patches, lengths, strict=True):
        results.append(_cut(attended, slice(start, start + len(part)), length))
        start += len(part)
    return results


def _cut(attended: Attended, images: slice, length: int) -> Attended:
    """Some images of a batch, and their first `length` patches."""
    each_block, of_classes, of_patches = attended.each_block, attended.class_attention, attended.patch_attention
    return Attended(
        class_tokens=attended.class_tokens[images],
        patches=attended.patches[images, :length],
        each_block=None if each_block is None else each_block[:, images],
        class_attention=None if of_classes is None else of_classes[images, :, :length],
        patch_attention=None if of_patches is None else of_patches[images, :length, :length],
    )


def run_block(
    block: Any,
    tokens: Tensor,
    *,
    mask: Tensor | None = None,
    rotary: Tensor | None = None,
    of_classes: Tensor | None = None,
    of_patches: Tensor | None = None,
) -> Tensor:
    """A timm block's output, [B, K + N, D].

    Args:
        block: one of `stages.networks.vit_blocks.BLOCKS`, whose attention counts no prefix tokens of its own.
        tokens: [B, K + N, D], the class tokens first.
        mask: which tokens are attended to, [B, 1, 1, K + N] bool; all if None.
        rotary: sines and cosines that turn queries and keys, [B or 1, heads or 1, K + N, 2 d]; None turns nothing.
        of_classes: where the attention of classes to patches is added, summed over heads, [B, K, N].
        of_patches: the same of patches to patches, [B, N, N].
    """
    if of_classes is None and of_patches is None and not fused_is_slow(tokens):
        return run_whole(block, tokens, mask=mask, rotary=rotary)
    inputs = attention_inputs(block, tokens)
    query, key, value = queries_keys_values(block.attn, inputs, rotary)
    if of_patches is not None:
        attended = _attended_by_head(query, key, value, mask=mask, of_classes=of_classes, of_patches=of_patches)
    else:
        attended = _attended(query, key, value, mask=mask)
        if of_classes is not None:
            count = of_classes.shape[1]
            of_classes += _weights(query[:, :, :count], key, mask=mask, dtype=torch.float32).sum(dim=1)[..., count:]
    return block_outputs(block, tokens, attention_outputs(block.attn, inputs, attended))


def fused_is_slow(tokens: Tensor) -> bool:
    """Whether attention is faster written out than fused: in bfloat16 on CPUs, two to three times."""
    if tokens.device.type != "cpu":
        return False
    cast = torch.is_autocast_enabled("cpu")
    return (torch.get_autocast_dtype("cpu") if cast else tokens.dtype) == torch.bfloat16


def _attended(query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None) -> Tensor:
    """Attended values [B, heads, M, d] from scaled query, key and value of the same shape."""
    images, heads, length, _ = query.shape
    if not fused_is_slow(query) or (query.requires_grad and images * heads * length**2 > WEIGHTS_IN_TRAINING):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
    if query.requires_grad:
        return _weights(query, key, mask=mask) @ value
    together = max(1, WEIGHTS_AT_ONCE // (heads * length**2))
    parts = []
    for start in range(0, images, together):
        own = slice(start, start + together)
        weights = _weights(query[own], key[own], mask=None if mask is None else mask[own])
        parts.append(weights @ value[own])
    return torch.cat(parts)


def _attended_by_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None,
    of_classes: Tensor | None,
    of_patches: Tensor,
) -> Tensor:
    """The same, and the weights are added to the sums. Only one head's exist at a time; on a CPU, where they should
    stay in the cache, one image's."""
    count = query.shape[2] - of_patches.shape[1]
    together = 1 if query.device.type == "cpu" else len(query)
    parts = []
    for start in range(0, len(query), together):
        own = slice(start, start + together)
        heads = []
        for head in range(query.shape[1]):
            own_mask = None if mask is None else mask[own, 0]
            weights = _weights(query[own, head], key[own, head], mask=own_mask, dtype=torch.float32)
            heads.append(weights.to(value.dtype) @ value[own, head])
            of_patches[own] += weights[:, count:, count:]
            if of_classes is not None:
                of_classes[own] += weights[:, :count, count:]
        parts.append(torch.stack(heads, dim=1))
    return torch.cat(parts)


def _weights(query: Tensor, key: Tensor, *, mask: Tensor | None, dtype: torch.dtype | None = None) -> Tensor:
    """softmax(query keyᵀ) over the tokens that the mask lets through, in the dtype of the query if none is given."""
    products = query @ key.mT
    if mask is not None:
        products = products.masked_fill(~mask, -torch.inf)
    # Autocast makes every softmax a float32 one, which a CPU has to cast back for the next product.
    with torch.autocast("cpu", enabled=False):
        return torch.softmax(products, dim=-1, dtype=dtype)
