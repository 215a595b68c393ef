"""The method's equations against plain NumPy and numbers worked out by hand."""

import numpy as np
import pytest
import torch

from stages.localize.tokens import (
    combine,
    contrastive_loss,
    correlate,
    global_weighted_ranking_pooling,
    local_tokens,
    mean_of_own_classes,
)

BATCH, CLASSES, PATCHES, WIDTH = 2, 3, 5, 4


@pytest.fixture
def tokens() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((BATCH, CLASSES, WIDTH)).astype(np.float32)


@pytest.fixture
def patches() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((BATCH, PATCHES, WIDTH)).astype(np.float32)


def numpy_local_tokens(tokens: np.ndarray, patches: np.ndarray) -> np.ndarray:
    local = np.zeros_like(tokens)
    for image in range(BATCH):
        for name in range(CLASSES):
            weights = np.exp([tokens[image, name] @ patch / np.sqrt(WIDTH) for patch in patches[image]])
            local[image, name] = (weights / weights.sum()) @ patches[image]
    return local


def test_local_tokens_are_the_softmax_weighted_patches(tokens: np.ndarray, patches: np.ndarray) -> None:
    ours = local_tokens(torch.from_numpy(tokens), torch.from_numpy(patches))
    np.testing.assert_allclose(ours, numpy_local_tokens(tokens, patches), rtol=1e-5, atol=1e-6)


def test_representations_are_token_local_and_their_weighted_sum(tokens: np.ndarray, patches: np.ndarray) -> None:
    pair = torch.from_numpy(tokens), torch.from_numpy(patches)
    local = numpy_local_tokens(tokens, patches)
    np.testing.assert_array_equal(combine(*pair, representation="global", weight=0.5), tokens)
    np.testing.assert_allclose(combine(*pair, representation="local", weight=0.5), local, rtol=1e-5, atol=1e-6)
    both = combine(*pair, representation="global_local", weight=0.5)
    np.testing.assert_allclose(both, tokens + 0.5 * local, rtol=1e-5, atol=1e-6)


def test_dot_correlation_is_the_plain_product_and_cosine_the_angle(tokens: np.ndarray, patches: np.ndarray) -> None:
    pair = torch.from_numpy(tokens), torch.from_numpy(patches)
    product = np.einsum("bcd,bnd->bcn", tokens, patches)
    lengths = np.linalg.norm(tokens, axis=-1)[:, :, None] * np.linalg.norm(patches, axis=-1)[:, None]
    np.testing.assert_allclose(correlate(*pair, correlation="dot"), product, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(correlate(*pair, correlation="cosine"), product / lengths, rtol=1e-5, atol=1e-6)


def test_pooling_of_three_values_by_hand() -> None:
    # Sorted 4, 2, 1 with weights 1, 1/2, 1/4: (4 + 1 + 0.25) / 1.75 = 3.
    pooled = global_weighted_ranking_pooling(torch.tensor([1.0, 4.0, 2.0]), 0.5)
    assert pooled.item() == pytest.approx(3.0)


def test_pooling_is_the_mean_at_decay_one_and_nearly_the_maximum_at_small_decay() -> None:
    maps = torch.randn(2, 3, 50)
    torch.testing.assert_close(global_weighted_ranking_pooling(maps, 1.0), maps.mean(dim=-1))
    torch.testing.assert_close(global_weighted_ranking_pooling(maps, 1e-6), maps.amax(dim=-1), atol=1e-4, rtol=1e-4)


def test_pooling_does_not_see_the_order_of_patches() -> None:
    maps = torch.randn(2, 3, 50)
    shuffled = maps[..., torch.randperm(50)]
    torch.testing.assert_close(
        global_weighted_ranking_pooling(maps, 0.9), global_weighted_ranking_pooling(shuffled, 0.9)
    )


def test_mean_of_own_classes_takes_the_tagged_tokens_alone(tokens: np.ndarray) -> None:
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    mean = mean_of_own_classes(torch.from_numpy(tokens), labels)
    np.testing.assert_allclose(mean[0], (tokens[0, 0] + tokens[0, 2]) / 2, rtol=1e-6)
    np.testing.assert_allclose(mean[1], tokens[1, 1], rtol=1e-6)


def test_contrastive_loss_by_hand() -> None:
    # Two orthogonal pairs: similarities are the identity / tau, so each row's loss is log(1 + exp(-1 / tau)).
    axes = torch.eye(2)
    assert contrastive_loss(3 * axes, 5 * axes, 0.5).item() == pytest.approx(np.log1p(np.exp(-2.0)))


def test_contrastive_loss_against_numpy(tokens: np.ndarray) -> None:
    predicted, embeddings = tokens[0], tokens[1]
    rows = predicted / np.linalg.norm(predicted, axis=1, keepdims=True)
    columns = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    exponentials = np.exp(rows @ columns.T / 0.07)
    expected = -np.log(np.diag(exponentials) / exponentials.sum(axis=1)).mean()
    ours = contrastive_loss(torch.from_numpy(predicted), torch.from_numpy(embeddings), 0.07)
    assert ours.item() == pytest.approx(expected, rel=1e-5)
