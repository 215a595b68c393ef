"""How the localizer is trained: augmentation, rates, clipping, branches left out."""

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from PIL import Image
from pydantic import ValidationError
from timm.layers import DropPath
from torchvision.transforms import v2

from stages.localize.objective import LocalizerObjective
from stages.localize.training import optimizer_settings, schedule
from stages.localize.views import training_transform
from stages.settings import LocalizerTraining

STATISTICS = ((0.5, 0.25, 0.75), (0.25, 0.25, 0.25))
GREY = Image.new("RGB", (100, 80), (128, 64, 191))  # the mean of the statistics: 0 once it is normalised


def rates(settings: LocalizerTraining, steps: int, warmup: int) -> list[list[float]]:
    """The rates at each step of a part with the full rate and one with a tenth, as mmengine's schedulers set them."""
    init_default_scope("mmengine")
    parts = [
        {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": settings.learning_rate * share} for share in (1, 0.1)
    ]
    optimizer = torch.optim.SGD(parts)
    schedulers = [PARAM_SCHEDULERS.build({**one, "optimizer": optimizer}) for one in schedule(settings, steps, warmup)]
    taken = []
    for _ in range(settings.epochs * steps):
        taken.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return taken


def test_the_rate_ends_at_its_floor() -> None:
    settings = LocalizerTraining(epochs=6, learning_rate=6.25e-5, final_rate=1e-5)
    taken = rates(settings, steps=10, warmup=10)
    assert taken[10][0] == pytest.approx(6.25e-5)
    middle = 10 + 50 / 2  # half way down the cosine: the mean of both ends
    assert taken[int(middle)][0] == pytest.approx((6.25e-5 + 1e-5) / 2, rel=0.05)
    assert taken[-1][0] == pytest.approx(1e-5, rel=0.02)
    assert np.allclose([slow / full for full, slow in taken], 0.1)  # a part's share of the rate stays the same
    without = rates(settings.model_copy(update={"final_rate": None}), steps=10, warmup=10)
    assert without[-1][0] == pytest.approx(6.25e-7, rel=0.2)


def test_a_floor_above_the_peak_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"final_rate: 0.01 is above learning_rate \(0.001\).*lower it"):
        LocalizerTraining(learning_rate=1e-3, final_rate=1e-2)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_gradients_are_clipped_only_where_asked(make_localizer, clip: float | None) -> None:
    objective = LocalizerObjective(make_localizer("hybrid"))
    settings = LocalizerTraining(gradient_clip=clip)
    wrapper = build_optim_wrapper(objective, optimizer_settings(objective, settings))
    parameter = objective.localizer.visual_tokens
    (1e6 * parameter.sum()).backward()
    wrapper.step()
    norm = parameter.grad.norm().item()
    assert norm == pytest.approx(0.5 if clip else 1e6 * parameter.numel() ** 0.5)


def test_augmentation_is_off_by_default() -> None:
    crop = training_transform(LocalizerTraining(crop=32), STATISTICS)(GREY)
    assert crop.shape == (3, 32, 32)
    assert crop.abs().max() < 0.01
    steps = [type(step) for step in training_transform(LocalizerTraining(), STATISTICS).transforms]
    assert v2.RandomApply not in steps
    assert v2.RandomErasing not in steps


def test_erasing_puts_noise_into_a_share_of_the_crops() -> None:
    torch.manual_seed(0)
    transform = training_transform(LocalizerTraining(crop=32, erasing=0.25), STATISTICS)
    crops = torch.stack([transform(GREY) for _ in range(400)])
    erased = (crops.abs() > 0.01).any(dim=1)  # [crops, rows, columns]
    share = erased.flatten(1).any(dim=1).float().mean().item()
    assert share == pytest.approx(0.25, abs=0.07)
    noise = crops.movedim(1, -1)[erased]
    assert noise.std().item() == pytest.approx(1, abs=0.05)  # in units of the normalised image
    areas = erased.flatten(1).float().mean(dim=1)
    assert areas[areas > 0].min() > 0.01
    assert areas.max() < 0.36


def test_randaugment_has_the_strength_and_the_odds_of_timm() -> None:
    """timm's m9 of 10 shears by 9 / 10 of 0.3, and makes each of two draws half the time."""
    settings = LocalizerTraining(crop=32, randaugment=9, interpolation="bicubic")
    transform = training_transform(settings, STATISTICS)
    changes = [step for step in transform.transforms if isinstance(step, v2.RandomApply)]
    assert [change.p for change in changes] == [0.5, 0.5]
    augment = changes[0].transforms[0]
    assert augment.num_ops == 1
    shears, _ = augment._AUGMENTATION_SPACE["ShearX"]
    assert shears(augment.num_magnitude_bins, 32, 32)[augment.magnitude].item() == pytest.approx(0.27)
    assert transform.transforms[0].interpolation == v2.InterpolationMode.BICUBIC
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    made = [changes[0](noise) for _ in range(300)]
    alike = np.mean([np.array_equal(one, noise) for one in made])
    # Half are left alone, and of the others those that drew the identity or a contrast that is already full.
    assert 0.5 < alike < 0.7


def test_branches_are_left_out_more_often_towards_the_end(make_localizer) -> None:
    localizer = make_localizer("vit", method="ts_cam", backbone={"drop_path": 0.1, "tokens_from_block": 0})
    shares = [
        block.drop_path1.drop_prob if isinstance(block.drop_path1, DropPath) else 0
        for block in localizer.encoder.blocks
    ]
    assert shares == pytest.approx(np.linspace(0, 0.1, 12))


def test_no_branch_of_a_frozen_block_is_left_out(make_localizer) -> None:
    localizer = make_localizer("vit", method="ts_cam", backbone={"drop_path": 0.9, "tokens_from_block": 10}).train()
    images = torch.randn(2, 3, 32, 32)
    first, _ = localizer.encoder.patches(images)
    again, _ = localizer.encoder.patches(images)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert localizer.encoder.blocks.training
    assert not torch.equal(localizer(images)[0], localizer(images)[0])
