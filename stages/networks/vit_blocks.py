"""timm's transformer blocks, opened around their attention: its inputs, queries and keys, and what comes after it."""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import Attention, AttentionRope, apply_rot_embed_cat
from timm.models.eva import EvaAttention, EvaBlock, EvaBlockPostNorm
from timm.models.vision_transformer import Block, ResPostBlock
from torch import Tensor

NORM_AFTERWARDS = (ResPostBlock, EvaBlockPostNorm)
BLOCKS = (Block, EvaBlock, *NORM_AFTERWARDS)
ATTENTIONS = (Attention, EvaAttention, AttentionRope)


def run_whole(block: Any, tokens: Tensor, *, mask: Tensor | None, rotary: Tensor | None) -> Tensor:
    """timm's own forward pass of a block, [B, M, D].

    mask: which tokens are attended to, [B, 1, 1, M] bool.  rotary: as in `queries_keys_values`.
    """
    if isinstance(block, (Block, ResPostBlock)):
        return block(tokens, attn_mask=mask)
    return block(tokens, rope=rotary, attn_mask=mask)


def attention_inputs(block: Any, tokens: Tensor) -> Tensor:
    """What a block's attention gets: the normed tokens, or, of a block that norms afterwards, the tokens."""
    return tokens if isinstance(block, NORM_AFTERWARDS) else block.norm1(tokens)


def queries_keys_values(layer: Any, inputs: Tensor, rotary: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, with the scale of the products in them, keys and values of inputs [B, M, D], each [B, heads, M, d].

    rotary: sines and cosines that turn queries and keys, [B or 1, heads or 1, M, 2 d]; None turns nothing.
    """
    if layer.qkv is not None:
        of_keys = getattr(layer, "k_bias", None)
        bias = layer.qkv.bias if of_keys is None else torch.cat((layer.q_bias, of_keys, layer.v_bias))
        joint = F.linear(inputs, layer.qkv.weight, bias)
        query, key, value = rearrange(joint, "b m (three h d) -> three b h m d", three=3, h=layer.num_heads).unbind(0)
    else:
        projections = (layer.q_proj, layer.k_proj, layer.v_proj)
        query, key, value = (
            rearrange(projection(inputs), "b m (h d) -> b h m d", d=layer.head_dim) for projection in projections
        )
    query, key = layer.q_norm(query), layer.k_norm(key)
    if rotary is not None:
        query, key = (
            apply_rot_embed_cat(turned, rotary, half=layer.rotate_half).type_as(value) for turned in (query, key)
        )
    # Several heads of queries may share one of keys and values.
    shared = getattr(layer, "num_kv_groups", 1)
    if shared > 1:
        key, value = (part.repeat_interleave(shared, dim=1) for part in (key, value))
    return query * layer.scale, key, value


def attention_outputs(layer: Any, inputs: Tensor, attended: Tensor) -> Tensor:
    """The attention layer's output, [B, M, D], from its inputs and the attended values [B, heads, M, d]."""
    merged = layer.norm(rearrange(attended, "b h m d -> b m (h d)"))
    if layer.gate is not None:
        merged = merged * layer.gate(inputs).sigmoid()
    return layer.proj_drop(layer.proj(merged))


def attention_branch(block: Any, attended: Tensor) -> Tensor:
    """What a block adds to its input of its attention layer's output, [B, M, D]: the same, scaled or normed."""
    if isinstance(block, NORM_AFTERWARDS):
        return block.drop_path1(block.norm1(attended))
    if isinstance(block, EvaBlock):
        return block.drop_path1(_scaled(attended, block.gamma_1))
    return block.drop_path1(block.ls1(attended))


def block_outputs(block: Any, tokens: Tensor, attended: Tensor) -> Tensor:
    """The block's output from its input and its attention layer's output, each [B, M, D]."""
    tokens = tokens + attention_branch(block, attended)
    if isinstance(block, NORM_AFTERWARDS):
        return tokens + block.drop_path2(block.norm2(block.mlp(tokens)))
    if isinstance(block, EvaBlock):
        return tokens + block.drop_path2(_scaled(block.mlp(block.norm2(tokens)), block.gamma_2))
    return tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))


def _scaled(branch: Tensor, scale: Tensor | None) -> Tensor:
    return branch if scale is None else scale * branch
