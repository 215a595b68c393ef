"""Counts without values are those of a real pass."""

from contextlib import nullcontext

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.full_size import META, Precision, gpu_hours, kept_bytes, kept_per_crop, training_flops
from stages.localize.mmcst import Mmcst
from stages.settings import LocalizeSettings

SMALL = LocalizeSettings.model_validate(
    {"backbone": {"kind": "vit", "model": "vit_tiny_patch16_224"}, "training": {"crop": 64}}
)


def bfloat16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize("precision", [nullcontext, bfloat16])
def test_kept_memory_is_that_of_a_real_pass(precision: Precision) -> None:
    localizer = Mmcst(SMALL, torch.zeros(3, 512), None).train()
    real = kept_bytes(localizer, 3, precision) - kept_bytes(localizer, 1, precision)
    assert kept_per_crop(SMALL, 3, precision) == real // 2


def test_operations_by_hand() -> None:
    """A linear layer of n x m costs 2nm a token forward, twice that backward; attention 4 M^2 D and twice that."""
    with META:
        localizer = Mmcst(SMALL, torch.zeros(3, 512), None).train()
    width, patches, classes = 192, 16, 3
    tokens = patches + 2 * classes
    blocks = 12 * 3 * (2 * 12 * width**2 * tokens + 4 * tokens**2 * width)
    patch_embed = 2 * 2 * (16 * 16 * 3) * width * patches  # its input needs no gradient
    text = 3 * 2 * classes * (512 * width + width * width)
    language = 3 * 2 * width * 512
    local = 2 * 3 * 2 * 2 * classes * patches * width  # two kinds: tokens x patches, weights x patches
    maps = 2 * 3 * 2 * classes * patches * width
    own_classes, contrast = 3 * 2 * classes * width, 2 * 2 * 512
    expected = blocks + patch_embed + text + language + local + maps + own_classes + contrast
    assert training_flops(localizer) == pytest.approx(expected, rel=0.002)


def test_the_counter_counts_two_for_a_multiplication_and_an_addition() -> None:
    with FlopCounterMode(display=False) as counter:
        torch.zeros(3, 5, device=META) @ torch.zeros(5, 7, device=META)
    assert counter.get_total_flops() == 2 * 3 * 5 * 7


def test_hours() -> None:
    assert gpu_hours(3.6e17, 1e14) == pytest.approx(1.0)
