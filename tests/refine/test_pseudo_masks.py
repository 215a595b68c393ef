"""Maps to pseudo masks: numbers worked by hand, and a picture with a clean edge."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from stages.dense_crf import dense_crf
from stages.errors import DataError, SettingsError
from stages.images import read_mask, write_mask
from stages.index import Record, write_index
from stages.labelling import enlarge_maps
from stages.refine import pseudo_masks
from stages.refine.affinity_views import AffinityViews
from stages.refine.agreement import agreement_counts
from stages.refine.background import Background, add_threshold
from stages.refine.make_masks import run
from stages.refine.pseudo_masks import Labeller, agreed, label_image
from stages.refine.scoring import stay
from stages.refine.sure_regions import write_sure_regions
from stages.settings import CrfSettings, LearnedAffinity, RefineSettings
from stages.shards import ImageMaps, read_shard, write_shard

THRESHOLD_ONLY = RefineSettings(background_threshold=0.4, crf=CrfSettings(iterations=0))


def refine_image(image, maps, classes, settings):
    """The mask by the threshold and the CRF of the settings, without a walk."""
    return label_image(image, add_threshold(maps, settings.background_threshold), classes, settings.crf)


@pytest.fixture
def disc():
    """A red disc on green, its true mask, and a blurred, shifted, noisy map of it."""
    rows, columns = np.mgrid[:80, :100]
    truth = (rows - 40) ** 2 + (columns - 50) ** 2 < 24**2
    image = np.where(truth[..., None], [200, 40, 40], [40, 160, 60]).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 0.1, truth.shape)
    sloppy = gaussian_filter(np.roll(truth, (4, -5), (0, 1)).astype(float), 6) + noise
    sloppy = np.clip(sloppy / sloppy.max(), 0, 1).astype(np.float32)
    return image, truth, sloppy[None]


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def test_without_iterations_the_maps_are_thresholded():
    maps = np.array([[[0.9, 0.39, 0.5]], [[0.1, 0.2, 0.6]]], dtype=np.float32)
    image = np.zeros((1, 3, 3), dtype=np.uint8)
    # 0.9 of class 5; 0.39 is below 0.4, so background; 0.6 of class 2 beats 0.5. Mask values are one more.
    assert refine_image(image, maps, [5, 2], THRESHOLD_ONLY).tolist() == [[6, 0, 3]]


def test_only_tagged_classes_appear_and_their_order_does_not_matter(disc):
    image, truth, sloppy = disc
    image = np.concatenate([image, image[..., ::-1]], axis=1)  # a red disc on green beside a blue one
    maps = np.concatenate([np.pad(sloppy, ((0, 0), (0, 0), sides)) for sides in ((0, 100), (100, 0))])
    mask = refine_image(image, maps, [7, 3], RefineSettings())
    assert set(np.unique(mask)) == {0, 4, 8}
    assert iou(mask[:, :100] == 8, truth) > 0.9
    assert iou(mask[:, 100:] == 4, truth) > 0.9
    np.testing.assert_array_equal(mask, refine_image(image, maps[::-1], [3, 7], RefineSettings()))


def test_several_scores_of_an_image_give_the_masks_of_each(disc):
    image, _, sloppy = disc
    crf = CrfSettings(iterations=1, bilateral_weight=1)
    scores = [add_threshold(sloppy, step / 10) for step in range(1, 10)]
    masks = list(Labeller(image, [6], crf)(scores))
    assert len(masks) == 9
    for own, mask in zip(scores, masks, strict=True):
        np.testing.assert_array_equal(mask, label_image(image, own, [6], crf))
    assert len({int((mask == 7).sum()) for mask in masks}) > 5  # thresholds matter


def test_a_score_that_equals_the_threshold_is_the_class():
    # As a seed reaches its threshold; of two equal classes the first of the list wins.
    maps = np.array([[[0.4, 0.39]], [[0.4, 0.2]]], dtype=np.float32)
    image = np.zeros((1, 2, 3), dtype=np.uint8)
    assert refine_image(image, maps, [5, 2], THRESHOLD_ONLY).tolist() == [[6, 0]]


def test_masks_that_differ_are_ignored_where_they_do():
    first, second = np.array([[0, 1, 2]], dtype=np.uint8), np.array([[0, 2, 2]], dtype=np.uint8)
    assert agreed([first]).tolist() == [[0, 1, 2]]
    assert agreed([first, second]).tolist() == [[0, 255, 2]]


def test_without_tags_all_is_background(disc):
    image, _, sloppy = disc
    mask = refine_image(image, sloppy[:0], [], RefineSettings())
    assert mask.shape == image.shape[:2]
    assert mask.dtype == np.uint8
    assert not mask.any()


def test_crf_snaps_a_sloppy_map_to_the_edge(disc):
    image, truth, sloppy = disc
    before = iou(refine_image(image, sloppy, [0], THRESHOLD_ONLY) == 1, truth)
    after = iou(refine_image(image, sloppy, [0], RefineSettings(background_threshold=0.4)) == 1, truth)
    assert before < 0.8
    assert after > 0.97


def write_dataset(folder, disc, size=None):
    image, _, sloppy = disc
    Image.fromarray(image).save(folder / "a.png")
    Image.fromarray(image).save(folder / "b.png")
    records = [Record(name, f"{name}.png", "", labels, "val") for name, labels in (("a", ("cup",)), ("b", ()))]
    write_index(folder / "index.csv", records)
    small = sloppy[:, ::4, ::4]
    shard = [
        ImageMaps("a", small, np.array([1]), size or image.shape[:2]),
        ImageMaps("b", small[:0], np.array([], dtype=np.int64), image.shape[:2]),
    ]
    write_shard(folder / "0.safetensors", shard)


def arguments(folder):
    return [
        *("--settings", json.dumps({"crf": {"iterations": 2}}), "--processes", "2", "--root", str(folder)),
        *("--threshold", "0.4", "--index", str(folder / "index.csv"), "--maps", str(folder / "0.safetensors")),
        *("--output", str(folder / "masks")),
    ]


def test_command_writes_one_mask_an_image(tmp_path, disc):
    write_dataset(tmp_path, disc)
    run(arguments(tmp_path))
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.png", "b.png"]
    assert set(np.unique(read_mask(tmp_path / "masks/a.png"))) == {0, 2}
    assert read_mask(tmp_path / "masks/a.png").shape == (80, 100)
    assert not read_mask(tmp_path / "masks/b.png").any()


def test_command_names_maps_of_another_size(tmp_path, disc):
    write_dataset(tmp_path, disc, size=(80, 90))
    with pytest.raises(DataError, match=r"a\.png: image is \(80, 100\).*made at \(80, 90\)"):
        run(arguments(tmp_path))
    assert not (tmp_path / "masks").exists()


def test_the_ignore_band_lies_between_its_thresholds(tmp_path, disc):
    write_dataset(tmp_path, disc)
    settings = json.dumps({"crf": {"iterations": 0}, "ignore_band": [0.2, 0.6]})
    command = [*arguments(tmp_path), "--band"]
    command[command.index("--settings") + 1] = settings
    run(command)
    maps = enlarge_maps(next(read_shard(tmp_path / "0.safetensors")).maps, (80, 100))[0]
    expected = np.where(maps >= 0.6, 2, np.where(maps < 0.2, 0, 255))
    np.testing.assert_array_equal(read_mask(tmp_path / "masks/a.png"), expected)
    assert not read_mask(tmp_path / "masks/b.png").any()  # without tags, so sure to be background


@pytest.mark.parametrize(("iterations", "below"), [(0, 0.65), (2, 0.9999)])
def test_labels_that_are_not_sure_are_ignored(tmp_path, disc, iterations, below):
    write_dataset(tmp_path, disc)
    crf = {"iterations": iterations}
    command = [*arguments(tmp_path), "--band"]
    command[command.index("--settings") + 1] = json.dumps({"crf": crf, "ignore_below": below})
    run(command)
    maps = enlarge_maps(next(read_shard(tmp_path / "0.safetensors")).maps, (80, 100))[0]
    scores = np.stack([np.full_like(maps, 0.4), maps])
    probabilities = scores / scores.sum(axis=0)
    if iterations:
        probabilities = dense_crf(disc[0], probabilities, CrfSettings(**crf))
    expected = np.where(probabilities.max(axis=0) < below, 255, np.where(probabilities[1] >= probabilities[0], 2, 0))
    mask = read_mask(tmp_path / "masks/a.png")
    np.testing.assert_array_equal(mask, expected)
    assert {0, 2, 255} >= set(np.unique(mask)) >= {2, 255}
    assert not read_mask(tmp_path / "masks/b.png").any()  # without tags, so sure to be background


def test_a_band_and_sureness_are_asked_for_together(tmp_path, disc):
    """A pixel counts if both thresholds give it the same label, and both are sure of it."""
    write_dataset(tmp_path, disc)
    command = [*arguments(tmp_path), "--band"]
    crf = {"crf": {"iterations": 0}}
    command[command.index("--settings") + 1] = json.dumps(crf | {"ignore_band": [0.2, 0.6], "ignore_below": 0.55})
    run(command)
    maps = enlarge_maps(next(read_shard(tmp_path / "0.safetensors")).maps, (80, 100))[0]
    # Object at 0.6, and surer than 0.55 there: m / (m + 0.6). Background at 0.2: 0.2 / (m + 0.2).
    sure_object, sure_background = maps / (maps + 0.6) >= 0.55, 0.2 / (maps + 0.2) >= 0.55
    expected = np.where(sure_object, 2, np.where(sure_background, 0, 255))
    np.testing.assert_array_equal(read_mask(tmp_path / "masks/a.png"), expected)


def test_masks_that_are_scored_ignore_nothing(tmp_path, disc):
    write_dataset(tmp_path, disc)
    command = arguments(tmp_path)
    command[command.index("--settings") + 1] = json.dumps({"crf": {"iterations": 2}, "ignore_below": 1.0})
    run(command)
    assert 255 not in read_mask(tmp_path / "masks/a.png")


def test_without_tags_all_is_surely_background(tmp_path, disc):
    Image.fromarray(disc[0]).save(tmp_path / "a.png")
    none = ImageMaps("a", disc[2][:0], np.zeros(0, dtype=np.int64), (80, 100))
    settings = LearnedAffinity(kind="learned", backbone="resnet18", channels=(8, 8, 8))
    write_sure_regions(tmp_path / "a.png", none, settings, tmp_path / "regions.png")
    regions = read_mask(tmp_path / "regions.png")
    assert regions.shape == (80, 100)
    assert not regions.any()


def test_a_band_without_thresholds_is_refused(tmp_path, disc):
    write_dataset(tmp_path, disc)
    with pytest.raises(SettingsError, match="refine.ignore_band"):
        run([*arguments(tmp_path), "--band"])


def test_a_walk_without_its_network_is_refused(tmp_path, disc):
    write_dataset(tmp_path, disc)
    command = arguments(tmp_path)
    command[command.index("--settings") + 1] = json.dumps({"affinity": {"kind": "learned"}})
    with pytest.raises(SettingsError, match="--affinity"):
        run(command)


def test_a_large_photo_is_labelled_small_and_its_mask_is_large(tmp_path, disc, monkeypatch):
    image, truth, sloppy = disc
    large = Image.fromarray(image).resize((800, 640), Image.Resampling.NEAREST)
    large.save(tmp_path / "a.png")
    whole = ImageMaps("a", sloppy[:, ::4, ::4], np.array([1]), (640, 800), working=(80, 100))
    sizes = []
    original = pseudo_masks.Labeller

    def noted(pixels, *more, **named):
        sizes.append(pixels.shape)
        return original(pixels, *more, **named)

    monkeypatch.setattr(pseudo_masks, "Labeller", noted)
    settings = RefineSettings()
    scores = stay(tmp_path / "a.png", whole, [Background(settings, 0.4)])
    pseudo_masks.write_pseudo_mask(tmp_path / "a.png", scores, settings.crf, tmp_path / "mask.png")
    assert sizes == [(80, 100, 3)]
    mask = read_mask(tmp_path / "mask.png")
    assert mask.shape == (640, 800)
    assert set(np.unique(mask)) == {0, 2}
    # The colours at the border are mixed: of a disc of 24 pixels, that is a twelfth for each pixel of it.
    assert iou(mask == 2, truth.repeat(8, 0).repeat(8, 1)) > 0.9
    # What sees the image at its label size: the choice of a threshold, and sure regions.
    counts = agreement_counts(tmp_path / "a.png", whole, (0.4,), settings.crf)
    assert counts[0, 1].sum() == counts[0, 2].sum() == 80 * 100
    write_sure_regions(tmp_path / "a.png", whole, LearnedAffinity(kind="learned"), tmp_path / "regions.png")
    assert read_mask(tmp_path / "regions.png").shape == (80, 100)
    views = AffinityViews(
        [tmp_path / "a.png"], [tmp_path / "regions.png"], crop=64, stride=8, statistics=((0, 0, 0), (1, 1, 1))
    )
    assert views[0]["inputs"].shape == (3, 64, 64)
    write_mask(tmp_path / "regions.png", np.zeros((80, 99), dtype=np.uint8))
    with pytest.raises(DataError, match=r"regions\.png: not of its image's size"):
        views[0]
