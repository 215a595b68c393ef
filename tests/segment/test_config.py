"""The training config: schedule and pipeline."""

import numpy as np
import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmseg.registry import TRANSFORMS
from pydantic import ValidationError

from stages.segment import transforms  # noqa: F401 (registers them)
from stages.segment.config import optimizer, schedule, train_pipeline


def rates(settings) -> list[float]:
    """The learning rate at each step, of a peak of 1, as mmengine's schedulers set it."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [PARAM_SCHEDULERS.build({**scheduler, "optimizer": optimizer}) for scheduler in schedule(settings)]
    taken = []
    for _ in range(settings.iterations):
        taken.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return taken


@pytest.mark.parametrize("warmup", [0, 1])
def test_poly_decay_without_warmup(make_settings, warmup: int) -> None:
    init_default_scope("mmseg")
    settings = make_settings(iterations=10, warmup_iterations=warmup)
    # Peak at the first step after the warm-up, zero at the last: (1 - step / (steps - 1)) ** 0.9.
    expected = [(1 - max(0, step - warmup) / (9 - warmup)) ** 0.9 for step in range(10)]
    assert rates(settings.training) == pytest.approx(expected)


def test_warmup_rises_to_the_peak(make_settings) -> None:
    taken = rates(make_settings(iterations=20, warmup_iterations=5).training)
    assert taken[0] == pytest.approx(0.01)
    assert np.diff(taken[:5]) == pytest.approx([0.2475] * 4)  # from 0.01 to 1 in four equal steps
    assert taken[5] == pytest.approx(1.0)
    assert taken[10] == pytest.approx((9 / 14) ** 0.9)
    with pytest.raises(ValidationError, match="warmup_iterations: 20 must be below"):
        make_settings(iterations=20, warmup_iterations=20)


def test_pipeline_crops_image_and_mask_alike(tiny_set, make_settings) -> None:
    init_default_scope("mmseg")
    results = {
        "img_path": tiny_set.root / "1.jpg",
        "seg_map_path": tiny_set.root / "1.png",
        "seg_fields": [],
    }
    for transform in train_pipeline(make_settings(crop=80, scales=(1.5, 1.5)).training, 2):
        if transform["type"] == "PhotoMetricDistortion":
            continue  # keeps the colours, to be compared with the mask
        results = TRANSFORMS.build(transform)(results)
    image, mask = results["inputs"], results["data_samples"].gt_sem_seg.data[0]
    assert image.shape == (3, 80, 80)
    assert image.dtype == torch.uint8
    red = (image[2] > 150) & (image[0] < 80)  # channels are BGR; JPEG blurs the edge
    assert red[mask == 2].float().mean() > 0.95
    assert red[mask == 0].float().mean() < 0.02
    assert {0, 2} <= set(mask.unique().tolist()) <= {0, 2, 255}


def test_colours_are_changed_only_where_asked(make_settings) -> None:
    kinds = {
        colours: [transform["type"] for transform in train_pipeline(make_settings(colours=colours).training, 2)]
        for colours in (True, False)
    }
    assert [kind for kind in kinds[True] if kind != "PhotoMetricDistortion"] == kinds[False]
    assert len(kinds[True]) == len(kinds[False]) + 1


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 5e-4), (0.0, 0.0)])
def test_sgd_has_the_momentum_and_the_decay_of_the_settings(make_settings, momentum: float, decay: float) -> None:
    """Two steps by hand: the gradient has the decay's share of the weight, the second step the first's momentum."""
    settings = make_settings(optimizer="sgd", momentum=momentum, weight_decay=decay, learning_rate=0.1)
    options = {name: value for name, value in optimizer(settings.training)["optimizer"].items() if name != "type"}
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    sgd = torch.optim.SGD([weight], **options)
    expected, velocity = 2.0, 0.0
    for _ in range(2):
        weight.grad = torch.tensor([1.0])
        sgd.step()
        velocity = momentum * velocity + 1.0 + decay * expected
        expected -= 0.1 * velocity
    assert weight.item() == pytest.approx(expected)
