"""Encoders: the start of the hybrid one, and the norm after the last block."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from stages.localize.objective import LocalizerObjective
from stages.localize.training import optimizer_settings
from stages.settings import LocalizerTraining
from tests.localize.conftest import HYBRID


def test_the_reduction_keeps_lengths_and_angles(make_localizer) -> None:
    weight = make_localizer().encoder.reduce.weight.detach().flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(HYBRID["width"]), atol=1e-5, rtol=0)


def test_positions_are_a_fifth_of_sines_and_cosines(make_localizer) -> None:
    position = make_localizer().encoder.position
    assert position.abs().max().item() == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize("kind", ["vit", "hybrid"])
def test_tokens_are_raw_unless_a_last_norm_is_asked_for(make_localizer, kind: str) -> None:
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(5))
    raw, normed = (
        make_localizer(kind, backbone={"last_norm": norm}, representation="global") for norm in (False, True)
    )
    assert sum("encoder.norm." in name for name in raw.state_dict()) == 0
    lengths = {name: own(images).visual.tokens.norm(dim=-1) for name, own in (("raw", raw), ("normed", normed))}
    assert lengths["normed"].std() < 0.2 * lengths["normed"].mean()
    # A norm brings every token to the root of its width.
    assert lengths["normed"].mean().item() == pytest.approx(normed.encoder.width**0.5, rel=0.05)
    assert lengths["raw"].mean().item() < 0.5 * normed.encoder.width**0.5


def test_every_parameter_learns_at_one_rate(make_localizer) -> None:
    objective = LocalizerObjective(make_localizer())
    wrapper = build_optim_wrapper(objective, optimizer_settings(objective, LocalizerTraining(learning_rate=0.02)))
    assert {group["lr"] for group in wrapper.param_groups} == {0.02}
