"""Rotary positions with class tokens in front, against rotations by hand in NumPy, and drawn at random in training."""

import copy

import numpy as np
import pytest
import timm
import torch

from stages.localize.attention import run_block, run_blocks
from stages.localize.encoders import VitEncoder
from stages.networks import vit as networks
from stages.networks.rotary import Rotary, with_class_tokens
from stages.settings import VitBackbone

CLASSES, GRID, WIDTH, HEADS = 3, (2, 3), 16, 2
SIZE = WIDTH // HEADS  # of a head
DINOV3, MIXED = "vit_small_patch16_dinov3", "vit_small_patch16_rope_mixed_224"
MOVED = {"rope_shift_coords": 0.3, "rope_jitter_coords": 1.5, "rope_rescale_coords": 2.0}


def encoder_of(monkeypatch: pytest.MonkeyPatch, model: str, *, frozen: int = 0, **options) -> tuple[VitEncoder, object]:
    """A narrow encoder of two blocks with weights of a size that shows, and timm's own copy of the ViT."""
    torch.manual_seed(0)
    small = {"depth": 2, "embed_dim": WIDTH, "num_heads": HEADS} | options
    own = timm.create_model(model, pretrained=False, num_classes=0, dynamic_img_size=True, **small)
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.normal_(mean=float(parameter.dim() == 1), std=0.3)
    monkeypatch.setattr(networks, "_create", lambda name, **ignored: own)
    vit = copy.deepcopy(own)
    return VitEncoder(VitBackbone(model=model, tokens_from_block=frozen), None), vit


def angles_of_dinov3() -> np.ndarray:
    """Of every patch, [heads, N, d / 2]: 2 pi times its centre in [-1, 1], rows first, over periods 100^(4 i / d)."""
    periods = 100 ** (4 * np.arange(SIZE // 4) / SIZE)
    rows, columns = (2 * (np.arange(length) + 0.5) / length - 1 for length in GRID)
    angles = [np.concatenate((row / periods, column / periods)) for row in rows for column in columns]
    return 2 * np.pi * np.stack([angles] * HEADS)


def angles_of_mixed(frequencies: np.ndarray, indexing: str) -> np.ndarray:
    """Of every patch, [heads, N, d / 2]: its row and column times learned frequencies [2, heads, d / 2]."""
    first, second = np.array([(r, c) if indexing == "ij" else (c, r) for r in range(GRID[0]) for c in range(GRID[1])]).T
    return first[:, None] * frequencies[0][:, None] + second[:, None] * frequencies[1][:, None]


def turned(vectors: np.ndarray, angles: np.ndarray, *, half: bool) -> np.ndarray:
    """Vectors [heads, N, d], whose pairs are complex numbers, times exp(i angle)."""
    real, imaginary = (
        (vectors[..., : SIZE // 2], vectors[..., SIZE // 2 :]) if half else (vectors[..., ::2], vectors[..., 1::2])
    )
    product = (real + 1j * imaginary) * np.exp(1j * angles)
    if half:
        return np.concatenate((product.real, product.imag), axis=-1)
    return np.stack((product.real, product.imag), axis=-1).reshape(vectors.shape)


def attention_by_hand(layer, inputs: np.ndarray, angles: np.ndarray, *, half: bool) -> tuple[np.ndarray, np.ndarray]:
    """The layer's output [M, D] for inputs [M, D], class tokens first and not turned, and its weights [heads, M, M]."""

    def projected(part: int, bias: torch.Tensor | None) -> np.ndarray:
        weight = layer.qkv.weight.detach().numpy()[part * WIDTH : (part + 1) * WIDTH]
        product = inputs @ weight.T + (0 if bias is None else bias.detach().numpy())
        return product.reshape(len(inputs), HEADS, SIZE).transpose(1, 0, 2)

    biases = (
        (layer.q_bias, layer.k_bias, layer.v_bias)
        if hasattr(layer, "q_bias")
        else (layer.qkv.bias.chunk(3) if layer.qkv.bias is not None else (None,) * 3)
    )
    query, key, value = (projected(part, bias) for part, bias in enumerate(biases))
    query, key = (
        np.concatenate((own[:, :CLASSES], turned(own[:, CLASSES:], angles, half=half)), axis=1) for own in (query, key)
    )
    products = np.exp(query @ key.transpose(0, 2, 1) / SIZE**0.5)
    weights = products / products.sum(axis=-1, keepdims=True)
    merged = (weights @ value).transpose(1, 0, 2).reshape(len(inputs), WIDTH)
    return merged @ layer.proj.weight.detach().numpy().T + layer.proj.bias.detach().numpy(), weights


@pytest.mark.parametrize("model", [DINOV3, MIXED])
def test_patches_are_turned_by_their_angles_and_class_tokens_are_not(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, vit = encoder_of(monkeypatch, model)
    encoder.eval()
    (table,) = encoder.rotary_tables([GRID])
    tokens = torch.randn(1, CLASSES + 6, WIDTH)
    for number, block in enumerate(encoder.blocks):
        if model == DINOV3:
            angles = angles_of_dinov3()
        else:
            angles = angles_of_mixed(vit.rope.freqs[:, number].detach().numpy(), vit.rope.grid_indexing)
        inputs = block.norm1(tokens)
        output, weights = attention_by_hand(block.attn, inputs[0].detach().numpy(), angles, half=model == DINOV3)
        rotary = Rotary([table], [1]).of_block(number, class_tokens=CLASSES)
        np.testing.assert_allclose(block.attn(inputs, rope=rotary)[0].detach(), output, rtol=1e-4, atol=1e-5)
        of_classes, of_patches = torch.zeros(1, CLASSES, 6), torch.zeros(1, 6, 6)
        kept = run_block(block, tokens, rotary=rotary, of_classes=of_classes, of_patches=of_patches)
        summed = weights.sum(axis=0)
        np.testing.assert_allclose(of_classes[0].detach(), summed[:CLASSES, CLASSES:], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(of_patches[0].detach(), summed[CLASSES:, CLASSES:], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(kept, run_block(block, tokens, rotary=rotary), atol=1e-5, rtol=1e-5)


def test_rows_of_class_tokens_turn_nothing_and_those_that_fill_up_are_zeros() -> None:
    tables = [torch.randn(1, 1, patches, 8) for patches in (2, 5)]
    filled = Rotary(tables, [3, 1]).of_block(4, class_tokens=2)
    assert filled.shape == (4, 1, 7, 8)
    assert filled[:, :, :2].unique(dim=2).flatten(1).tolist() == [[0.0] * 4 + [1.0] * 4] * 4
    torch.testing.assert_close(filled[1, :, 2:4], tables[0][0])
    torch.testing.assert_close(filled[3, :, 2:], tables[1][0])
    assert filled[:3, :, 4:].abs().max() == 0
    assert torch.equal(with_class_tokens(tables[0], 0), tables[0])


def test_random_coordinates_are_drawn_once_a_pass_as_timm_does(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, vit = encoder_of(monkeypatch, DINOV3, **MOVED)
    images = torch.randn(2, 3, 32, 48)
    patches, grid = encoder.train().patches(images)
    passes = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = vit.train().forward_features(images)[:, vit.num_prefix_tokens :]
        torch.manual_seed(seed)
        (through,) = encoder.through_blocks(encoder._own_prefix(), [(patches, grid)])
        torch.testing.assert_close(vit.norm(through.patches), expected, atol=1e-4, rtol=1e-4)
        passes.append(expected)
    assert (passes[0] - passes[1]).abs().max() > 1e-2


def test_over_frozen_blocks_no_coordinates_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, vit = encoder_of(monkeypatch, DINOV3, frozen=1, **MOVED)
    images = torch.randn(2, 3, 32, 48)
    entering = vit.eval().forward_intermediates(images, indices=[0], output_fmt="NLC", intermediates_only=True)[0]
    patches, _ = encoder.train().patches(images)
    torch.testing.assert_close(patches, entering, atol=1e-4, rtol=1e-4)
    assert torch.equal(encoder.rotary_tables([GRID])[0], encoder.rotary_tables([GRID])[0])


def test_learned_frequencies_get_a_gradient_and_only_of_blocks_that_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for frozen in (0, 1):
        encoder, _ = encoder_of(monkeypatch, MIXED, frozen=frozen)
        embedded = encoder.train().patches_of_each([torch.randn(1, 3, 32, 48), torch.randn(1, 3, 16, 64)])
        through = encoder.through_blocks(torch.randn(CLASSES, WIDTH), embedded)
        sum(own.patches.square().sum() for own in through).backward()
        assert encoder.rope.freqs.requires_grad == (frozen == 0)
        if not frozen:
            assert (encoder.rope.freqs.grad.abs().amax(dim=(0, 2, 3)) > 0).all()


def test_in_bfloat16_the_angles_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, _ = encoder_of(monkeypatch, DINOV3)
    encoder.eval()
    class_tokens, patches = torch.randn(CLASSES, WIDTH), torch.randn(2, 6, WIDTH)
    rotary = Rotary(encoder.rotary_tables([GRID]), [2])
    with torch.no_grad():
        expected = run_blocks(encoder.blocks, encoder.norm, class_tokens, patches, rotary=rotary).patches
        with torch.autocast("cpu", torch.bfloat16):
            assert encoder.rotary_tables([GRID])[0].dtype == torch.float32
            found = run_blocks(encoder.blocks, encoder.norm, class_tokens, patches, rotary=rotary).patches
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()
