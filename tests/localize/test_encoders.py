"""What sets the hybrid encoder's start: reduction, constant part, position, and its own learning rate."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from stages.localize.objective import LocalizerObjective
from stages.localize.training import optimizer_settings
from stages.settings import LocalizerTraining
from tests.localize.conftest import HYBRID

FEATURES = torch.randn(5, 3, 64, 96, generator=torch.Generator().manual_seed(5))


def test_the_reduction_keeps_lengths_and_angles(make_localizer) -> None:
    weight = make_localizer().encoder.reduce.weight.detach().flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(HYBRID["width"]), atol=1e-5, rtol=0)


def test_the_constant_is_the_same_in_every_token(make_localizer) -> None:
    plain, shifted = (make_localizer(backbone={"constant": constant}).encoder for constant in (0.0, 8.0))
    assert torch.count_nonzero(plain.reduce.bias) == 0
    assert shifted.reduce.bias.std().item() == pytest.approx(8, rel=0.3)  # of 48 draws
    shifted.reduce.weight.data = plain.reduce.weight.data
    with torch.no_grad():
        difference = shifted.patches(FEATURES)[0] - plain.patches(FEATURES)[0]
    torch.testing.assert_close(difference, shifted.reduce.bias.detach().expand_as(difference), atol=1e-4, rtol=1e-4)


def test_norms_leave_weak_features_weak_beside_a_constant(make_localizer) -> None:
    """A token of a tenth of the features moves a tenth as far from the constant; alone it is normalised as far."""
    constant = make_localizer(backbone={"constant": 8.0}).encoder.reduce.bias.detach()
    features = torch.randn(48, generator=torch.Generator().manual_seed(6))
    norm = torch.nn.LayerNorm(48)

    def moved(strength: float, beside: torch.Tensor) -> float:
        return (norm(beside + strength * features) - norm(beside)).norm().item()

    assert moved(0.1, constant) / moved(1.0, constant) == pytest.approx(0.1, rel=0.2)
    assert moved(0.1, torch.zeros(48)) / moved(1.0, torch.zeros(48)) == pytest.approx(1, rel=0.01)


def test_the_position_embedding_is_scaled(make_localizer) -> None:
    whole, fifth = (make_localizer(backbone={"position_scale": scale}).encoder.position for scale in (1.0, 0.2))
    torch.testing.assert_close(fifth, 0.2 * whole)
    assert whole.abs().max() > 0.9


@pytest.mark.parametrize("method", ["mmcst", "ts_cam", "mctformer"])
def test_reduction_and_blocks_learn_at_their_own_rate(make_localizer, method: str) -> None:
    localizer = make_localizer(method=method, backbone={"rate": 0.1})
    training = LocalizerTraining(learning_rate=0.02)
    rates = learning_rates(LocalizerObjective(localizer), training)
    slow = {name for name in rates if ".encoder.reduce." in name or ".encoder.blocks." in name}
    assert len(slow) > 10
    assert rates == pytest.approx({name: 0.002 if name in slow else 0.02 for name in rates})


def learning_rates(objective: LocalizerObjective, training: LocalizerTraining) -> dict[str, float]:
    """The rate of each parameter in the optimizer that mmengine builds."""
    wrapper = build_optim_wrapper(objective, optimizer_settings(objective, training))
    of_parameter = {id(p): group["lr"] for group in wrapper.param_groups for p in group["params"]}
    return {name: of_parameter[id(p)] for name, p in objective.named_parameters() if p.requires_grad}


def test_the_learned_scale_starts_as_set(make_localizer) -> None:
    localizer = make_localizer(cosine_scale=50.0)
    assert localizer.visual_correlation.scale.item() == localizer.text_correlation.scale.item() == 50
    assert localizer.visual_correlation.scale.requires_grad


def test_positions_are_interpolated_to_the_image_size_of_the_settings(make_localizer, weight_files) -> None:
    usual = make_localizer("vit", method="ts_cam").encoder
    larger = make_localizer("vit", method="ts_cam", backbone={"image_size": 448}).encoder
    assert usual.position.shape == (1, 1 + 14 * 14, 192)
    assert larger.position.shape == (1, 1 + 28 * 28, 192)
    torch.testing.assert_close(larger.position[:, 0], usual.position[:, 0])  # [CLS] has no place on the grid
    images = torch.randn(1, 3, 448, 448)
    at_start, _ = usual.patches(images)
    torch.testing.assert_close(larger.patches(images)[0], at_start, atol=1e-5, rtol=1e-5)
