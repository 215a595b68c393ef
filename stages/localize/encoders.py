"""Image encoders of the localizer: a plain timm ViT (the paper's way), or new blocks over a frozen timm CNN.

An encoder gives patch tokens with `patches`, and the blocks that then process them together with the class tokens.
Frozen parts run without gradient and stay in evaluation mode.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import build_sincos2d_pos_embed, resample_abs_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from stages.errors import SettingsError
from stages.localize.attention import NO_ATTENTION, Attended, Attention, run_blocks_together
from stages.networks.pyramid import Pyramid, build_pyramid
from stages.networks.rotary import Grid, grid_table
from stages.networks.vit import build_vit, stride_of
from stages.settings import HybridBackbone, LocalizeSettings, VitBackbone

# A CNN's features contain little about their position, and nothing learned from few images needs it: at full length,
# position embeddings would drown the features.
POSITION_LENGTH = 0.2
POSITION_GRID: Grid = (14, 14)  # patches of a 224 px image at stride 16, the usual size of pretraining


class Encoder(nn.Module):
    """What the localizer needs from an image encoder.

    width: D of the tokens.  stride: pixels per patch.  statistics: mean and deviation of the pretraining's inputs, RGB
    in [0, 1].  blocks: timm blocks that process class tokens and patches together.  norm: after the last block; the
    identity unless `last_norm` is set.  pyramid: the frozen CNN below the blocks, if there is one.
    """

    width: int
    stride: int
    statistics: tuple[Sequence[float], Sequence[float]]
    blocks: nn.ModuleList
    norm: nn.Module
    pyramid: Pyramid | None

    def start_token(self) -> Tensor:
        """The initial value of every visual class token, [D]."""
        raise TypeError(f"{type(self).__name__} must say how class tokens start")

    def patches(self, inputs: Tensor | list[Tensor]) -> tuple[Tensor, Grid]:
        """Patch tokens [B, N, D] and the grid (rows, columns) of normalised images [B, 3, H, W]."""
        raise TypeError(f"{type(self).__name__} must make patch tokens")

    def patches_of_each(self, inputs: Sequence[Tensor | list[Tensor]]) -> list[tuple[Tensor, Grid]]:
        """`patches` of images of several sizes."""
        return [self.patches(own) for own in inputs]

    def rotary_tables(self, grids: Sequence[Grid]) -> list[Tensor] | None:
        """The rotary positions of `blocks` for each grid, as in `Rotary`; None where positions are added once."""
        return None

    def through_blocks(
        self,
        class_tokens: Tensor,
        embedded: Sequence[tuple[Tensor, Grid]],
        *,
        attention: Attention = NO_ATTENTION,
        each_block: bool = False,
    ) -> list[Attended]:
        """Class tokens [K, D], with the patches of images of each size, [b, n, D], through `blocks` and `norm`."""
        return run_blocks_together(
            self.blocks,
            self.norm,
            class_tokens,
            [patches for patches, _ in embedded],
            attention=attention,
            each_block=each_block,
            tables=self.rotary_tables([grid for _, grid in embedded]),
        )


class VitEncoder(Encoder):
    """A timm ViT. Class tokens enter at block `tokens_from_block`; everything before that block is frozen."""

    def __init__(self, settings: VitBackbone, weights: Mapping[str, Tensor] | None) -> None:
        super().__init__()
        vit = build_vit(settings)
        if weights is not None:
            vit.load_state_dict(_on_its_grid({name: weights[name] for name in vit.state_dict()}, vit))
        self.pyramid = None
        self.width = vit.embed_dim
        self.stride = stride_of(vit)
        # Data statistics used in training the weights, RGB in [0, 1].
        self.statistics = (vit.pretrained_cfg["mean"], vit.pretrained_cfg["std"])
        self.frozen = nn.ModuleList(vit.blocks[: settings.tokens_from_block])
        self.blocks = nn.ModuleList(vit.blocks[settings.tokens_from_block :])
        self.norm = vit.norm if settings.last_norm else nn.Identity()
        self.patch_embed = vit.patch_embed
        self.position = vit.pos_embed  # None: positions are rotary only, or there are none
        self.rope = getattr(vit, "rope", None)
        self.norm_pre = vit.norm_pre  # CLIP's, before the first block; the identity in other ViTs
        own = (vit.cls_token, getattr(vit, "dist_token", None), vit.reg_token)
        self.prefix = nn.ParameterList([token for token in own if token is not None])
        self.grid = vit.patch_embed.grid_size
        self.positions_of_prefix = _positions_of_prefix(vit)
        self.has_class_token = vit.cls_token is not None
        if not self.has_class_token:
            self.start = random_token(self.width)
        for block in vit.blocks:
            # timm's blocks skip so many tokens in turning queries and keys. Ours get a table that has all tokens.
            block.attn.num_prefix_tokens = 0
        if self.frozen:
            for part in self._below():
                part.requires_grad_(False)

    def _below(self) -> list[Any]:
        """Modules and parameters that what comes before the first block that learns is made of."""
        parts = (self.frozen, self.patch_embed, self.norm_pre, self.rope, self.position, self.prefix)
        return [part for part in parts if part is not None]

    def train(self, mode: bool = True) -> "VitEncoder":
        super().train(mode)
        if self.frozen:
            # In what doesn't learn: no stochastic depth, no new statistics of a CNN's batch norms below the blocks, no
            # random coordinates of rotary positions.
            for part in self._below():
                if isinstance(part, nn.Module):
                    part.eval()
        return self

    def start_token(self) -> Tensor:
        """The initial value of every visual class token, [D]: the pretrained [CLS] token with its position, as the
        first block gets it, or a random one if the ViT has no [CLS]."""
        if not self.has_class_token:
            return self.start.detach().clone()
        with torch.no_grad():
            return self._own_prefix()[0].detach().clone()

    def patches(self, inputs: Tensor | list[Tensor]) -> tuple[Tensor, Grid]:
        """Images [B, 3, H, W], normalised, -> patch tokens [B, N, D] and the grid (rows, columns)."""
        return self.patches_of_each([inputs])[0]

    def patches_of_each(self, inputs: Sequence[Tensor | list[Tensor]]) -> list[tuple[Tensor, Grid]]:
        """`patches` of images of several sizes, which go through the frozen blocks together."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            embedded = [self._embed(own) for own in inputs]
            if not self.frozen:
                return embedded
            grids = [grid for _, grid in embedded]
            through = run_blocks_together(
                self.frozen,
                nn.Identity(),
                self._own_prefix(),
                [tokens for tokens, _ in embedded],
                tables=self._tables(grids, slice(None, len(self.frozen))),
            )
            return [(own.patches, grid) for own, grid in zip(through, grids, strict=True)]

    def rotary_tables(self, grids: Sequence[Grid]) -> list[Tensor] | None:
        return self._tables(grids, slice(len(self.frozen), None))

    def _tables(self, grids: Sequence[Grid], blocks: slice) -> list[Tensor] | None:
        """The rotary positions of some blocks for each grid; a table that all blocks share stays one."""
        if self.rope is None:
            return None
        tables = [grid_table(self.rope, grid) for grid in grids]
        return [table[blocks] if len(table) > 1 else table for table in tables]

    def _embed(self, images: Tensor | list[Tensor]) -> tuple[Tensor, Grid]:
        """Patch tokens before the first block, each with its position in a grid of this size, and the grid."""
        embedded = self.patch_embed(images)  # [B, rows, columns, D]
        grid = (embedded.shape[1], embedded.shape[2])
        tokens = rearrange(embedded, "b rows columns d -> b (rows columns) d")
        if self.position is not None:
            position = resample_abs_pos_embed(
                self.position, new_size=list(grid), old_size=list(self.grid), num_prefix_tokens=self.positions_of_prefix
            )
            tokens = tokens + position[:, self.positions_of_prefix :]
        return self.norm_pre(tokens), grid

    def _own_prefix(self) -> Tensor:
        """The ViT's own [CLS], distillation token and registers with their positions, [P, D]: blocks before the class
        tokens need them."""
        if not self.prefix:
            return next(self.patch_embed.parameters()).new_zeros(0, self.width)
        prefix = torch.cat(list(self.prefix), dim=1)[0]
        if self.positions_of_prefix:
            positions = self.position[0, : self.positions_of_prefix]
            prefix = prefix + F.pad(positions, (0, 0, 0, len(prefix) - len(positions)))
        return self.norm_pre(prefix)


class HybridEncoder(Encoder):
    """New transformer blocks over feature maps of a frozen timm CNN, all resized to the grid of the first stride."""

    pyramid: Pyramid

    def __init__(self, settings: HybridBackbone, weights: Mapping[str, Tensor] | None) -> None:
        super().__init__()
        self.pyramid = build_pyramid(settings, weights)
        self.statistics = self.pyramid.statistics
        self.width = settings.width
        self.stride = self.pyramid.stride
        # Orthogonal, so that the reduction preserves how similar the CNN's patches are.
        self.reduce = nn.Conv2d(self.pyramid.channels, settings.width, kernel_size=1)
        nn.init.orthogonal_(self.reduce.weight)
        self.reduce.bias = nn.Parameter(torch.zeros(settings.width))
        # At full strength, new blocks soon spread an image's classes over all patches.
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.heads, qkv_bias=True, init_values=settings.layer_scale)
            for _ in range(settings.blocks)
        )
        self.norm = nn.LayerNorm(settings.width) if settings.last_norm else nn.Identity()
        # One embedding for all sizes, interpolated as in a ViT: new positions would be unknown beyond the crop.
        self.position: Tensor
        position = build_sincos2d_pos_embed(list(POSITION_GRID), dim=settings.width)[None]
        self.register_buffer("position", POSITION_LENGTH * position)
        self.start = random_token(settings.width)

    def start_token(self) -> Tensor:
        """A random initial value, [D]: new blocks have no pretrained [CLS]."""
        return self.start.detach().clone()

    def patches(self, inputs: Tensor | list[Tensor]) -> tuple[Tensor, Grid]:
        """Images [B, 3, H, W], or the pyramid's features of them, -> patch tokens [B, N, D] and the grid."""
        reduced = self.reduce(self.pyramid(inputs))
        grid = (reduced.shape[-2], reduced.shape[-1])
        position = resample_abs_pos_embed(
            self.position, new_size=list(grid), old_size=list(POSITION_GRID), num_prefix_tokens=0
        )
        return rearrange(reduced, "b d rows columns -> b (rows columns) d") + position, grid


def random_token(width: int) -> nn.Parameter:
    """A random initial value for class tokens, [D], kept with the encoder; it does not learn."""
    return nn.Parameter(nn.init.trunc_normal_(torch.zeros(width), std=0.02), requires_grad=False)


def _positions_of_prefix(vit: Any) -> int:
    """How many of a ViT's added positions are of its own [CLS], distillation token and registers."""
    return 0 if vit.pos_embed is None or vit.no_embed_class else int(vit.num_prefix_tokens)


def _on_its_grid(weights: dict[str, Tensor], vit: Any) -> dict[str, Tensor]:
    """The weights with their positions interpolated to the ViT's own grid of patches."""
    if vit.pos_embed is None:
        return weights
    position = resample_abs_pos_embed(
        weights["pos_embed"],
        new_size=list(vit.patch_embed.grid_size),
        num_prefix_tokens=_positions_of_prefix(vit),
    )
    return weights | {"pos_embed": position}


def build_encoder(settings: LocalizeSettings, weights: Mapping[str, Tensor] | None) -> Encoder:
    """The transformer named in the settings, with pretrained weights (a timm state dict) or without (None)."""
    backbone = settings.backbone
    if isinstance(backbone, VitBackbone):
        return VitEncoder(backbone, weights)
    if isinstance(backbone, HybridBackbone):
        return HybridEncoder(backbone, weights)
    raise SettingsError(f"localize.method.kind {settings.method.kind!r} needs backbone.kind `vit` or `hybrid`")
