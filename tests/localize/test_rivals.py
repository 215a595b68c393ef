"""Rival localizers: their maps and losses against their papers' equations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from stages.localize.attention import Attention
from stages.localize.tokens import class_token_contrast, global_weighted_ranking_pooling
from stages.settings import LocalizeSettings, MapSettings

LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
NO_EMBEDDING = torch.zeros(2, 0)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(3))


def margin(scores: torch.Tensor) -> torch.Tensor:
    """Multi-label soft margin: the mean over classes and images of binary cross-entropies."""
    return F.binary_cross_entropy_with_logits(scores, LABELS)


def test_cam_is_the_weighted_sum_of_features_and_its_mean_the_score(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer("cnn", method="cam", backbone={"strides": (16,)})
    features = localizer.pyramid(images)
    weights = localizer.classifier.weight[:, :, 0, 0]
    maps = torch.einsum("kc,bchw->bkhw", weights, features)
    located = localizer.locate(images, MapSettings())
    torch.testing.assert_close(located.maps, maps.clamp(min=0), atol=1e-5, rtol=1e-4)
    # Zhou's way round: pool the features, then classify.
    torch.testing.assert_close(located.scores, features.mean(dim=(2, 3)) @ weights.T, atol=1e-5, rtol=1e-4)
    losses = localizer.losses(images, LABELS, NO_EMBEDDING)
    torch.testing.assert_close(losses["loss_maps"], margin(located.scores))


def test_a_cams_cnn_learns_at_its_own_rate(make_localizer) -> None:
    assert make_localizer("cnn", method="cam", backbone={"rate": 0.2}).learning_rates() == {"pyramid.cnn": 0.2}
    assert make_localizer("cnn", method="cam", backbone={"frozen": True}).learning_rates() == {}


def test_a_frozen_cnn_of_a_cam_does_not_learn(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer("cnn", method="cam", backbone={"frozen": True}).train()
    sum(localizer.losses(images, LABELS, NO_EMBEDDING).values()).backward()
    learned = [name for name, own in localizer.named_parameters() if own.grad is not None]
    assert "classifier.weight" in learned
    assert not any(".cnn." in name for name in learned)


def test_ts_cam_couples_meaning_and_attention_of_all_blocks(make_localizer, images: torch.Tensor) -> None:
    localizer = make_localizer("vit", method="ts_cam")
    semantic, attended, _ = localizer(images, attention=Attention(2))
    located = localizer.locate(images, MapSettings(attention_blocks=1))  # the method's own number of blocks stands
    expected = semantic.clamp(min=0) * attended.class_attention.view(2, 1, 4, 6)
    torch.testing.assert_close(located.maps, expected)
    losses = localizer.losses(images, LABELS, NO_EMBEDDING)
    torch.testing.assert_close(losses["loss_maps"], margin(semantic.mean(dim=(2, 3))))


@pytest.mark.parametrize("affinity", [False, True])
@pytest.mark.parametrize("version", ["v2", "plus"])
def test_mctformer_fuses_attention_and_patch_maps(
    make_localizer, images: torch.Tensor, version: str, affinity: bool
) -> None:
    localizer = make_localizer("vit", method="mctformer", version=version)
    maps, _, attended = localizer(images, attention=Attention(1, 2))
    expected = maps.clamp(min=0).flatten(2) * attended.class_attention
    if version == "plus":
        expected = expected**0.5
    if affinity:
        expected = torch.einsum("bcn,bmn->bcm", expected, attended.patch_attention)
    located = localizer.locate(images, MapSettings(attention_blocks=1, affinity_blocks=2, patch_affinity=affinity))
    torch.testing.assert_close(located.maps.flatten(2), expected)


@pytest.mark.parametrize(("version", "blocks"), [("v2", 3), ("plus", 4)])
def test_mctformer_takes_its_own_number_of_blocks(
    make_localizer, images: torch.Tensor, version: str, blocks: int
) -> None:
    localizer = make_localizer("vit", method="mctformer", version=version, backbone={"tokens_from_block": 8})
    located = localizer.locate(images, MapSettings())
    _, _, attended = localizer(images, attention=Attention(blocks))
    torch.testing.assert_close(located.kinds["class attention"].flatten(2), attended.class_attention)


@pytest.mark.parametrize("version", ["v2", "plus"])
def test_mctformer_losses(make_localizer, images: torch.Tensor, version: str) -> None:
    localizer = make_localizer(
        "vit", method="mctformer", version=version, contrast_weight=0.5, pooling_decay=0.9
    ).train()
    maps, class_scores, attended = localizer(images)
    losses = localizer.losses(images, LABELS, NO_EMBEDDING)
    torch.testing.assert_close(losses["loss_class_tokens"], margin(class_scores))
    torch.testing.assert_close(class_scores, attended.class_tokens.mean(dim=-1))
    pooled = maps.mean(dim=(2, 3))
    if version == "plus":
        pooled = global_weighted_ranking_pooling(maps.flatten(2), 0.9)
        torch.testing.assert_close(losses["loss_contrast"], 0.5 * class_token_contrast(attended.each_block, LABELS))
    torch.testing.assert_close(losses["loss_patch_maps"], margin(pooled))
    assert ("loss_contrast" in losses) == (version == "plus")


def test_contrast_of_class_tokens_by_hand() -> None:
    # Orthogonal tokens of any length: each row of cosines is (1, 0, 0), so the loss is log(e + 2) - 1.
    tokens = 5 * torch.eye(3)[None, None]
    assert class_token_contrast(tokens, torch.ones(1, 3)).item() == pytest.approx(np.log(np.e + 2) - 1)
    # Equal tokens cannot be told apart: log 3.
    assert class_token_contrast(torch.ones(2, 4, 3, 7), torch.ones(4, 3)).item() == pytest.approx(np.log(3))


def test_contrast_is_of_an_images_own_classes() -> None:
    # Tokens 0 and 1 are alike, 2 is orthogonal: rows of cosines (1, 1, 0), (1, 1, 0), (0, 0, 1).
    tokens = torch.eye(3)[[0, 0, 2]].expand(2, 3, 3, 3)
    alike, apart = np.log(2 * np.e + 1) - 1, np.log(np.e + 2) - 1
    labels = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    # Each image counts once, however many classes it has; one without tags has none to keep apart and does not count.
    expected = (alike + (alike + apart) / 2) / 2
    assert class_token_contrast(tokens, labels).item() == pytest.approx(expected)
    assert class_token_contrast(tokens, torch.zeros(3, 3)).item() == 0


@pytest.mark.parametrize(("method", "kind"), [("cam", "vit"), ("mmcst", "cnn"), ("ts_cam", "cnn")])
def test_a_backbone_that_does_not_fit_the_method_is_refused(method: str, kind: str) -> None:
    with pytest.raises(ValidationError, match=r"method '\w+' needs backbone.kind"):
        LocalizeSettings.model_validate({"method": {"kind": method}, "backbone": {"kind": kind}})


def test_views_of_a_learning_cnn_are_refused() -> None:
    with pytest.raises(ValidationError, match="set `frozen: true` or `views: 0`"):
        LocalizeSettings.model_validate({"method": {"kind": "cam"}, "backbone": {"kind": "cnn", "views": 2}})
