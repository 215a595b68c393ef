"""Which images are shown, and how they are coloured."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from stages.errors import DataError
from stages.evaluate.image_scores import read_image_scores
from stages.index import read_index
from stages.map_colours import overlay
from stages.report.panels import choose, colour_mask, colour_of, read_panels
from stages.report.picture import MOST_BYTES, draw_picture, write_picture

CLASSES = ("cat", "dog")


def read_scored(results, records, *, count):
    """Panels of the tiny experiment, whose val is scored."""
    scores = read_image_scores(results / "evaluate/segmenter-val-images.csv")
    return read_panels(results, results.parent, records, CLASSES, count=count, shards=2, scores=scores)


def test_the_middle_of_each_part_of_the_ranking():
    ious = {f"{number:02d}": float(number) for number in range(12)}
    # Ranking 11, 10, ..., 0; thirds 11..8, 7..4, 3..0; their middles (the third of four).
    assert choose(ious, 3) == ["09", "05", "01"]
    assert choose(ious, 20) == sorted(ious, reverse=True)
    assert choose({"b": 1.0, "a": 1.0, "c": 2.0}, 3) == ["c", "a", "b"]


def test_panels_of_an_experiment(results):
    records = read_index(results / "data/val.csv")
    panels = read_scored(results, records, count=3)
    assert [panel.id for panel in panels] == ["a", "b", "c"]
    assert panels[0].iou == 100
    # b: 4 of 40 columns wrong on each side of both labels: 16 of 24 columns right for each.
    assert panels[1].iou == pytest.approx(100 * 16 / 24)
    assert list(panels[0].maps) == ["cat"]
    assert panels[0].maps["cat"].shape == (30, 40)
    assert panels[0].values() == {1}


def test_images_without_maps_are_named(results):
    shutil.copy(results / "localize/maps/val/1.safetensors", results / "localize/maps/val/0.safetensors")
    with pytest.raises(DataError, match="no maps of val image 'a'"):
        read_scored(results, read_index(results / "data/val.csv"), count=3)


def test_a_split_without_pseudo_masks_is_named(results):
    shutil.rmtree(results / "refine/masks/val")
    with pytest.raises(DataError, match=r"refine/masks/val/0: no such folder of masks; rerun the stage"):
        read_scored(results, read_index(results / "data/val.csv"), count=3)


def test_shards_of_an_earlier_run_that_had_more_do_not_count(results):
    for folder in ("refine/masks/val", "segment/pseudo_masks/predictions/val"):
        shutil.copytree(results / folder / "1", results / folder / "2")
    shutil.copy(results / "localize/maps/val/1.safetensors", results / "localize/maps/val/2.safetensors")
    records = read_index(results / "data/val.csv")
    assert len(read_scored(results, records, count=3)) == 3


def test_colours_are_those_of_voc():
    assert colour_of(0) == "rgb(0, 0, 0)"
    assert colour_of(1) == "rgb(128, 0, 0)"
    assert colour_of(255) == "rgb(224, 224, 192)"
    mask = np.array([[0, 2]], dtype=np.uint8)
    assert np.asarray(colour_mask(mask).convert("RGB")).tolist() == [[[0, 0, 0], [0, 128, 0]]]


def test_overlay_is_red_where_the_map_is_high_and_blue_where_it_is_low():
    low, high = np.asarray(overlay(Image.new("RGB", (2, 1)), np.array([[0.1, 0.95]], dtype=np.float32)))[0]
    assert low[2] > low[0]
    assert high[0] > high[2]


def test_picture_fits_its_limit(results, tmp_path):
    panels = read_scored(results, read_index(results / "data/val.csv"), count=3)
    picture = draw_picture(panels, CLASSES)
    write_picture(tmp_path / "panels.jpg", picture)
    assert (tmp_path / "panels.jpg").stat().st_size <= MOST_BYTES
    with Image.open(tmp_path / "panels.jpg") as image:
        assert image.format == "JPEG"
        assert image.size == picture.size
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=r"noise\.jpg: .*fewer panels"):
        write_picture(tmp_path / "noise.jpg", Image.fromarray(noise))


def test_without_true_masks_panels_are_spread_over_the_index(results, tmp_path):
    records = [dataclasses.replace(record, mask="") for record in read_index(results / "data/val.csv")]
    panels = read_panels(results, results.parent, records, CLASSES, count=2, shards=2, scores=None)
    assert [(panel.id, panel.truth, panel.iou) for panel in panels] == [("a", None, None), ("c", None, None)]
    assert panels[0].values() == {1}
    whole = read_scored(results, read_index(results / "data/val.csv"), count=2)
    # Five columns with the truth, four without it.
    assert (draw_picture(whole, CLASSES).width - 6) / 5 == (draw_picture(panels, CLASSES).width - 6) / 4
