"""The method's equations against plain NumPy and numbers worked out by hand."""

import numpy as np
import pytest
import torch

from stages.localize.tokens import (
    attention_of_maps,
    attention_of_tokens,
    combine,
    contrastive_loss,
    correlate,
    entropy_share,
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


def numpy_softmax_attention(tokens: np.ndarray, patches: np.ndarray) -> np.ndarray:
    attention = np.zeros((BATCH, CLASSES, PATCHES), dtype=np.float32)
    for image in range(BATCH):
        for name in range(CLASSES):
            weights = np.exp([tokens[image, name] @ patch / np.sqrt(WIDTH) for patch in patches[image]])
            attention[image, name] = weights / weights.sum()
    return attention


def test_attention_of_tokens_is_the_softmax_of_scaled_products(tokens: np.ndarray, patches: np.ndarray) -> None:
    ours = attention_of_tokens(torch.from_numpy(tokens), torch.from_numpy(patches))
    np.testing.assert_allclose(ours, numpy_softmax_attention(tokens, patches), rtol=1e-5, atol=1e-6)


def test_attention_of_maps_by_hand() -> None:
    # [-1, 1, 3] is scaled to [0, 1/2, 1], squared [0, 1/4, 1], whose sum is 5/4.
    attention = attention_of_maps(torch.tensor([[[-1.0, 1.0, 3.0]]]), 2.0)
    torch.testing.assert_close(attention, torch.tensor([[[0.0, 0.2, 0.8]]]))


def test_attention_of_maps_does_not_see_their_scale_and_offset() -> None:
    maps = torch.randn(2, 3, 50)
    torch.testing.assert_close(attention_of_maps(7 * maps - 2, 3.0), attention_of_maps(maps, 3.0))


def test_a_flat_map_attends_evenly_and_has_a_gradient() -> None:
    maps = torch.full((1, 1, 4), 3.0, requires_grad=True)
    attention = attention_of_maps(maps, 2.0)
    torch.testing.assert_close(attention, torch.full((1, 1, 4), 0.25))
    attention.pow(2).sum().backward()
    assert torch.isfinite(maps.grad).all()


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("matched", [False, True])
def test_local_tokens_against_numpy(tokens: np.ndarray, patches: np.ndarray, centred: bool, matched: bool) -> None:
    attention = numpy_softmax_attention(tokens, patches)
    expected = np.zeros_like(tokens)
    for image in range(BATCH):
        mean = patches[image].mean(axis=0) if centred else 0.0
        for name in range(CLASSES):
            local = sum(attention[image, name, patch] * (patches[image, patch] - mean) for patch in range(PATCHES))
            if matched:
                local *= np.linalg.norm(tokens[image, name]) / np.linalg.norm(local)
            expected[image, name] = local
    ours = local_tokens(*map(torch.from_numpy, (attention, tokens, patches)), centred=centred, matched=matched)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_class_whose_patches_are_alike_gets_them_as_its_context() -> None:
    """Two objects and ground, each of equal patches: a class that sees one of them finds that one, and nothing else."""
    objects, ground = torch.eye(4)[:2], torch.eye(4)[2]
    patches = torch.stack([*objects[[0, 0, 1, 1, 1]], *ground.expand(3, 4)])[None]
    tokens = 5 * objects[None]
    attention = attention_of_maps(correlate(tokens, patches), 2.0)
    torch.testing.assert_close(attention[0, 0], torch.tensor([0.5, 0.5, 0, 0, 0, 0, 0, 0]))
    plain = local_tokens(attention, tokens, patches, centred=False, matched=False)
    torch.testing.assert_close(plain, objects[None])
    context = local_tokens(attention, tokens, patches, centred=True, matched=True)
    torch.testing.assert_close(context.norm(dim=-1), torch.full((1, 2), 5.0))
    maps = correlate(context, patches)
    assert (maps[0, 0, :2] > 0).all()
    assert (maps[0, 0, 2:] < 0).all()
    assert (maps[0, 1, 2:5] > 0).all()


def test_entropy_of_even_attention_is_one_and_of_a_single_patch_zero() -> None:
    assert entropy_share(torch.full((2, 3, 8), 1 / 8)).item() == pytest.approx(1)
    assert entropy_share(torch.eye(8)[None]).item() == pytest.approx(0)
    # Two of four patches: log 2 / log 4.
    assert entropy_share(torch.tensor([[[0.5, 0.5, 0.0, 0.0]]])).item() == pytest.approx(0.5)


def test_representations_are_local_tokens_and_their_weighted_sum_with_the_class_tokens(tokens: np.ndarray) -> None:
    pair = torch.from_numpy(tokens), torch.from_numpy(tokens[::-1].copy())
    np.testing.assert_array_equal(combine(*pair, representation="local", weight=0.5), pair[1])
    np.testing.assert_allclose(combine(*pair, representation="global_local", weight=0.5), tokens + 0.5 * tokens[::-1])


def test_maps_are_products_over_the_root_of_the_width(tokens: np.ndarray, patches: np.ndarray) -> None:
    product = np.einsum("bcd,bnd->bcn", tokens, patches) / 2  # sqrt of a width of 4
    ours = correlate(torch.from_numpy(tokens), torch.from_numpy(patches))
    np.testing.assert_allclose(ours, product, rtol=1e-5, atol=1e-6)


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
