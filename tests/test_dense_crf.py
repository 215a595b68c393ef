"""The dense CRF: against mean field over all pairs of pixels, and against pydensecrf."""

import numpy as np
import pydensecrf.densecrf as reference
import pytest
from scipy.ndimage import gaussian_filter

from stages.dense_crf import ImageCrf, dense_crf
from stages.errors import DataError
from stages.settings import CRF_SETS, CrfSettings


def picture(labels, rows, columns, seed):
    """Coloured patches with noise [rows, columns, 3] uint8, and blurred, noisy probabilities of them."""
    random = np.random.default_rng(seed)
    truth = np.stack([gaussian_filter(random.normal(size=(rows, columns)), 6) for _ in range(labels)]).argmax(axis=0)
    colours = random.integers(0, 256, (labels, 3))[truth] + random.integers(-12, 13, (rows, columns, 3))
    scores = [gaussian_filter((truth == label).astype(float), 3) for label in range(labels)]
    scores = np.stack(scores) + 0.2 * random.random((labels, rows, columns))
    return colours.clip(0, 255).astype(np.uint8), (scores / scores.sum(axis=0)).astype(np.float32)


def kernel(*features):
    """exp(-|f_i - f_j|^2 / 2) of all pairs, divided by the root of its sums on both sides."""
    points = np.stack(features, axis=1)
    weights = np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(axis=2))
    norm = 1 / np.sqrt(weights.sum(axis=1))
    return norm[:, None] * weights * norm


def exact(image, probabilities, settings):
    """Mean field as in the paper's algorithm 1, with every pair of pixels."""
    y, x = np.indices(image.shape[:2]).reshape(2, -1)
    colours = image.reshape(-1, 3).T / settings.bilateral_colour
    bilateral = kernel(x / settings.bilateral_position, y / settings.bilateral_position, *colours)
    gaussian = kernel(x / settings.gaussian_position, y / settings.gaussian_position)
    pairwise = settings.bilateral_weight * bilateral + settings.gaussian_weight * gaussian
    plain = np.maximum(probabilities.reshape(len(probabilities), -1), 1e-5)
    inferred = plain / plain.sum(axis=0)
    for _ in range(settings.iterations):
        scores = np.log(plain) + inferred @ pairwise
        inferred = np.exp(scores - scores.max(axis=0))
        inferred /= inferred.sum(axis=0)
    return inferred.reshape(probabilities.shape)


def by_pydensecrf(image, probabilities, settings):
    labels, rows, columns = probabilities.shape
    crf = reference.DenseCRF2D(columns, rows, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(-np.log(np.maximum(probabilities, 1e-5)).reshape(labels, -1)))
    crf.addPairwiseGaussian(sxy=settings.gaussian_position, compat=settings.gaussian_weight)
    crf.addPairwiseBilateral(
        sxy=settings.bilateral_position, srgb=settings.bilateral_colour, rgbim=image, compat=settings.bilateral_weight
    )
    return np.array(crf.inference(settings.iterations)).reshape(probabilities.shape)


@pytest.mark.parametrize("settings", CRF_SETS.values(), ids=CRF_SETS)
@pytest.mark.parametrize("labels", [2, 3, 4])
def test_the_lattice_gives_the_masks_of_all_pairs(labels, settings) -> None:
    image, probabilities = picture(labels, 36, 44, seed=labels)
    ours, truth = dense_crf(image, probabilities, settings), exact(image, probabilities, settings)
    assert (ours.argmax(axis=0) == truth.argmax(axis=0)).mean() > 0.99
    assert (probabilities.argmax(axis=0) != truth.argmax(axis=0)).mean() > 0.01  # there was something to do
    assert np.abs(ours - truth).mean() < 0.01


@pytest.mark.parametrize("settings", CRF_SETS.values(), ids=CRF_SETS)
@pytest.mark.parametrize("labels", [2, 3, 4, 6])
def test_the_probabilities_are_pydensecrfs(labels, settings) -> None:
    image, probabilities = picture(labels, 75, 101, seed=labels)
    expected = by_pydensecrf(image, probabilities, settings)
    np.testing.assert_allclose(dense_crf(image, probabilities, settings), expected, atol=1e-3)
    (mask,) = ImageCrf(image, settings).labels([probabilities])
    assert (mask == expected.argmax(axis=0)).mean() > 0.9995


def test_each_setting_is_pydensecrfs() -> None:
    random = np.random.default_rng(1)
    image = random.integers(0, 256, (24, 30, 3), dtype=np.uint8)
    probabilities = random.dirichlet([1, 1, 1], (24, 30)).transpose(2, 0, 1).astype(np.float32)
    settings = CrfSettings(
        iterations=3,
        bilateral_position=20,
        bilateral_colour=7,
        bilateral_weight=4,
        gaussian_position=2,
        gaussian_weight=5,
    )
    expected = by_pydensecrf(image, probabilities, settings)
    np.testing.assert_allclose(dense_crf(image, probabilities, settings), expected, atol=2e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 11])
@pytest.mark.parametrize("labels", [2, 4])
def test_together_each_gives_what_it_gives_alone(count, labels) -> None:
    image, _ = picture(labels, 20, 30, seed=0)
    random = np.random.default_rng(5)
    several = random.dirichlet(np.ones(labels), (count, 20, 30)).transpose(0, 3, 1, 2).astype(np.float32)
    crf = ImageCrf(image, CRF_SETS["irn"])
    masks = list(crf.labels(iter(several)))
    assert len(masks) == count
    for probabilities, mask in zip(several, masks, strict=True):
        np.testing.assert_array_equal(mask, dense_crf(image, probabilities, CRF_SETS["irn"]).argmax(axis=0))


def test_confident_labels_are_the_most_probable_ones_with_their_probability() -> None:
    image, first = picture(3, 30, 40, seed=6)
    settings = CrfSettings(iterations=3)
    given = [first, first[::-1].copy(), (first + 1 / 3) / 2]
    for (labels, sure), own in zip(ImageCrf(image, settings).confident_labels(given), given, strict=True):
        probabilities = dense_crf(image, own, settings)
        np.testing.assert_array_equal(labels, probabilities.argmax(axis=0))
        np.testing.assert_allclose(sure, probabilities.max(axis=0), atol=1e-4)


def test_dividing_by_the_sum_leaves_the_crf_as_it_is() -> None:
    image, probabilities = picture(2, 40, 50, seed=3)
    plain = probabilities * np.linspace(0.3, 1, 50, dtype=np.float32)
    settings = CrfSettings(iterations=5)
    np.testing.assert_allclose(dense_crf(image, probabilities, settings), dense_crf(image, plain, settings), atol=1e-4)


def test_probabilities_sum_to_one_and_are_the_input_without_iterations() -> None:
    image, probabilities = picture(3, 30, 40, seed=4)
    np.testing.assert_allclose(dense_crf(image, probabilities, CrfSettings()).sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(dense_crf(image, probabilities, CrfSettings(iterations=0)), probabilities, atol=1e-6)


def test_images_of_one_row_and_of_one_colour() -> None:
    for shape in ((1, 1), (1, 40), (40, 1)):
        image = np.full((*shape, 3), 7, dtype=np.uint8)
        probabilities = np.full((2, *shape), 0.5, dtype=np.float32)
        probabilities[0, 0, 0], probabilities[1, 0, 0] = 0.6, 0.4
        # One colour, one weak opinion: all pixels share it.
        assert (dense_crf(image, probabilities, CrfSettings(bilateral_position=1000))[0] > 0.5).all()


def test_a_result_that_is_not_finite_is_an_error() -> None:
    image, probabilities = picture(3, 12, 14, seed=1)
    overflowing = CrfSettings().model_copy(update={"gaussian_weight": 1e39})
    with np.errstate(all="ignore"), pytest.raises(DataError, match="the CRF of an image overflowed"):
        ImageCrf(image, overflowing)(probabilities)
    probabilities[1, 3, 4] = np.nan
    with pytest.raises(DataError, match="check that the maps are finite"):
        list(ImageCrf(image, CrfSettings()).labels([probabilities]))


@pytest.mark.parametrize("weight", ["bilateral_weight", "gaussian_weight"])
@pytest.mark.parametrize("deviation", ["bilateral_position", "bilateral_colour", "gaussian_position"])
def test_the_largest_values_that_settings_allow_leave_results_finite(weight: str, deviation: str) -> None:
    image, probabilities = picture(3, 12, 14, seed=1)
    inferred = dense_crf(image, probabilities, CrfSettings.model_validate({weight: 1e6, deviation: 1e6}))
    np.testing.assert_allclose(inferred.sum(axis=0), 1, rtol=1e-5)
