"""The pyramid: a frozen CNN computes in channels-last what it computes in torch's own layout."""

import pytest
import timm
import torch

from stages.networks.pyramid import Pyramid

CNN = "test_efficientnet"
COMMON = {"output_stride": 32, "dropout": 0.0}


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return timm.create_model(CNN).state_dict()


def test_a_frozen_cnn_is_channels_last_and_computes_the_same(weights: dict[str, torch.Tensor]) -> None:
    frozen = Pyramid(CNN, [8, 16], frozen=True, weights=weights, **COMMON).eval()
    learning = Pyramid(CNN, [8, 16], frozen=False, weights=weights, **COMMON).eval()
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    features = frozen.features(images)
    assert all(level.is_contiguous(memory_format=torch.channels_last) for level in features)
    assert all(level.is_contiguous() for level in learning.features(images))
    for own, other in zip(features, learning.features(images), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(frozen(images), learning(images), rtol=1e-5, atol=1e-5)


def test_a_frozen_cnn_gets_no_gradient_and_keeps_its_statistics(weights: dict[str, torch.Tensor]) -> None:
    pyramid = Pyramid(CNN, [8], frozen=True, weights=weights, **COMMON).train()
    before = {name: value.clone() for name, value in pyramid.cnn.state_dict().items()}
    assert not pyramid(torch.randn(2, 3, 32, 32)).requires_grad
    for name, value in pyramid.cnn.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
