"""Doubts of masks whose reasons can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.errors import DataError
from stages.evaluate.doubt import doubt_image, doubt_mask, second_crf
from stages.evaluate.doubt_table import Reasons
from stages.images import write_mask
from stages.refine.pseudo_masks import ImageScores
from stages.settings import CRF_SETS, CrfSettings

NO_CRF = CrfSettings(iterations=0)


def mask_of(*values: int) -> np.ndarray:
    return np.array([values], dtype=np.uint8)


def shares_of(*channels: list[float]) -> np.ndarray:
    """Probabilities of background and classes at the pixels of one row."""
    return np.array(channels, dtype=np.float32)[:, None]


def test_where_all_agree_there_is_no_doubt() -> None:
    mask = mask_of(0, 3, 3, 0)
    whole, (own,) = doubt_mask(mask, mask, shares_of([1, 0, 0, 1], [0, 1, 1, 0]), [2])
    assert whole == own == Reasons(0, 0, 0)
    assert whole.doubt == 0


def test_where_nothing_agrees_and_labels_are_hardly_decided_the_doubt_is_whole() -> None:
    shares = shares_of([0.5, 0.5, 0.499, 0.499], [0.499, 0.499, 0.5, 0.5])
    whole, (own,) = doubt_mask(mask_of(1, 1, 0, 0), mask_of(0, 0, 1, 1), shares, [0])
    assert whole == own
    assert (whole.crf, whole.segmenter) == (1, 1)
    assert whole.margin == pytest.approx(0.999, abs=1e-6)
    assert whole.doubt == pytest.approx(1, abs=1e-3)


def test_each_reason_by_hand() -> None:
    # The weaker CRF gives the class three pixels. In the mask's two, the labels differ by 0.75 - 0.25 and by 1 - 0.
    shares = shares_of([0.25, 0, 0.4, 1], [0.75, 1, 0.6, 0])
    whole, _ = doubt_mask(mask_of(1, 1, 0, 0), mask_of(0, 1, 1, 1), shares, [0])
    assert whole.crf == pytest.approx(1 - 2 / 3)
    assert whole.segmenter == pytest.approx(1 - 1 / 4)
    assert whole.margin == pytest.approx(0.25)


def test_an_image_has_the_mean_of_its_classes() -> None:
    mask = mask_of(1, 1, 2, 2)
    shares = shares_of([0] * 4, [1, 1, 0, 0], [0, 0, 1, 1])
    whole, (first, second) = doubt_mask(mask, mask_of(1, 1, 0, 0), shares, [0, 1])
    assert first == Reasons(0, 0, 0)
    assert second == Reasons(0, 1, 0)
    assert whole == Reasons(0, 0.5, 0)


def test_a_tag_that_no_mask_shows_is_doubted_wholly() -> None:
    mask = mask_of(0, 0, 0, 0)
    whole, _ = doubt_mask(mask, mask, shares_of([1] * 4, [0] * 4), [0])
    assert whole == Reasons(1, 1, 1)


def test_without_tags_only_what_the_segmenter_finds_is_a_reason() -> None:
    empty, shares = mask_of(0, 0, 0, 0), shares_of([1] * 4)
    assert doubt_mask(empty, empty, shares, []) == (Reasons(0, 0, 0), [])
    assert doubt_mask(empty, mask_of(0, 2, 1, 1), shares, []) == (Reasons(0, 0.75, 0), [])


def test_the_better_mask_of_known_ones_is_doubted_less() -> None:
    """The larger the part of a square that the segmenter does not find, the greater the doubt."""
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[5:15, 5:15] = 1
    shares = np.stack([1.0 - mask, mask]).astype(np.float32)
    doubts = [doubt_mask(mask, np.roll(mask, shift, axis=1), shares, [0])[0].doubt for shift in range(6)]
    assert doubts == sorted(doubts)
    assert doubts[0] == 0
    assert len(set(doubts)) == 6


def test_the_second_crf_is_weaker_and_otherwise_the_same() -> None:
    first = CRF_SETS["psa"]
    second = second_crf(first)
    assert 0 < second.bilateral_weight < first.bilateral_weight
    assert 0 < second.gaussian_weight < first.gaussian_weight
    same = ("iterations", "bilateral_position", "bilateral_colour", "gaussian_position")
    assert all(getattr(second, name) == getattr(first, name) for name in same)
    assert second_crf(NO_CRF) == CRF_SETS["irn"]


@pytest.fixture
def square(tmp_path: Path) -> tuple[Path, ImageScores, np.ndarray]:
    """A photo of a bright square, scores that show it, and its mask."""
    mask = np.zeros((24, 32), dtype=np.uint8)
    mask[8:16, 8:24] = 1
    Image.fromarray(np.where(mask[..., None], 220, 40).repeat(3, axis=2).astype(np.uint8)).save(tmp_path / "a.png")
    scores = np.stack([np.full(mask.shape, 0.4), 0.9 * mask]).astype(np.float32)
    return tmp_path / "a.png", ImageScores("a", (scores,), (0,), mask.shape, mask.shape), mask


def test_a_clear_photo_is_hardly_doubted_and_a_shifted_mask_is(
    square: tuple[Path, ImageScores, np.ndarray], tmp_path: Path
) -> None:
    photo, image, mask = square
    files = {name: tmp_path / f"{name}-mask.png" for name in ("right", "shifted")}
    write_mask(files["right"], mask)
    write_mask(files["shifted"], np.roll(mask, 8, axis=1))
    crf = CrfSettings(bilateral_colour=20, bilateral_position=10)
    right = doubt_image(photo, image, ["square"], crf, files["right"], files["right"])
    assert right.id == "a"
    assert list(right.classes) == ["square"]
    assert right.whole.crf == right.whole.segmenter == 0
    # Before the CRF, shares of 0.4 / 1.3 and 0.9 / 1.3 are close by 1 - 0.5 / 1.3; it makes them surer.
    assert 0 < right.whole.margin < 1 - 0.5 / 1.3
    shifted = doubt_image(photo, image, ["square"], crf, files["shifted"], files["right"])
    # A square of 16 columns shifted by 8: 8 of 24 columns are in both.
    assert shifted.whole.crf == shifted.whole.segmenter == pytest.approx(2 / 3)


def test_masks_are_compared_at_the_size_at_which_they_were_made(
    square: tuple[Path, ImageScores, np.ndarray], tmp_path: Path
) -> None:
    photo, image, mask = square
    with Image.open(photo) as picture:
        picture.resize((128, 96), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    write_mask(tmp_path / "large-mask.png", mask.repeat(4, axis=0).repeat(4, axis=1))
    large = ImageScores("a", image.scores, (0,), (96, 128), (24, 32), working=(24, 32))
    crf = CrfSettings(bilateral_colour=20, bilateral_position=10)
    files = [tmp_path / "large-mask.png"] * 2
    found = doubt_image(tmp_path / "large.png", large, ["square"], crf, *files)
    assert found.whole.segmenter == 0
    assert found.whole.crf < 0.05


def test_a_mask_of_another_size_is_refused(square: tuple[Path, ImageScores, np.ndarray], tmp_path: Path) -> None:
    photo, image, mask = square
    write_mask(tmp_path / "mask.png", mask[:-1])
    with pytest.raises(DataError, match=r"mask\.png: mask is \(23, 32\)"):
        doubt_image(photo, image, ["square"], NO_CRF, tmp_path / "mask.png", tmp_path / "mask.png")
