"""What is wrong with an image of COCO's stops the run by name, or leaves that image out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from stages.data.coco_masks import coco_masks
from stages.data.coco_reader import read_coco_split
from stages.data.left_out import read_left_out
from stages.errors import DataError
from tests.data.test_coco import foreign, index, official, settings
from tests.workflow.miniatures import write_coco


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco")
    return tmp_path / "coco"


def change(root: Path, **changes) -> None:
    """Changes the first object of train's second image, in which it is a square."""
    path = root / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    item = next(item for item in content["annotations"] if item["image_id"] == 2)
    item.update(changes)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_id": 7}, r"has category_id 7, which is not one of the categories; correct it"),
        ({"segmentation": []}, r"has no segmentation; add one"),
        ({"segmentation": [[1, 1, 5, 5]]}, r"has no polygon of three corners or more"),
        ({"segmentation": [[1, 1, 5, 5, 1, 5, 2]]}, r"has a polygon of 7 numbers"),
        ({"segmentation": ["abcdef"]}, r"segmentation cannot be read"),
        ({"segmentation": {"size": [3, 4], "counts": [12]}}, r"has run lengths of \[3, 4\] .* the image is \[72, 80\]"),
        ({"segmentation": {"size": [72, 80], "counts": [7]}}, r"has run lengths of 7 pixels, but the image has 5760"),
        ({"segmentation": {"size": [72, 80]}}, r"segmentation cannot be read"),
    ],
)
def test_an_image_with_odd_annotations_is_named_and_may_be_left_out(
    root: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    change(root, **changes)
    with pytest.raises(DataError, match=rf"instances_train2014\.json: annotation 3 of COCO_train2014_0+2.*{message}"):
        index(root, tmp_path / "stop", settings())
    skipping = settings().model_copy(update={"on_error": "skip"})
    names = [record.id for record in index(root, tmp_path / "skip", skipping)]
    assert len(names) == 11
    (row,) = read_left_out(tmp_path / "skip/left_out.csv")
    assert row.id not in names
    assert re.search(message, row.problem)


def test_a_polygon_of_two_corners_beside_others_has_no_inside(root: Path) -> None:
    before = [mask.draw() for mask in coco_masks(root, "train", settings())]
    square = official(root, "train").imgToAnns[2][0]["segmentation"]
    change(root, segmentation=[[1, 1, 60, 60], *square])
    after = [mask.draw() for mask in coco_masks(root, "train", settings())]
    np.testing.assert_array_equal(after[1], before[1])


def test_an_image_without_a_size_is_named(root: Path, tmp_path: Path) -> None:
    path = root / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    del content["images"][0]["height"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"train2014_0+1\.jpg has height and width \[None, 80\]; they must be"):
        index(root, tmp_path, settings())
    del content["images"][0]["file_name"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"instances_train2014\.json: image 1 has no file_name"):
        read_coco_split(root, "train", settings())


def test_a_file_without_an_image_is_named(root: Path, tmp_path: Path) -> None:
    path = root / "annotations/instances_train2014.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": [], "annotations": []}))
    for chosen in (settings(), settings(masks="others")):
        with pytest.raises(DataError, match=r"instances_train2014\.json: lists no image of this split"):
            index(root, tmp_path, chosen)


@pytest.mark.parametrize("content", [None, b"no mask"])
def test_masks_of_others_that_are_missing_or_broken_are_left_out(
    root: Path, tmp_path: Path, content: bytes | None
) -> None:
    foreign(root, lambda number: number)
    path = root / "others/train2014/COCO_train2014_000000000002.png"
    path.unlink() if content is None else path.write_bytes(content)
    chosen = settings(masks="others")
    with pytest.raises(DataError, match=r"0002\.png: (no such mask|cannot be read as a mask)"):
        index(root, tmp_path / "stop", chosen)
    assert len(index(root, tmp_path / "skip", chosen.model_copy(update={"on_error": "skip"}))) == 11
    (row,) = read_left_out(tmp_path / "skip/left_out.csv")
    assert row.id == path.stem
    for other in path.parent.iterdir():
        other.unlink()
    with pytest.raises(DataError, match=r"0001\.png: no such mask"):
        coco_masks(root, "train", chosen)
