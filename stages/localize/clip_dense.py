"""Dense features of CLIP's image tower: what each patch sees of the others in the last block.

B images, N patches of CLIP, M patches of the proxy, D width of the tower, E width of the joint space.
"""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor

from stages.settings import ProxySettings

Grid = tuple[int, int]


def value_features(tower: VisionTransformer, tokens: Tensor) -> Tensor:
    """Each patch sees itself alone: the values of the last block's attention go through its output projection, then
    the tower's last norm and projection.

    Source: MaskCLIP (Zhou, Loy and Dai, ECCV 2022), section 3.2.

    Args:
        tokens: those that enter the last block, [B, 1 + N, D].

    Returns: [B, N, E].
    """
    return _projected(tower, _values(tower, tokens))


def self_features(tower: VisionTransformer, tokens: Tensor) -> Tensor:
    """The last block's attention is softmax(q q^T / sqrt(d)) + softmax(k k^T / sqrt(d)), for each head of width d and
    with the class token; its rows sum to 2. All else of the block stays: residuals, norms and MLP.

    Source: SCLIP (Wang, Mei and Yuille, ECCV 2024), correlative self-attention.

    Args and result: as of `value_features`.
    """
    last: Any = tower.transformer.resblocks[-1]
    parts = F.linear(last.ln_1(tokens), last.attn.in_proj_weight, last.attn.in_proj_bias)
    queries, keys, values = rearrange(parts, "b n (three h d) -> three b h n d", three=3, h=last.attn.num_heads)
    seen = F.scaled_dot_product_attention(queries, queries, values)
    seen = seen + F.scaled_dot_product_attention(keys, keys, values)
    tokens = tokens + last.ls_1(last.attn.out_proj(rearrange(seen, "b h n d -> b n (h d)")))
    tokens = tokens + last.ls_2(last.mlp(last.ln_2(tokens)))
    return tower.ln_post(tokens[:, 1:]) @ tower.proj


def proxy_features(
    tower: VisionTransformer, tokens: Tensor, grid: Grid, *, proxies: Tensor, settings: ProxySettings
) -> Tensor:
    """Each patch sees those that a frozen network finds alike: as `value_features`, of the means of values by
    `mean_of_alike`.

    Source: ProxyCLIP (Lan et al., ECCV 2024), proxy attention.

    Args:
        tokens: those that enter the last block, [B, 1 + N, D].  grid: rows and columns of these patches.
        proxies: features of the frozen network, [B, width, rows, columns] with M positions.

    Returns: on the proxies' grid, [B, M, E].
    """
    values = rearrange(_values(tower, tokens), "b (rows columns) d -> b d rows columns", rows=grid[0])
    return _projected(
        tower, rearrange(mean_of_alike(values, proxies, settings), "b d rows columns -> b (rows columns) d")
    )


def position_features(tower: TimmModel, features: Tensor) -> Tensor:
    """Each position of a CNN's feature map [B, D, rows, columns] goes through the tower's pooling and projection on its
    own: [B, rows * columns, E]. If these are a mean and a linear layer, the mean over positions is the image
    embedding."""
    positions = rearrange(features, "b d rows columns -> (b rows columns) d 1 1")
    return rearrange(tower.head(tower.trunk.forward_head(positions)), "(b n) e -> b n e", b=len(features))


def mean_of_alike(values: Tensor, proxies: Tensor, settings: ProxySettings) -> Tensor:
    """Values [B, D, rows, columns], resized to the grid of the proxies, each replaced by the mean of all with the
    weights `proxy_attention`: [B, D, rows and columns of the proxies]."""
    resized = F.interpolate(values, size=proxies.shape[-2:], mode="bilinear", align_corners=False)
    with torch.autocast(values.device.type, enabled=False):
        # One image after the other, since the weights are M x M.
        means = [
            own.flatten(1).float() @ proxy_attention(alike.flatten(1), settings).T
            for own, alike in zip(resized, proxies, strict=True)
        ]
    return torch.stack(means).to(values.dtype).unflatten(2, proxies.shape[-2:])


def proxy_attention(features: Tensor, settings: ProxySettings) -> Tensor:
    """Weights [M, M], whose rows sum to 1, from features [width, M] of one image: softmax(A) with A = gamma (cosines -
    beta * their mean), without the entries of A below 0.

    A position always sees itself, which the equation says too unless the image's mean cosine is above 1 / beta: in an
    image of one colour, nothing would be left to see.
    """
    units = F.normalize(features.float(), dim=0)
    cosines = units.T @ units
    scores = settings.gamma * (cosines - settings.beta * cosines.mean())
    unlike = (scores < 0).fill_diagonal_(False)
    return scores.masked_fill(unlike, -torch.inf).softmax(dim=1)


def _values(tower: VisionTransformer, tokens: Tensor) -> Tensor:
    """The values of the last block's attention, of the patches alone: [B, N, D]."""
    last: Any = tower.transformer.resblocks[-1]
    weight, bias = (parameter.chunk(3)[2] for parameter in (last.attn.in_proj_weight, last.attn.in_proj_bias))
    return F.linear(last.ln_1(tokens[:, 1:]), weight, bias)


def _projected(tower: VisionTransformer, values: Tensor) -> Tensor:
    last: Any = tower.transformer.resblocks[-1]
    return tower.ln_post(last.ls_1(last.attn.out_proj(values))) @ tower.proj
