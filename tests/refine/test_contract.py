"""What every walk between maps and CRF holds to, for each kind of `refine.affinity`."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from stages.localize.checkpoint import build_localizer, save_localizer
from stages.refine.affinity_net import AffinityNet, save_affinity
from stages.refine.background import Background
from stages.refine.make_masks import chosen_walker
from stages.refine.pseudo_masks import ImageScores
from stages.refine.scoring import Walker
from stages.settings import FeaturesAffinity, LearnedAffinity, LocalizeSettings, RefineSettings
from stages.shards import ImageMaps

KINDS = [
    model.model_fields["kind"].annotation for model in get_args(RefineSettings.model_fields["affinity"].annotation)
]
KINDS = [get_args(kind)[0] for kind in KINDS]
SIZE = (50, 70)  # no multiple of any stride
LOCALIZER = {
    "backbone": {"kind": "hybrid", "model": "test_efficientnet", "width": 24, "blocks": 1, "heads": 2},
    "maps": {"size": 64},
}
AFFINITY = {"backbone": "test_efficientnet", "strides": [8, 16], "channels": [4, 4], "training": {"crop": 64}}


def write_network(settings: RefineSettings, path: Path) -> None:
    assert isinstance(settings.affinity, LearnedAffinity)
    save_affinity(path, AffinityNet(settings.affinity, None))


def write_localizer(settings: RefineSettings, path: Path) -> None:
    localizer = build_localizer(LocalizeSettings.model_validate(LOCALIZER), weights=None, text=torch.randn(5, 16))
    save_localizer(path, localizer, [f"class {number}" for number in range(5)])


def write_weights(settings: RefineSettings, path: Path) -> None:
    assert isinstance(settings.affinity, FeaturesAffinity)
    save_file(timm.create_model(settings.affinity.model, pretrained=False).state_dict(), path)


# By kind: the settings of a small one, and what writes the file that it walks along, where there is one.
SMALL: Mapping[str, tuple[dict, Callable[[RefineSettings, Path], None] | None]] = {
    "none": ({}, None),
    "learned": (AFFINITY, write_network),
    "attention": ({}, write_localizer),
    "features": ({"model": "test_vit", "size": 64}, write_weights),
}


@pytest.fixture(params=KINDS)
def walker(request: pytest.FixtureRequest, tmp_path: Path) -> Walker:
    kind = request.param
    if kind not in SMALL:
        pytest.fail(f"refine.affinity.kind {kind!r}: say in SMALL of {__file__} how a small one is made")
    changes, write = SMALL[kind]
    settings = RefineSettings.model_validate({"affinity": {"kind": kind, **changes}, "walk": {"doublings": 2}})
    torch.manual_seed(0)
    if write is None:
        return chosen_walker(settings, None)
    write(settings, tmp_path / "affinity.safetensors")
    return chosen_walker(settings, tmp_path / "affinity.safetensors", LocalizeSettings.model_validate(LOCALIZER))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def image_of(*classes: int) -> ImageMaps:
    """Stored maps of an image, a quarter of its size; those of a class are the same whatever the others are."""
    extent = (-(-SIZE[0] // 4), -(-SIZE[1] // 4))
    maps = [np.random.default_rng(number).random(extent).astype(np.float32) for number in classes]
    return ImageMaps("a", np.stack(maps) if maps else np.zeros((0, *extent), np.float32), np.array(classes, int), SIZE)


def walk(walker: Walker, photo: Path, *classes: int) -> ImageScores:
    settings = RefineSettings()
    return walker(photo, image_of(*classes), [Background(settings, 0.25), Background(settings, 0.5)])


def test_scores_of_background_and_the_images_classes(walker: Walker, photo: Path) -> None:
    result = walk(walker, photo, 4, 1)
    assert (result.id, result.classes, result.size) == ("a", (4, 1), SIZE)
    assert all(padded >= side for padded, side in zip(result.extent, SIZE, strict=True))
    assert len(result.scores) == 2
    for scores, threshold in zip(result.scores, (0.25, 0.5), strict=True):
        assert scores.dtype == np.float32
        assert scores.shape == (3, *result.scores[0].shape[1:])
        assert scores.min() >= 0
        assert scores.max() <= 1
        # A walk is a mean of neighbours, so what is equal everywhere stays.
        np.testing.assert_allclose(scores[0], threshold, rtol=1e-5)
    np.testing.assert_allclose(result.scores[0][1:], result.scores[1][1:], rtol=1e-5)


def test_classes_are_exchangeable(walker: Walker, photo: Path) -> None:
    before, after = walk(walker, photo, 0, 2, 3), walk(walker, photo, 3, 0, 2)
    np.testing.assert_allclose(after.scores[0], before.scores[0][[0, 3, 1, 2]], rtol=1e-5)


def test_an_image_without_classes_is_background(walker: Walker, photo: Path) -> None:
    result = walk(walker, photo)
    assert result.classes == ()
    for scores, threshold in zip(result.scores, (0.25, 0.5), strict=True):
        assert len(scores) == 1
        np.testing.assert_allclose(scores, threshold, rtol=1e-5)


def test_a_large_image_is_walked_at_the_size_it_is_labelled_at(walker: Walker, photo: Path) -> None:
    settings, small = RefineSettings(), image_of(4, 1)
    large = dataclasses.replace(small, size=(4 * SIZE[0], 4 * SIZE[1]), working=SIZE)
    with Image.open(photo) as image:
        image.resize((4 * SIZE[1], 4 * SIZE[0]), Image.Resampling.NEAREST).save(photo.with_name("large.png"))
    expected = walker(photo, small, [Background(settings, 0.4)])
    result = walker(photo.with_name("large.png"), large, [Background(settings, 0.4)])
    assert (result.size, result.label_size, result.extent) == (large.size, SIZE, expected.extent)
    assert result.scores[0].shape == expected.scores[0].shape
