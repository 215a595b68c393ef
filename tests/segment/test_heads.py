"""DeepLab's first two decoders, and MCTformer's form of the first."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch.nn.functional import conv2d, relu

from stages.segment import heads  # noqa: F401 (registers them)


def head_of(kind: str, **options):
    init_default_scope("mmseg")
    torch.manual_seed(0)
    config = {"type": kind, "in_channels": 6, "num_classes": 4, "in_index": 0, **options}
    return MODELS.build(config).eval()


def test_summed_pyramid_is_the_sum_of_its_classifiers() -> None:
    head = head_of("SummedASPPHead", dilations=[6, 12, 18, 24], dropout_ratio=0.0)
    features = torch.randn(2, 6, 30, 20)
    expected = sum(
        conv2d(features, branch.weight, branch.bias, padding=rate, dilation=rate)
        for branch, rate in zip(head.branches, (6, 12, 18, 24), strict=True)
    )
    torch.testing.assert_close(head([features]), expected)
    # Four 3 x 3 convolutions from 6 channels to 4 labels, with biases, and nothing else.
    assert sum(parameter.numel() for parameter in head.parameters()) == 4 * (6 * 4 * 9 + 4)


def test_pyramid_starts_with_small_weights() -> None:
    head = head_of("SummedASPPHead", dilations=[6, 12], dropout_ratio=0.0)
    head.init_weights()
    assert head.branches[0].weight.std().item() == pytest.approx(0.01, rel=0.3)


def test_field_of_view_is_that_of_one_atrous_convolution() -> None:
    head = head_of("LargeFOVHead", channels=8, dilation=12, dropout_ratio=0.5, norm_cfg={"type": "BN"})
    features = torch.randn(1, 6, 41, 41, requires_grad=True)
    head([features])[0, :, 20, 20].sum().backward()
    rows, columns = features.grad.abs().sum(dim=(0, 1)).nonzero().T
    assert set(rows.tolist()) == set(columns.tolist()) == {8, 20, 32}  # the middle, and 12 to each side
    weights = 6 * 8 * 9 + 8 * 8 + (8 * 4 + 4) + 2 * 2 * 8  # fc6, fc7, classifier, two batch norms
    assert sum(parameter.numel() for parameter in head.parameters()) == weights


def test_two_atrous_convolutions_with_relu_between() -> None:
    head = head_of("TwoAtrousHead", channels=8, dilation=12, dropout_ratio=0.0)
    features = torch.randn(2, 6, 41, 30)
    hidden = relu(conv2d(features, head.hidden.weight, head.hidden.bias, padding=12, dilation=12))
    expected = conv2d(hidden, head.conv_seg.weight, head.conv_seg.bias, padding=12, dilation=12)
    torch.testing.assert_close(head([features]), expected)
    # Two 3 x 3 convolutions with biases, and no norms: 6 channels to 8, 8 to 4 labels.
    assert sum(parameter.numel() for parameter in head.parameters()) == (6 * 9 + 1) * 8 + (8 * 9 + 1) * 4
    head.init_weights()
    # Glorot's uniform distribution: within the root of 6 / (inputs + outputs), each of the 9 places counted.
    limit = (6 / (9 * (6 + 8))) ** 0.5
    assert 0.9 * limit < head.hidden.weight.abs().max().item() <= limit
