"""What is written in a format is read back: whole with tolerance 0, nearly with some."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from stages.errors import DataError
from stages.images import IGNORE, read_mask, voc_palette
from stages.mask_formats.coco import CocoWriter, read_coco
from stages.mask_formats.labelme import image_path, load_labelme, read_labelme, write_labelme
from stages.mask_formats.photos import MaskedPhoto
from stages.mask_formats.png import read_png, write_png
from stages.mask_formats.regions import regions_of
from stages.mask_formats.yolo import read_yolo, write_yolo
from tests.mask_formats.drawn import Mask, blobs, masks, rings

CLASSES = ("bird", "road sign", "ignore me")


def photo_of(mask: Mask, name: str = "am Strand/Bild") -> MaskedPhoto:
    return MaskedPhoto(f"{name}.jpg", name, Path(f"photos/{name}.jpg"), "train", mask)


def through_labelme(mask: Mask, folder: Path, tolerance: float) -> Mask:
    path = folder / "a/b.json"
    regions = list(regions_of(mask))
    write_labelme(path, photo_of(mask), regions, CLASSES, tolerance=tolerance, place=path)
    return read_labelme(path, mask.shape, CLASSES)


def through_yolo(mask: Mask, folder: Path, tolerance: float) -> Mask:
    write_yolo(folder / "a.txt", list(regions_of(mask)), mask.shape, tolerance=tolerance)
    return read_yolo(folder / "a.txt", mask.shape, len(CLASSES))


def through_coco(mask: Mask, folder: Path, tolerance: float, *, rle: bool = False) -> Mask:
    writer = CocoWriter(CLASSES, rle, tolerance)
    writer.add(photo_of(mask), regions_of(mask))
    writer.write(folder / "a.json")
    ((photo,), faults) = read_coco(folder / "a.json", CLASSES)
    assert faults == []
    return photo.draw(mask.shape, folder / "not there.jpg")


def by_pycocotools(path: Path, size: tuple[int, int]) -> Mask:
    """The mask as pycocotools alone reads the file."""
    coco = COCO(path)
    drawn = np.zeros(size, dtype=np.uint8)
    for item in coco.loadAnns(coco.getAnnIds()):
        drawn[coco.annToMask(item) == 1] = IGNORE if item["iscrowd"] else item["category_id"]
    return drawn


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: f"{mask.shape} {mask.sum()}")
def test_nothing_is_lost_with_tolerance_0(mask: Mask, tmp_path: Path) -> None:
    np.testing.assert_array_equal(through_labelme(mask, tmp_path, 0), mask)
    np.testing.assert_array_equal(through_coco(mask, tmp_path, 0), mask)
    np.testing.assert_array_equal(by_pycocotools(tmp_path / "a.json", mask.shape), mask)
    np.testing.assert_array_equal(through_coco(mask, tmp_path, 0, rle=True), mask)
    np.testing.assert_array_equal(by_pycocotools(tmp_path / "a.json", mask.shape), mask)
    write_png(tmp_path / "a.png", mask)
    values, palette = read_png(tmp_path / "a.png")
    np.testing.assert_array_equal(values, mask)
    np.testing.assert_array_equal(palette, np.array(voc_palette()).reshape(256, 3))
    # YOLO has no ignored pixels.
    np.testing.assert_array_equal(through_yolo(mask, tmp_path, 0), np.where(mask == IGNORE, 0, mask))


def test_little_is_lost_with_the_tolerance_of_the_command(tmp_path: Path) -> None:
    """Borders are everywhere here; of the demo's pseudo masks 0.1 % is lost (docs/results.md)."""
    mask = blobs(7, (200, 300), smooth=8)
    for through in (through_labelme, through_coco, through_yolo):
        assert 0 < (through(mask, tmp_path, 0.5) != mask).mean() < 0.01


def test_run_lengths_keep_every_pixel_whatever_the_tolerance(tmp_path: Path) -> None:
    np.testing.assert_array_equal(through_coco(rings(), tmp_path, 50, rle=True), rings())


def test_coco_has_the_classes_in_order_and_an_annotation_for_each_region(tmp_path: Path) -> None:
    through_coco(rings(), tmp_path, 0)
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    # In value order, and one more for ignored pixels.
    names = [(item["id"], item["name"]) for item in content["categories"]]
    assert names == [(1, "bird"), (2, "road sign"), (3, "ignore me"), (4, "ignore")]
    assert content["images"] == [{"id": 1, "file_name": "am Strand/Bild.jpg", "height": 40, "width": 60}]
    areas = sorted((item["category_id"], item["area"]) for item in content["annotations"])
    # The ring: 28 x 32 less 20 x 22. Two squares that touch at a corner are one region, and the line joins the frame.
    assert areas == [
        (1, 1),
        (1, 18),
        (1, 28 * 32 - 20 * 22),
        (2, 10),
        (2, 13 * 16 - 9 - 12),
        (3, 39 + 60 + 7),
        (4, 12),
    ]
    crowds = [item for item in content["annotations"] if item["iscrowd"]]
    assert [item["category_id"] for item in crowds] == [4]
    (ring,) = [item for item in content["annotations"] if item["area"] == 456]
    assert ring["bbox"] == [3, 2, 32, 28]
    assert len(ring["segmentation"]) == 1  # one polygon, with its hole cut out
    assert COCO(tmp_path / "a.json").annToMask(ring).sum() == 456


def test_labelme_files_lead_to_their_photos(tmp_path: Path) -> None:
    photo = MaskedPhoto("x/a.jpg", "x/a", tmp_path / "photos/x/a.jpg", "train", rings())
    place = tmp_path / "to mend/x/a.json"
    write_labelme(tmp_path / "hidden/a.json", photo, list(regions_of(rings())), CLASSES, tolerance=0.5, place=place)
    content = load_labelme(tmp_path / "hidden/a.json")
    assert image_path(content) == "../../photos/x/a.jpg"
    assert (content["imageData"], content["imageHeight"], content["imageWidth"]) == (None, 40, 60)
    assert {shape["label"] for shape in content["shapes"]} == {"bird", "road sign", "ignore me", "ignore"}
    assert all(len(shape["points"]) >= 3 for shape in content["shapes"])


def test_yolo_is_shares_of_the_sides(tmp_path: Path) -> None:
    mask = np.zeros((10, 20), dtype=np.uint8)
    mask[5:, 10:] = 2  # the lower right quarter
    through_yolo(mask, tmp_path, 0)
    value, *numbers = (tmp_path / "a.txt").read_text().split()
    corners = np.array(numbers, dtype=float).reshape(-1, 2)
    assert value == "1"
    np.testing.assert_allclose(corners.min(axis=0), [10.25 / 20, 5.25 / 10], atol=1e-6)
    np.testing.assert_allclose(corners.max(axis=0), [19.75 / 20, 9.75 / 10], atol=1e-6)


@pytest.mark.parametrize(
    "line", ["9 0.1 0.1 0.5 0.1 0.5 0.5", "0 0.1 0.1 0.5 0.1", "0 0.1 0.1 0.5", "bird 0 0 1 0 1 1", ""]
)
def test_what_is_no_yolo_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"0 0.1 0.1 0.5 0.1 0.5 0.5\n{line}\n")
    with pytest.raises(DataError, match=r"a.txt:2: no "):
        read_yolo(tmp_path / "a.txt", (10, 10), 3)


def test_the_png_is_pillows(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", rings())
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), rings())
