"""Dense features of CLIP's image tower: what each patch sees of the others in its last step.

B images, P tokens before the patches, N patches of CLIP, M patches of the proxy, D width of the tower, E width of the
joint space.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from stages.networks.towers.tower import Grid, ImageTower
from stages.settings import ProxySettings


def value_features(tower: ImageTower, tokens: Tensor, grid: Grid) -> Tensor:
    """Each patch sees itself alone. Of a tower with a class token, the values of the last block's attention go through
    its output projection, then the tower's last norm and projection; another one pools each patch alone.

    Source: MaskCLIP (Zhou, Loy and Dai, ECCV 2022), section 3.2, for a class token and for an attention that pools.

    Args:
        tokens: as of `ImageTower.before_last`, [B, P + N, D].  grid: rows and columns of these patches.

    Returns: [B, N, E].
    """
    return tower.embed_values(tower.values(tokens, grid))


def proxy_features(
    tower: ImageTower, tokens: Tensor, grid: Grid, *, proxies: Tensor, settings: ProxySettings
) -> Tensor:
    """Each patch sees those that a frozen network finds alike: as `value_features`, of the means of values by
    `mean_of_alike`.

    Source: ProxyCLIP (Lan et al., ECCV 2024), proxy attention.

    Args:
        tokens, grid: as of `value_features`.
        proxies: features of the frozen network, [B, width, rows, columns] with M positions.

    Returns: on the proxies' grid, [B, M, E].
    """
    values = rearrange(tower.values(tokens, grid), "b (rows columns) d -> b d rows columns", rows=grid[0])
    return tower.embed_values(
        rearrange(mean_of_alike(values, proxies, settings), "b d rows columns -> b (rows columns) d")
    )


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
