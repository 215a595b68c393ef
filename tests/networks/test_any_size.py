"""Images filled up for CNNs that run on sides of one kind, and maps cut back."""

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor

from stages.networks.any_size import Filling, needed_filling
from stages.networks.pyramid import Pyramid

STRIDES = (2, 4)


def cnn(runs: Callable[[int, int], bool]) -> Callable[[Tensor], list[Tensor]]:
    """Feature maps by subsampling, of images whose sides are of a kind."""

    def forward(images: Tensor) -> list[Tensor]:
        if not runs(*images.shape[-2:]):
            raise RuntimeError("sizes do not match")
        return [images[..., ::stride, ::stride] for stride in STRIDES]

    return forward


@pytest.mark.parametrize(
    ("runs", "filling"),
    [
        (lambda rows, columns: True, Filling()),
        (lambda rows, columns: rows % 4 == 0 and columns % 4 == 0, Filling(4, 4)),
        (lambda rows, columns: min(rows, columns) >= 7, Filling(1, 8)),
        (lambda rows, columns: rows % 4 == 0 and columns % 4 == 0 and min(rows, columns) > 4, Filling(4, 8)),
        (lambda rows, columns: (rows, columns) == (224, 224), Filling()),  # no filling helps; its own error is clearer
    ],
)
def test_what_a_cnn_needs_is_found_by_running_it(runs: Callable[[int, int], bool], filling: Filling) -> None:
    assert needed_filling(cnn(runs), STRIDES) == filling


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (8, 12), (375, 500)])
def test_maps_of_filled_images_are_those_of_the_images(size: tuple[int, int]) -> None:
    images = torch.arange(3 * size[0] * size[1]).float().reshape(1, 3, *size)
    filled = Filling(4, 8).fill(images)
    assert all(side % 4 == 0 and side >= 8 for side in filled.shape[-2:])
    maps = Filling(4, 8).cut([filled[..., ::stride, ::stride] for stride in STRIDES], STRIDES, size)
    for own, stride in zip(maps, STRIDES, strict=True):
        torch.testing.assert_close(own, images[..., ::stride, ::stride], rtol=0, atol=0)


def test_images_of_the_kind_are_left_as_they_are() -> None:
    images = torch.zeros(1, 3, 8, 12)
    assert Filling(1, 8).fill(images) is images
    torch.testing.assert_close(Filling(4, 8).fill(images), images, rtol=0, atol=0)


def test_a_localizers_cnn_runs_on_patches_of_its_first_stride_alone() -> None:
    # 80 = 5 x 16 is no multiple of 32, where HRNet's maps of two strides would not fit each other.
    torch.manual_seed(0)
    weights = timm.create_model("hrnet_w18_small").state_dict()
    pyramid = Pyramid("hrnet_w18_small", [16, 32], output_stride=32, frozen=True, dropout=0.0, weights=weights)
    assert pyramid.filling == Filling(32, 32)
    levels = pyramid.eval().features(torch.zeros(1, 3, 80, 112))
    assert [tuple(level.shape[-2:]) for level in levels] == [(5, 7), (3, 4)]
