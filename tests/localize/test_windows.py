"""Windows over an image: where they lie, and means over those that cover a cell."""

import pytest
import torch

from stages.errors import SettingsError
from stages.localize.windows import Windows, window_starts, windows_of


@pytest.mark.parametrize("length", range(1, 40))
def test_every_patch_is_covered_and_no_window_leaves_the_side(length: int) -> None:
    for side in (1, 4, 7):
        for step in range(1, side + 1):
            starts = window_starts(length, side, step)
            assert starts == sorted(set(starts))
            assert {place for start in starts for place in range(start, start + min(side, length))} == set(
                range(length)
            )
            # SCLIP's number of windows.
            assert len(starts) == max(length - side + step - 1, 0) // step + 1


def pixel_mean(windows: torch.Tensor) -> torch.Tensor:
    """Each patch of 2 x 2 pixels gets the mean of its whole window, so that a cell shows which windows cover it."""
    mean = windows.mean(dim=(1, 2, 3))
    size = (windows.shape[-2] // 2, windows.shape[-1] // 2)
    return mean[:, None, None, None].expand(-1, 2, *size)


def test_the_mean_over_windows_by_hand() -> None:
    # One row of four patches of 2 x 2 pixels, worth 1, 2, 4 and 8; windows of two patches, one apart: means 1.5, 3, 6.
    values = torch.tensor([1.0, 2.0, 4.0, 8.0]).repeat_interleave(2)
    images = torch.stack((values, 10 * values)).view(2, 1, 1, 8).expand(2, 3, 2, 8)
    found = Windows(2, 1).mean_over(images, 2, pixel_mean)
    expected = torch.tensor([1.5, (1.5 + 3) / 2, (3 + 6) / 2, 6])
    assert found.shape == (2, 2, 1, 4)
    for channel in range(2):
        torch.testing.assert_close(found[:, channel, 0], torch.stack((expected, 10 * expected)))


def test_the_last_window_moves_back_to_the_border() -> None:
    values = torch.tensor([1.0, 2.0, 4.0]).repeat_interleave(2)
    images = values.view(1, 1, 1, 6).expand(1, 3, 2, 6)
    found = Windows(2, 2).mean_over(images, 2, pixel_mean)  # patches 0 and 1, then 1 and 2
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.5, (1.5 + 3) / 2, 3]))


def test_what_agrees_between_windows_stays(images_seen: list[int]) -> None:
    """Local values are the same in every window; several windows run at once, no more than fit the image's pixels."""
    images = torch.randn(3, 3, 16, 24)

    def local(windows: torch.Tensor) -> torch.Tensor:
        images_seen.append(len(windows))
        return torch.nn.functional.avg_pool2d(windows, 2)

    found = Windows(3, 2).mean_over(images, 2, local)
    torch.testing.assert_close(found, torch.nn.functional.avg_pool2d(images, 2))
    places = len(Windows(3, 2).places(8, 12))
    assert sum(images_seen) == 3 * places
    assert max(images_seen) == 3 * (8 * 12 // 9)


@pytest.fixture
def images_seen() -> list[int]:
    return []


def test_finer_cells_divide_patches() -> None:
    """What is found on another grid is resized to the window's cells."""
    images = torch.randn(1, 3, 8, 8)
    found = Windows(2, 2, cells=3).mean_over(images, 2, lambda own: own.mean(dim=(2, 3), keepdim=True))
    assert found.shape == (1, 3, 12, 12)
    quarters = torch.nn.functional.avg_pool2d(images, 4).repeat_interleave(6, dim=2).repeat_interleave(6, dim=3)
    torch.testing.assert_close(found, quarters)


def test_windows_in_pixels_begin_and_end_with_patches() -> None:
    assert windows_of(224, 112, 16, cells=2, place="localize.method") == Windows(14, 7, 2)
    assert windows_of(224, None, 16, cells=1, place="localize.method") == Windows(14, 7)
    with pytest.raises(SettingsError, match="localize.method.step: 112 is no multiple of the 32 pixels .*; set 128"):
        windows_of(224, 112, 32, cells=1, place="localize.method")
    with pytest.raises(SettingsError, match="localize.method.window: 20 is no multiple of the 16 pixels .*; set 16"):
        windows_of(20, 16, 16, cells=1, place="localize.method")
    with pytest.raises(SettingsError, match="localize.method.step: 8 is no multiple of the 16 pixels .*; set 16"):
        windows_of(16, None, 16, cells=1, place="localize.method")
