"""Decoders of patch tokens against their equations, written out."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from stages.segment import token_heads  # noqa: F401 (registers them)


def head_of(kind: str, **options):
    init_default_scope("mmseg")
    torch.manual_seed(0)
    return MODELS.build({"type": kind, "in_channels": 6, "num_classes": 4, "in_index": 0, **options}).eval()


def test_the_linear_head_normalises_and_classifies_each_token() -> None:
    head = head_of("LinearTokenHead", dropout_ratio=0.0)
    head.norm.running_mean.copy_(torch.randn(6))
    head.norm.running_var.copy_(torch.rand(6) + 0.5)
    features = torch.randn(2, 6, 3, 5)
    mean, variance = (own.numpy()[:, None, None] for own in (head.norm.running_mean, head.norm.running_var))
    normalised = (features.numpy() - mean) / np.sqrt(variance + 1e-5)
    weight, bias = head.conv_seg.weight.detach().numpy()[:, :, 0, 0], head.conv_seg.bias.detach().numpy()
    expected = np.einsum("lc,bcij->blij", weight, normalised) + bias[:, None, None]
    np.testing.assert_allclose(head([features]).detach().numpy(), expected, atol=1e-5)
    # A scale and an offset a channel, and a classifier.
    assert sum(own.numel() for own in head.parameters()) == 2 * 6 + (6 * 4 + 4)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def layer_norm(values: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    centred = values - values.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt(values.var(axis=-1, keepdims=True) + norm.eps)
    return scaled * norm.weight.detach().numpy() + norm.bias.detach().numpy()


def test_mask_tokens_label_the_patches_that_point_where_they_do() -> None:
    """Scores by the paper's equation, patch by patch; the transformer blocks are timm's."""
    head = head_of("MaskTokenHead", channels=8, layers=2, dropout_ratio=0.0)
    torch.nn.init.normal_(head.score_norm.weight)
    torch.nn.init.normal_(head.score_norm.bias)
    features = torch.randn(2, 6, 3, 5)
    with torch.inference_mode():
        found = head([features]).numpy()
        for image in range(2):
            patches = [head.project(features[image, :, i, j]) for i in range(3) for j in range(5)]
            tokens = torch.stack([*patches, *head.label_tokens[0]])[None]
            for block in head.blocks:
                tokens = block(tokens)
            tokens = layer_norm(tokens[0].numpy(), head.norm)
            patch_weights, label_weights = head.of_patches.weight.numpy(), head.of_labels.weight.numpy()
            cosines = unit(tokens[:15] @ patch_weights.T) @ unit(tokens[15:] @ label_weights.T).T
            expected = layer_norm(cosines, head.score_norm)
            for patch in range(15):
                np.testing.assert_allclose(found[image, :, patch // 5, patch % 5], expected[patch], atol=1e-4)


def test_mask_tokens_start_as_vits_do() -> None:
    head = head_of("MaskTokenHead", channels=128, layers=1, dropout_ratio=0.0)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.init_weights()  # as a Runner does
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    assert head.blocks[0].attn.num_heads == 2
    for weights in (head.label_tokens, head.blocks[0].mlp.fc1.weight, head.of_patches.weight):
        assert weights.std().item() == pytest.approx(0.02, rel=0.15)
