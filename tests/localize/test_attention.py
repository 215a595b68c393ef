"""Blocks with their attention: timm's own outputs and weights, and means that are means."""

import pytest
import torch
from timm.models.vision_transformer import Block
from torch import nn

from stages.localize import attention
from stages.localize.attention import (
    ALL_BLOCKS,
    Attention,
    fused_is_slow,
    run_block,
    run_blocks,
    run_blocks_together,
    wanted_attention,
)
from stages.settings import MapSettings

CLASSES, PATCHES, WIDTH = 3, 5, 24


@pytest.fixture
def blocks() -> list[Block]:
    torch.manual_seed(0)
    variants = [{}, {"qk_norm": True}, {"init_values": 0.3, "scale_attn_norm": True}]
    return [Block(WIDTH, 4, qkv_bias=True, norm_layer=nn.LayerNorm, **variant).eval() for variant in variants]


def weights_of(block: Block, tokens: torch.Tensor) -> torch.Tensor:
    """timm's own attention weights, [B, heads, M, M], taken from inside."""
    block.attn.fused_attn = False
    seen: list[torch.Tensor] = []
    handle = block.attn.attn_drop.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    block(tokens)
    handle.remove()
    block.attn.fused_attn = True
    return seen[0]


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("patches", [False, True])
def test_output_and_attention_are_timms_own(blocks: list[Block], classes: bool, patches: bool) -> None:
    tokens = torch.randn(2, CLASSES + PATCHES, WIDTH)
    for block in blocks:
        of_classes = torch.ones(2, CLASSES, PATCHES) if classes else None
        of_patches = torch.ones(2, PATCHES, PATCHES) if patches else None
        output = run_block(block, tokens, of_classes=of_classes, of_patches=of_patches)
        torch.testing.assert_close(output, block(tokens), atol=1e-5, rtol=1e-5)
        expected = 1 + weights_of(block, tokens).sum(dim=1)
        if of_classes is not None:
            torch.testing.assert_close(of_classes, expected[:, :CLASSES, CLASSES:])
        if of_patches is not None:
            torch.testing.assert_close(of_patches, expected[:, CLASSES:, CLASSES:])


@pytest.mark.parametrize("at_once", [1, 10**6])
def test_attention_written_out_in_bfloat16_is_timms_own(
    blocks: list[Block], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(attention, "WEIGHTS_AT_ONCE", at_once)
    tokens = torch.randn(3, CLASSES + PATCHES, WIDTH)
    mask = torch.rand(3, 1, 1, CLASSES + PATCHES) < 0.7
    mask[..., 0] = True
    assert not fused_is_slow(tokens)
    for block in blocks:
        expected = block(tokens, attn_mask=mask)
        with torch.autocast("cpu", torch.bfloat16):
            assert fused_is_slow(tokens)
            with_gradient = run_block(block, tokens, mask=mask)
            with torch.no_grad():
                without = run_block(block, tokens, mask=mask)
        torch.testing.assert_close(without, expected, atol=0.05, rtol=0.05)
        torch.testing.assert_close(with_gradient, without, atol=0.02, rtol=0.02)


def test_gradients_of_attention_written_out_are_timms_own(blocks: list[Block], monkeypatch) -> None:
    monkeypatch.setattr(attention, "fused_is_slow", lambda tokens: True)
    for block in blocks:
        tokens = torch.randn(2, CLASSES + PATCHES, WIDTH, requires_grad=True)
        ours, expected = (
            torch.autograd.grad(run(tokens).square().sum(), [tokens, *block.parameters()])
            for run in (lambda own, block=block: run_block(block, own), block)
        )
        for one, other in zip(ours, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("of_classes", "of_patches"), [(2, 2), (1, 3), (2, ALL_BLOCKS), (3, 1), (0, 2), (1, 0)])
def test_each_attention_is_the_mean_over_its_last_blocks(blocks: list[Block], of_classes: int, of_patches: int) -> None:
    class_tokens, patches = torch.randn(CLASSES, WIDTH), torch.randn(2, PATCHES, WIDTH)
    attended = run_blocks(blocks, nn.Identity(), class_tokens, patches, attention=Attention(of_classes, of_patches))
    tokens = torch.cat((class_tokens.expand(2, -1, -1), patches), dim=1)
    weights = []
    for block in blocks:
        weights.append(weights_of(block, tokens).mean(dim=1))
        tokens = block(tokens)
    torch.testing.assert_close(attended.class_tokens, tokens[:, :CLASSES], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(attended.patches, tokens[:, CLASSES:], atol=1e-5, rtol=1e-5)
    for asked, found, part in (
        (of_classes, attended.class_attention, (slice(None), slice(0, CLASSES), slice(CLASSES, None))),
        (of_patches, attended.patch_attention, (slice(None), slice(CLASSES, None), slice(CLASSES, None))),
    ):
        assert (found is None) == (asked == 0)
        if asked:
            torch.testing.assert_close(found, torch.stack(weights[-min(asked, 3) :]).mean(dim=0)[part])


def test_what_the_settings_ask_for() -> None:
    # Left out, class attention is over 3 blocks or as many as the method says, patch attention over all.
    assert wanted_attention(MapSettings(patch_affinity=True), classes=True) == Attention(3, ALL_BLOCKS)
    assert wanted_attention(MapSettings(), classes=True, usual=ALL_BLOCKS) == Attention(ALL_BLOCKS, 0)
    given = MapSettings(attention_blocks=2, affinity_blocks=5, patch_affinity=True)
    assert wanted_attention(given, classes=True, usual=ALL_BLOCKS) == Attention(2, 5)
    assert wanted_attention(given, classes=False) == Attention(0, 5)


def test_nothing_is_kept_that_nobody_asks_for(blocks: list[Block]) -> None:
    attended = run_blocks(blocks, nn.Identity(), torch.randn(CLASSES, WIDTH), torch.randn(1, PATCHES, WIDTH))
    assert attended.class_attention is None
    assert attended.patch_attention is None
    assert attended.each_block is None


def test_class_tokens_of_each_block_end_in_the_last(blocks: list[Block]) -> None:
    class_tokens, patches = torch.randn(CLASSES, WIDTH), torch.randn(2, PATCHES, WIDTH)
    attended = run_blocks(blocks, nn.Identity(), class_tokens, patches, each_block=True)
    assert attended.each_block is not None
    assert attended.each_block.shape == (3, 2, CLASSES, WIDTH)
    torch.testing.assert_close(attended.each_block[-1], attended.class_tokens)


@pytest.mark.parametrize("asked", [Attention(), Attention(2, 3)])
def test_what_fills_up_a_batch_is_seen_by_nobody(blocks: list[Block], asked: Attention) -> None:
    class_tokens = torch.randn(CLASSES, WIDTH)
    patches = [torch.randn(images, length, WIDTH) for images, length in ((2, 5), (1, 9), (3, 1))]
    together = run_blocks_together(blocks, nn.LayerNorm(WIDTH), class_tokens, patches, attention=asked)
    for own, found in zip(patches, together, strict=True):
        alone = run_blocks(blocks, nn.LayerNorm(WIDTH), class_tokens, own, attention=asked)
        for part in ("class_tokens", "patches", "class_attention", "patch_attention"):
            torch.testing.assert_close(getattr(found, part), getattr(alone, part), atol=1e-5, rtol=1e-5)
