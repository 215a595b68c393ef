"""The loss for noisy masks."""

import math

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from stages.segment.losses import BootstrappedCrossEntropyLoss


@pytest.fixture(autouse=True)
def scope() -> None:
    init_default_scope("mmseg")


def test_one_pixel_by_hand() -> None:
    # Probabilities 0.7 and 0.3; the mask says 1, the model finds 0: -(0.8 log 0.3 + 0.2 log 0.7).
    logits = torch.tensor([0.7, 0.3]).log().reshape(1, 2, 1, 1)
    loss = BootstrappedCrossEntropyLoss(kept=0.8)(logits, torch.tensor([[[1]]]))
    assert loss.item() == pytest.approx(-(0.8 * math.log(0.3) + 0.2 * math.log(0.7)))


def test_keeping_all_is_mmsegmentations_loss_with_weights_and_ignored_pixels() -> None:
    logits = torch.randn(2, 3, 5, 4)
    labels = torch.randint(0, 3, (2, 5, 4))
    labels[0, :2] = 255
    plain = MODELS.build({"type": "CrossEntropyLoss", "class_weight": [0.4, 1.0, 2.0]})
    ours = BootstrappedCrossEntropyLoss(kept=1.0, class_weight=[0.4, 1.0, 2.0])
    torch.testing.assert_close(ours(logits, labels, ignore_index=255), plain(logits, labels, ignore_index=255))


@pytest.mark.parametrize("weights", [None, [0.4, 1.0, 1.0]])
def test_masks_of_background_alone_count_whatever_its_weight(weights: list[float] | None) -> None:
    """Two pixels, for which background has the probabilities 1/2 and 1/4; in the second, class 1 is found."""
    logits = torch.tensor([[0.5, 0.3, 0.2], [0.25, 0.45, 0.3]]).log().T.reshape(1, 3, 1, 2)
    labels = torch.zeros(1, 1, 2, dtype=torch.long)
    by_hand = (math.log(2) + math.log(4)) / 2
    plain = MODELS.build({"type": "CrossEntropyLoss", "class_weight": weights})
    assert plain(logits, labels, ignore_index=255).item() == pytest.approx(by_hand)
    kept_all = BootstrappedCrossEntropyLoss(kept=1.0, class_weight=weights)(logits, labels, ignore_index=255)
    assert kept_all.item() == pytest.approx(by_hand)
    found = BootstrappedCrossEntropyLoss(kept=0.5, class_weight=weights)(logits, labels, ignore_index=255).item()
    own = [weight * loss for weight, loss in zip((weights or [1, 1])[:2], (math.log(2), -math.log(0.45)), strict=True)]
    assert found == pytest.approx(0.5 * by_hand + 0.5 * sum(own) / sum((weights or [1, 1])[:2]))


def test_ignored_pixels_have_no_gradient_though_the_model_finds_a_class_there() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[:, :2] = 255
    BootstrappedCrossEntropyLoss(kept=0.5)(logits, labels, ignore_index=255).backward()
    assert torch.equal(logits.grad[:, :, :2], torch.zeros(1, 3, 2, 4))
    assert (logits.grad[:, :, 2:] != 0).any()


def test_a_wrong_label_pulls_less_than_with_cross_entropy() -> None:
    gradients = []
    for kept in (1.0, 0.6):
        logits = torch.tensor([3.0, 0.0]).reshape(1, 2, 1, 1).requires_grad_()
        BootstrappedCrossEntropyLoss(kept=kept)(logits, torch.tensor([[[1]]])).backward()
        gradients.append(logits.grad.abs().sum().item())
    assert gradients[1] < 0.65 * gradients[0]
