"""From images to maps: grids, scales, flips, batches, classes, and what is stored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stages.errors import DataError
from stages.index import Record
from stages.localize.batches import (
    Grouping,
    group_by_area,
    group_by_size,
    read_batch,
    resize_to_grid,
    size_on_grid,
    sizes_on_grid,
)
from stages.localize.freeze_map_features import write_map_features
from stages.localize.inference import faster_grouping, make_maps, scale_to_one
from stages.localize.localizer import Localizer
from stages.localize.map_features import MapFeatures
from stages.settings import LocalizeSettings, MapSettings
from stages.shards import ImageMaps
from tests.localize.conftest import CLASSES

CPU = torch.device("cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five noise images: three of one size, two of another."""
    random = np.random.default_rng(0)
    for number, size in enumerate([(70, 100), (70, 100), (100, 70), (70, 100), (100, 70)]):
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def records_of(*tags: tuple[str, ...]) -> list[Record]:
    return [Record(f"im{number}", f"{number}.png", "", own, "val") for number, own in enumerate(tags)]


def maps_of(
    localizer: Localizer, records: list[Record], root: Path, grouping: Grouping | None = None, **settings
) -> dict[str, ImageMaps]:
    whole = LocalizeSettings.model_validate({"backbone": {"kind": "vit"}, **settings})
    found = make_maps(
        records, root, localizer=localizer, classes=CLASSES, settings=whole, device=CPU, grouping=grouping
    )
    return {image.id: image for image in found}


def test_scale_to_one_by_hand() -> None:
    maps = torch.tensor([[[1.0, 3.0], [2.0, 5.0]], [[2.0, 2.0], [2.0, 2.0]]])
    expected = torch.tensor([[[0.0, 0.5], [0.25, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(scale_to_one(maps), expected)


def test_resize_keeps_the_shape_on_the_grid() -> None:
    # 300 x 200 to a shorter side of 64 is 96 x 64, both multiples of 16.
    assert size_on_grid((200, 300), 64, 16) == (64, 96)
    assert resize_to_grid(Image.new("RGB", (300, 200)), 64, 16).size == (96, 64)


def test_images_run_with_those_of_their_size(photos: Path) -> None:
    grids = sizes_on_grid(records_of(*[()] * 5), photos, 16, MapSettings(size=64, scales=(1.0, 1.5)))
    assert grids[0] == ((64, 96), (96, 144))
    assert group_by_size(grids, 2) == [[[0, 1]], [[3]], [[2, 4]]]
    # Both sizes have 24 patches.
    assert group_by_area(grids, 3) == [[[0, 1, 3]], [[2, 4]]]
    assert group_by_area(grids, 4) == [[[0, 1, 3], [2]], [[4]]]


def test_images_far_larger_than_the_smallest_run_in_a_batch_of_their_own() -> None:
    grids = [((16, 16 * columns),) for columns in (10, 13, 12, 11, 20)]
    assert group_by_area(grids, 8) == [[[0], [3], [2]], [[1]], [[4]]]


def test_sizes_are_mixed_on_gpus_by_localizers_that_can(make_localizer) -> None:
    assert faster_grouping(make_localizer("vit"), torch.device("cuda")) is group_by_area
    assert faster_grouping(make_localizer("vit"), CPU) is group_by_size
    assert faster_grouping(make_localizer("cnn", method="cam"), torch.device("cuda")) is group_by_size


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 1.5)])
def test_a_batch_gives_what_each_image_gives_alone(make_localizer, photos: Path, scales: tuple[float, ...]) -> None:
    localizer, records = make_localizer(), records_of(*[CLASSES] * 5)
    alone = maps_of(localizer, records, photos, maps={"size": 64, "scales": scales, "batch_size": 1})
    together = maps_of(localizer, records, photos, maps={"size": 64, "scales": scales, "batch_size": 4})
    assert set(alone) == set(together) == {record.id for record in records}
    for name, image in alone.items():
        np.testing.assert_allclose(together[name].maps, image.maps, atol=1e-3)
        np.testing.assert_allclose(together[name].probabilities, image.probabilities, atol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "hybrid"])
def test_a_batch_of_several_sizes_gives_what_each_image_gives_alone(make_localizer, photos: Path, kind: str) -> None:
    localizer, records = make_localizer(kind), records_of(*[CLASSES] * 5)
    for number, size in enumerate([(64, 96), (70, 107), (96, 72), (64, 96), (80, 80)]):
        Image.effect_noise(size[::-1], 80).convert("RGB").save(photos / f"{number}.png")
    maps = {"size": 64, "scales": (1.0, 1.5), "class_attention": True, "patch_affinity": True}
    alone = maps_of(localizer, records, photos, group_by_size, maps=maps | {"batch_size": 1})
    together = maps_of(localizer, records, photos, group_by_area, maps=maps)
    assert set(alone) == set(together) == {record.id for record in records}
    for name, image in alone.items():
        np.testing.assert_allclose(together[name].maps, image.maps, atol=1e-4)  # scaled to [0, 1]
        np.testing.assert_allclose(together[name].probabilities, image.probabilities, atol=1e-5)


def test_flip_makes_maps_of_a_mirrored_image_mirrored(make_localizer, photos: Path) -> None:
    Image.open(photos / "0.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photos / "1.png")
    maps = maps_of(make_localizer(), records_of(CLASSES, CLASSES), photos, maps={"size": 64, "scales": (1.0, 1.5)})
    np.testing.assert_allclose(maps["im1"].maps, maps["im0"].maps[..., ::-1], atol=1e-3)


def test_only_tagged_classes_are_kept_at_a_quarter_of_the_size(make_localizer, photos: Path) -> None:
    maps = maps_of(make_localizer(), records_of(("coin", "bird"), ()), photos, maps={"size": 64})
    assert maps["im0"].classes.tolist() == [0, 2]
    assert maps["im0"].maps.shape == (2, 18, 25)
    assert maps["im0"].size == (70, 100)
    assert maps["im0"].maps.max() == 1
    assert maps["im1"].maps.shape == (0, 18, 25)


def test_probabilities_are_those_of_the_mean_logit(make_localizer, photos: Path) -> None:
    localizer = make_localizer()
    found = maps_of(localizer, records_of(()), photos, maps={"size": 64, "flip": False})["im0"]
    image = resize_to_grid(Image.open(photos / "0.png"), 64, localizer.stride)
    pixels = torch.from_numpy(np.asarray(image)).permute(2, 0, 1)[None] / 255
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in localizer.statistics)
    with torch.inference_mode():
        logits = torch.stack(localizer((pixels - mean) / deviation).classifiers).mean(dim=0)[0]
    np.testing.assert_allclose(found.probabilities, torch.sigmoid(logits), atol=1e-5)


def test_predicted_classes_stand_in_for_missing_tags_alone(make_localizer, photos: Path) -> None:
    localizer, records = make_localizer(), records_of(("coin",), ())
    found = maps_of(localizer, records, photos, maps={"size": 64})["im1"].probabilities
    assert found is not None
    between = float(np.sort(found)[:2].mean())  # two of the three classes lie above
    maps = maps_of(localizer, records, photos, maps={"size": 64}, classes="predicted", class_threshold=between)
    assert maps["im0"].classes.tolist() == [2]
    assert maps["im1"].classes.tolist() == sorted(np.argsort(found)[1:].tolist())
    assert maps["im1"].maps.shape == (2, 18, 25)
    whole = LocalizeSettings.model_validate({"maps": {"size": 64}, "classes": "predicted", "class_threshold": between})
    common = {"localizer": localizer, "classes": CLASSES, "settings": whole, "device": CPU}
    negative = {image.id: image for image in make_maps(records, photos, **common, negatives=["val"])}["im1"]
    assert (negative.classes.tolist(), negative.maps.shape) == ([], (0, 18, 25))


def test_maps_of_frozen_features_are_those_of_the_images(make_localizer, photos: Path, tmp_path: Path) -> None:
    localizer, records = make_localizer("hybrid"), records_of(*[CLASSES] * 5)
    chosen = {"size": 64, "scales": (1.0, 1.5), "batch_size": 2}
    write_map_features(
        tmp_path, records, photos, pyramid=localizer.frozen_pyramid, settings=MapSettings.model_validate(chosen)
    )
    settings = LocalizeSettings.model_validate({"backbone": {"kind": "hybrid"}, "maps": chosen})
    ways = [
        {
            image.id: image
            for image in make_maps(
                records,
                photos,
                localizer=localizer,
                classes=CLASSES,
                settings=settings,
                device=CPU,
                features=features,
            )
        }
        for features in (None, MapFeatures(tmp_path))
    ]
    for name, image in ways[0].items():
        assert image.size == ways[1][name].size
        # Half precision of the features, and maps that are scaled to [0, 1].
        np.testing.assert_allclose(ways[1][name].maps, image.maps, atol=0.02)
        np.testing.assert_allclose(ways[1][name].probabilities, image.probabilities, atol=2e-3)


def test_map_features_come_back_for_any_images_of_a_size(tmp_path: Path) -> None:
    features = MapFeatures(tmp_path)
    written = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)  # two images, then their mirrored copies
    features.write([5, 7], 0, [written])
    (read,) = features.read([5, 7], 0, mirrored=True)
    torch.testing.assert_close(read.float(), written)
    (read,) = features.read([7], 0, mirrored=True)
    torch.testing.assert_close(read.float(), written[1::2])


def test_map_features_of_other_images_are_refused(tmp_path: Path) -> None:
    features = MapFeatures(tmp_path)
    features.write([0, 1], 0, [torch.zeros(4, 3, 2, 2)])
    with pytest.raises(DataError, match="2 copies of the image, not 1"):
        features.read([0], 0, mirrored=False)
    with pytest.raises(DataError, match="no features of image 2"):
        features.read([0, 2], 0, mirrored=True)
    with pytest.raises(DataError, match="no features of image 0 at scale 1"):
        features.read([0], 1, mirrored=True)
    (tmp_path / "00000-0-0.npy").write_bytes(b"cut")
    with pytest.raises(DataError, match="no whole features"):
        features.read([0], 0, mirrored=True)


def test_maps_of_large_images_are_stored_for_the_size_they_are_labelled_at(make_localizer, photos: Path) -> None:
    localizer, records = make_localizer(), records_of(CLASSES, CLASSES)
    settings = LocalizeSettings.model_validate({"backbone": {"kind": "vit"}, "maps": {"size": 64}})
    common = {"localizer": localizer, "classes": CLASSES, "settings": settings, "device": CPU}
    whole, same, bounded = (
        next(make_maps(records[:1], photos, **common, longest_side=side)) for side in (None, 100, 50)
    )
    assert whole.label_size == same.label_size == bounded.size == (70, 100)
    np.testing.assert_array_equal(same.maps, whole.maps)
    assert bounded.label_size == (35, 50)
    assert bounded.maps.shape == (len(CLASSES), 9, 13)
    np.testing.assert_array_equal(bounded.probabilities, whole.probabilities)


def test_the_area_of_thin_images_is_bounded_and_that_of_others_unchanged() -> None:
    for shorter, stride in ((64, 16), (224, 16), (384, 14), (480, 16), (18, 32)):
        for rows, columns in ((375, 500), (500, 375), (427, 640), (100, 400), (400, 100), (7, 7), (1, 1)):
            factor = shorter / min(rows, columns)
            expected = tuple(max(stride, round(side * factor / stride) * stride) for side in (rows, columns))
            assert size_on_grid((rows, columns), shorter, stride) == expected
    for size in ((2000, 100), (30, 2000), (1, 300), (20000, 1), (3, 9000)):
        rows, columns = size_on_grid(size, 480, 16)
        assert rows * columns <= 1.1 * 4 * 480**2
        assert (rows > columns) == (size[0] > size[1])
        assert rows % 16 == columns % 16 == 0
    # As large as one of 4:1, in its own shape.
    assert size_on_grid((100, 1600), 64, 16) == (32, 512)


def test_maps_of_thin_images(make_localizer, photos: Path) -> None:
    Image.effect_noise((300, 1), 80).convert("RGB").save(photos / "0.png")
    Image.effect_noise((6, 400), 80).convert("RGB").save(photos / "1.png")
    maps = {"size": 64, "scales": (1.0, 1.5), "class_attention": True, "patch_affinity": True}
    found = maps_of(make_localizer(), records_of(CLASSES, CLASSES), photos, maps=maps)
    assert [found[name].maps.shape[1:] for name in ("im0", "im1")] == [(1, 75), (100, 2)]
    assert all(np.isfinite(image.maps).all() for image in found.values())


@pytest.mark.parametrize("flip", [False, True])
def test_each_image_is_located_with_its_own_tags(make_localizer, photos: Path, flip: bool) -> None:
    """Also where a batch holds several sizes, and for mirrored copies."""
    localizer = make_localizer()
    plain, seen = localizer.locate_each, []

    def tagged(images, settings, tags):
        seen.extend(zip(images, tags, strict=True))
        return plain(images, settings)

    localizer.locate_tagged = tagged
    tags = [("bird",), ("coin",), ("bird", "coin"), (), ("road sign",)]
    maps_of(localizer, records_of(*tags), photos, group_by_area, maps={"size": 64, "flip": flip, "batch_size": 5})
    copies = 1 + flip
    assert [own.tolist() for _, own in seen] == [
        [[True, False, False], [False, False, True], [False, False, False]] * copies,
        [[True, False, True], [False, True, False]] * copies,
    ]
    assert [len(images) for images, _ in seen] == [3 * copies, 2 * copies]


def test_maps_at_the_images_own_size(photos: Path) -> None:
    own = MapSettings(size=None, scales=(1.0, 0.5))
    assert sizes_on_grid(records_of((), (), ()), photos, 16, own) == [
        ((64, 96), (32, 48)),
        ((64, 96), (32, 48)),
        ((96, 64), (48, 32)),
    ]
    batch = read_batch([[0, 1], [2]], records_of((), (), ()), photos, 16, own)
    assert [[tuple(part.shape) for part in scale] for scale in batch.scales] == [
        [(2, 3, 64, 96), (1, 3, 96, 64)],
        [(2, 3, 32, 48), (1, 3, 48, 32)],
    ]


def test_an_image_for_which_memory_is_too_small_is_named(make_localizer, photos: Path) -> None:
    localizer = make_localizer()

    def full(*given: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 98765 bytes.")

    localizer.locate_each = full
    with pytest.raises(DataError, match=r"0\.png.*\(70, 100\).*memory.*localize\.maps"):
        maps_of(localizer, records_of(CLASSES), photos, maps={"size": 64})
