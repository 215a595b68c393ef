"""open_clip's own ViT, which OpenAI's, LAION's and many other CLIPs have, opened around its attention."""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from timm.layers import resample_abs_pos_embed
from torch import Tensor

from stages.networks.towers.tower import Grid, VitTower


class OpenClipVit(VitTower):
    """One with plain blocks, whose image embedding is the class token or the mean of the patches."""

    prefix = 1

    def __init__(self, visual: VisionTransformer) -> None:
        super().__init__(visual)
        self.stride = int(visual.patch_size[0])
        self.blocks: Any = visual.transformer.resblocks
        self.depth = len(self.blocks)
        self.by_class_token = visual.pool_type == "tok"
        self.norm_last = bool(visual.final_ln_after_pool)

    @staticmethod
    def fault(visual: VisionTransformer) -> str:
        """What keeps a tower from being opened so; empty if nothing does."""
        plain = isinstance(visual.transformer.resblocks[-1], ResidualAttentionBlock)
        pooled = visual.attn_pool is None and visual.pool_type in ("tok", "avg")
        return "" if plain and pooled and visual.proj is not None else "has other blocks, or another pooling"

    @property
    def heads(self) -> int:
        return self.blocks[-1].attn.num_heads

    def enter(self, images: Tensor) -> tuple[Tensor, Grid]:
        visual = self.visual
        embedded = visual.conv1(images)
        rows, columns = embedded.shape[-2:]
        patches = rearrange(embedded, "b d rows columns -> b (rows columns) d")
        class_token = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        position = resample_abs_pos_embed(
            visual.positional_embedding[None], [rows, columns], old_size=list(visual.grid_size), num_prefix_tokens=1
        )
        return visual.ln_pre(torch.cat((class_token, patches), dim=1) + position), (rows, columns)

    def run(self, number: int, tokens: Tensor, grid: Grid) -> Tensor:
        return self.blocks[number](tokens)

    def attention_inputs(self, number: int, tokens: Tensor) -> Tensor:
        return self.blocks[number].ln_1(tokens)

    def queries_keys_values(self, number: int, inputs: Tensor, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        layer = self.blocks[number].attn
        joint = F.linear(inputs, layer.in_proj_weight, layer.in_proj_bias)
        queries, keys, values = rearrange(joint, "b n (three h d) -> three b h n d", three=3, h=layer.num_heads)
        return queries, keys, values

    def attention_outputs(self, number: int, inputs: Tensor, attended: Tensor) -> Tensor:
        return self.blocks[number].attn.out_proj(rearrange(attended, "b h m d -> b m (h d)"))

    def attention_branch(self, number: int, outputs: Tensor) -> Tensor:
        return self.blocks[number].ls_1(outputs)

    def block_outputs(self, number: int, tokens: Tensor, outputs: Tensor) -> Tensor:
        block = self.blocks[number]
        tokens = tokens + block.ls_1(outputs)
        return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))

    def pool(self, tokens: Tensor) -> Tensor:
        pooled, _ = self.visual._pool(tokens)
        return pooled @ self.visual.proj

    def normed(self, tokens: Tensor) -> Tensor:
        return tokens if self.norm_last else self.visual.ln_post(tokens)

    def alone(self, normed: Tensor) -> Tensor:
        return (self.visual.ln_post(normed) if self.norm_last else normed) @ self.visual.proj
