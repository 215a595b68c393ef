"""timm's ViTs as image towers, such as SigLIP's, EVA-02's and Perception Encoder's, opened around their attention."""

from typing import Any

import timm
from einops import rearrange
from open_clip.timm_model import TimmModel
from timm.models import get_model_args
from torch import Tensor

from stages.networks.rotary import grid_table, with_class_tokens
from stages.networks.towers.tower import Grid, VitTower
from stages.networks.vit import PLAIN, stride_of, why_not_plain
from stages.networks.vit_blocks import (
    attention_branch,
    attention_inputs,
    attention_outputs,
    block_outputs,
    queries_keys_values,
    run_whole,
)

POOLINGS = ("token", "avg", "map")


class TimmVit(VitTower):
    """A plain timm ViT, whose image embedding is the class token, the mean of the patches, or pooled from them by an
    attention (`map`)."""

    def __init__(self, visual: TimmModel) -> None:
        super().__init__(visual)
        self.trunk: Any = visual.trunk
        self.stride = stride_of(self.trunk)
        self.prefix = int(self.trunk.num_prefix_tokens)
        self.depth = len(self.trunk.blocks)
        self.by_class_token = self.trunk.global_pool == "token"
        self.rope = getattr(self.trunk, "rope", None)

    @staticmethod
    def is_one(visual: Any) -> bool:
        """Whether a tower's network is one of timm's plain ViTs by its class."""
        return isinstance(visual, TimmModel) and type(visual.trunk) in PLAIN

    @staticmethod
    def fault(visual: TimmModel) -> str:
        """What keeps a tower from being opened so; empty if nothing does."""
        trunk: Any = visual.trunk
        if reason := why_not_plain(trunk):
            return reason
        if trunk.global_pool not in POOLINGS:
            return f"pools by {trunk.global_pool!r}"
        if trunk.attn_pool is not None and trunk.attn_pool.pos_embed is not None:
            return "pools patches by their position"
        if trunk.blocks[-1].attn.gate is not None:
            return "has gated attention"
        return ""

    @property
    def heads(self) -> int:
        return self.trunk.blocks[-1].attn.num_heads

    def enter(self, images: Tensor) -> tuple[Tensor, Grid]:
        embedded = self.trunk.patch_embed(images)  # [B, rows, columns, D]
        grid = (embedded.shape[1], embedded.shape[2])
        tokens = self.trunk._pos_embed(embedded)
        # Of ViTs with rotary positions, timm returns their table too.
        return self.trunk.norm_pre(tokens[0] if isinstance(tokens, tuple) else tokens), grid

    def run(self, number: int, tokens: Tensor, grid: Grid) -> Tensor:
        return run_whole(self.trunk.blocks[number], tokens, mask=None, rotary=self._table(number, grid))

    def attention_inputs(self, number: int, tokens: Tensor) -> Tensor:
        return attention_inputs(self.trunk.blocks[number], tokens)

    def queries_keys_values(self, number: int, inputs: Tensor, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        layer, table = self.trunk.blocks[number].attn, self._table(number, grid)
        # timm's blocks skip the tokens before the patches; this table has rows for them.
        rotary = None if table is None else with_class_tokens(table, self.prefix)
        queries, keys, values = queries_keys_values(layer, inputs, rotary)
        # They come scaled for products with the keys.
        return queries * queries.shape[-1] ** 0.5, keys, values

    def attention_outputs(self, number: int, inputs: Tensor, attended: Tensor) -> Tensor:
        return attention_outputs(self.trunk.blocks[number].attn, inputs, attended)

    def attention_branch(self, number: int, outputs: Tensor) -> Tensor:
        return attention_branch(self.trunk.blocks[number], outputs)

    def block_outputs(self, number: int, tokens: Tensor, outputs: Tensor) -> Tensor:
        return block_outputs(self.trunk.blocks[number], tokens, outputs)

    def pool(self, tokens: Tensor) -> Tensor:
        return self.visual.head(self.trunk.forward_head(self.trunk.norm(tokens)))

    def normed(self, tokens: Tensor) -> Tensor:
        return self.trunk.norm(tokens)

    def alone(self, normed: Tensor) -> Tensor:
        single = rearrange(normed, "b m d -> (b m) 1 d")
        pooled = single[:, 0] if self.trunk.attn_pool is None else self.trunk.attn_pool(single)
        embedded = self.visual.head(self.trunk.head(self.trunk.fc_norm(pooled)))
        return rearrange(embedded, "(b m) e -> b m e", b=len(normed))

    def _table(self, number: int, grid: Grid) -> Tensor | None:
        """Rotary positions of the patches in one block, [1, heads or 1, N, 2 d]; None without."""
        if self.rope is None:
            return None
        table = grid_table(self.rope, grid)
        return table[number if len(table) > 1 else 0][None]


def take_any_size(visual: Any) -> None:
    """Replaces a plain timm ViT in a tower by the same with random weights for images of any size, which open_clip does
    not build."""
    if TimmVit.is_one(visual):
        trunk = visual.trunk
        arguments = get_model_args(trunk) | {"pretrained": False, "dynamic_img_size": True}
        visual.trunk = timm.create_model(trunk.pretrained_cfg["architecture"], **arguments)
