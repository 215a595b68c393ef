"""Walks between maps and CRF: grids, padding and backgrounds, with affinities whose result is known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from stages.errors import SettingsError
from stages.localize.checkpoint import FORMAT, build_localizer, save_localizer
from stages.refine.background import Background
from stages.refine.scoring import stay
from stages.refine.walkers import AttentionWalker, FeaturesWalker, build_walker, pad_to
from stages.settings import FeaturesAffinity, LocalizeSettings, RefineSettings
from stages.shards import ImageMaps

SIZE = (64, 96)
GRID = (4, 6)
SETTINGS = RefineSettings.model_validate({"affinity": {"kind": "attention"}, "walk": {"beta": 1, "doublings": 0}})
BACKGROUNDS = [Background(SETTINGS, 0.3)]


class Attending(torch.nn.Module):
    """A localizer of which the walk needs its patch attention alone, [N, N]."""

    stride = 16
    statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def __init__(self, attention: torch.Tensor) -> None:
        super().__init__()
        self.settings = LocalizeSettings.model_validate({"maps": {"size": 64}})
        self.attention = attention

    def forward(self, images: torch.Tensor, *, attention: object) -> SimpleNamespace:
        assert images.shape == (1, 3, *SIZE)
        return SimpleNamespace(grid=GRID, patch_attention=self.attention[None])


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, ImageMaps]:
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.png")
    maps = np.random.default_rng(0).random((2, SIZE[0] // 4, SIZE[1] // 4)).astype(np.float32)
    return tmp_path / "a.png", ImageMaps("a", maps, np.array([4, 1]), SIZE)


def walked(attention: torch.Tensor, image: tuple[Path, ImageMaps]) -> np.ndarray:
    walker = AttentionWalker(Attending(attention), SETTINGS, torch.device("cpu"))  # type: ignore[arg-type]
    result = walker(*image, BACKGROUNDS)
    assert (result.classes, result.size, result.extent) == ((4, 1), SIZE, SIZE)
    (scores,) = result.scores
    return scores


def block_means(maps: np.ndarray) -> np.ndarray:
    """Means of the 4 x 4 stored values under each patch."""
    return maps.reshape(2, GRID[0], 4, GRID[1], 4).mean(axis=(2, 4))


def test_attention_to_oneself_moves_nothing(image: tuple[Path, ImageMaps]) -> None:
    scores = walked(torch.eye(24), image)
    assert scores.shape == (3, *GRID)
    np.testing.assert_allclose(scores[0], 0.3, rtol=1e-6)
    np.testing.assert_allclose(scores[1:], block_means(image[1].maps), rtol=1e-5)


def test_even_attention_leaves_the_mean(image: tuple[Path, ImageMaps]) -> None:
    scores = walked(torch.full((24, 24), 0.01), image)  # a row's sum does not matter
    means = image[1].maps.mean(axis=(1, 2))
    np.testing.assert_allclose(scores[1:], np.broadcast_to(means[:, None, None], (2, *GRID)), rtol=1e-5)


def test_a_patch_takes_the_scores_of_what_it_attends_to(image: tuple[Path, ImageMaps]) -> None:
    attention = torch.zeros(24, 24)
    attention[:, 7] = 1  # all look at the patch in row 1, column 1
    scores = walked(attention, image)
    expected = block_means(image[1].maps)[:, 1, 1]
    np.testing.assert_allclose(scores[1:], np.broadcast_to(expected[:, None, None], (2, *GRID)), rtol=1e-5)


class Showing(torch.nn.Module):
    """A frozen network with known features [D, rows, columns]."""

    stride = 16

    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape == (1, 3, *SIZE)
        assert images.max() <= 1
        return self.features[None]


def walked_by_features(features: torch.Tensor, image: tuple[Path, ImageMaps], **affinity: object) -> np.ndarray:
    walk = {"beta": 3, "doublings": 4}
    given = {"affinity": {"kind": "features", "size": 64, **affinity}, "walk": walk}
    settings = RefineSettings.model_validate(given)
    assert isinstance(settings.affinity, FeaturesAffinity)
    walker = FeaturesWalker(Showing(features), settings, settings.affinity, torch.device("cpu"))  # type: ignore[arg-type]
    (scores,) = walker(*image, BACKGROUNDS).scores
    assert scores.shape == (3, *GRID)
    np.testing.assert_allclose(scores[0], 0.3, rtol=1e-6)
    return scores


def slow_features_walk(features: np.ndarray, nodes: np.ndarray, threshold: float, radius: int | None) -> np.ndarray:
    """2^4 steps along cosines above a threshold, cubed: the power of the whole transition matrix, pair by pair."""
    rows, columns = features.shape[1:]
    places = [(row, column) for row in range(rows) for column in range(columns)]
    weights = np.zeros((len(places), len(places)))
    for i, one in enumerate(places):
        for j, other in enumerate(places):
            apart = np.hypot(one[0] - other[0], one[1] - other[1])
            first, second = features[:, *one], features[:, *other]
            cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
            near = radius is None or apart < radius
            weights[i, j] = max(0.0, (cosine - threshold) / (1 - threshold)) ** 3 if near else 0
    transitions = weights / weights.sum(axis=1, keepdims=True)
    return (np.linalg.matrix_power(transitions, 16) @ nodes.reshape(len(nodes), -1).T).T.reshape(nodes.shape)


@pytest.mark.parametrize("radius", [None, 2, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_features_walk_by_powers_of_the_whole_matrix(
    image: tuple[Path, ImageMaps], radius: int | None, threshold: float
) -> None:
    features = torch.randn(5, *GRID, generator=torch.Generator().manual_seed(4)) + 0.7
    scores = walked_by_features(features, image, radius=radius, threshold=threshold)
    expected = slow_features_walk(features.double().numpy(), block_means(image[1].maps), threshold, radius)
    np.testing.assert_allclose(scores[1:], expected, atol=2e-6)


def test_features_that_are_unlike_move_nothing(image: tuple[Path, ImageMaps]) -> None:
    scores = walked_by_features(torch.eye(24).view(24, *GRID), image)
    np.testing.assert_allclose(scores[1:], block_means(image[1].maps), rtol=1e-5)


def test_scores_spread_over_what_looks_alike_wherever_it_is(image: tuple[Path, ImageMaps]) -> None:
    """The upper left and lower right corner look alike, and so does all else: each gets its own mean."""
    alike = torch.zeros(GRID, dtype=torch.bool)
    alike[:2, :2] = alike[3:, 4:] = True
    scores = walked_by_features(torch.stack((alike, ~alike)).float(), image, radius=None)
    means = block_means(image[1].maps)
    for own, mean in zip(scores[1:], means, strict=True):
        expected = np.where(alike.numpy(), mean[alike.numpy()].mean(), mean[~alike.numpy()].mean())
        np.testing.assert_allclose(own, expected, rtol=1e-5)


def test_features_that_are_0_move_nothing(image: tuple[Path, ImageMaps]) -> None:
    for radius in (None, 3):
        scores = walked_by_features(torch.zeros(4, *GRID), image, radius=radius)
        np.testing.assert_allclose(scores[1:], block_means(image[1].maps), rtol=1e-5)


def test_without_a_walk_the_maps_stay_as_they_are(image: tuple[Path, ImageMaps]) -> None:
    low, high = Background(SETTINGS, 0.2), Background(SETTINGS, 0.6)
    result = stay(*image, [low, high])
    assert len(result.scores) == 2
    for scores, threshold in zip(result.scores, (0.2, 0.6), strict=True):
        np.testing.assert_allclose(scores[0], threshold, rtol=1e-6)
        np.testing.assert_array_equal(scores[1:], image[1].maps)


def test_padding_repeats_the_border_and_maps_without_classes_pass() -> None:
    padded = pad_to(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), (3, 4))
    assert padded.tolist() == [[[1, 2, 2, 2], [3, 4, 4, 4], [3, 4, 4, 4]]]
    assert pad_to(torch.zeros(0, 2, 2), (3, 4)).shape == (0, 3, 4)


def test_a_walk_without_its_file_or_its_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'attention' needs --affinity"):
        build_walker(SETTINGS, None, torch.device("cpu"))
    features = RefineSettings.model_validate({"affinity": {"kind": "features", "model": "test_vit"}})
    with pytest.raises(SettingsError, match="'features' needs --affinity, a trained network, a localizer or weights"):
        build_walker(features, None, torch.device("cpu"))
    with pytest.raises(SettingsError, match="'attention' needs --localize"):
        build_walker(SETTINGS, tmp_path / "localizer.safetensors", torch.device("cpu"))


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("older", [False, True], ids=["now", "with settings of maps, as files were"])
def test_the_walk_is_on_the_grid_of_the_config_that_asks(
    side: int, older: bool, image: tuple[Path, ImageMaps], tmp_path: Path
) -> None:
    backbone = {"kind": "hybrid", "model": "test_efficientnet", "width": 24, "blocks": 1, "heads": 2}
    localizer = build_localizer(
        LocalizeSettings.model_validate({"backbone": backbone}), weights=None, text=torch.randn(5, 16)
    )
    path = tmp_path / "localizer.safetensors"
    save_localizer(path, localizer, list("abcde"))
    with FORMAT.opened(path) as (description, _):
        assert not {"maps", "classes", "class_threshold", "splits"} & set(description["settings"])
        described = description["settings"]
    if older:
        FORMAT.save(path, localizer, description | {"settings": described | {"maps": {"size": 224}}})
    asked = LocalizeSettings.model_validate({"maps": {"size": side}})
    result = build_walker(SETTINGS, path, torch.device("cpu"), asked)(*image, BACKGROUNDS)
    assert result.scores[0].shape == (3, side // 16, side * 3 // 2 // 16)
