"""What is wrong with an image of COCO's stops the run by name, or leaves that image out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from stages.data.coco_masks import coco_masks
from stages.data.coco_reader import read_coco_split
from stages.data.left_out import read_left_out
from stages.errors import DataError
from stages.images import read_mask
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
        ({"segmentation": ["abcdef"]}, r"has 'abcdef' in place of a polygon"),
        ({"segmentation": {"size": [3, 4], "counts": [12]}}, r"has run lengths of \[3, 4\] .* the image is \[72, 80\]"),
        ({"segmentation": {"size": [72, 80], "counts": [7]}}, r"has run lengths of 7 pixels, but the image has 5760"),
        ({"segmentation": {"size": [72, 80]}}, r"has the counts None; they are a list of run lengths"),
        (
            {"segmentation": {"size": [72, 80], "counts": "0d0"}},
            r"has run lengths of 20 pixels, but the image has 5760",
        ),
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmentation": [1, 1, 5, 5, 1, 5]}, r"is one list of numbers; .* put it in brackets"),
        ({"segmentation": [[1, 1, 5, 5, 1, float("nan")]]}, r"has a polygon with corners that are no finite numbers"),
        ({"segmentation": [[1, 1, 5, 5, 1, 1e9]]}, r"has a corner at 1e\+09, but the image is \[72, 80\]"),
        ({"segmentation": [[[1, 1], [5, 5], [1, 5], [2, 2], [3, 3], [4, 4]]]}, r"has a polygon of lists"),
        ({"segmentation": 7}, r"segmentation is 7; COCO's are a list of polygons, or run lengths"),
        ({"iscrowd": "0"}, r"has iscrowd '0'; it must be 0 or 1"),
        ({"category_id": [1]}, r"has category_id \[1\], which is not one of the categories"),
        ({"category_id": None}, r"has category_id None, which is not one of the categories"),
        ({"segmentation": {"counts": "0d0"}}, r"has run lengths of None \(rows, columns\)"),
        ({"segmentation": {"size": [72, 80], "counts": [-5760, 11520]}}, r"has the run length -5760"),
        (
            {"segmentation": {"size": [72, 80], "counts": [0.5, 5759.5]}},
            r"has the run length 0\.5; they are whole numbers",
        ),
        (
            {"segmentation": {"size": [72, 80], "counts": "PQ6\\\\n"}},
            r"has counts .* correct it, or remove the annotation",
        ),
    ],
)
def test_odd_annotations_are_a_fault_of_their_image(root: Path, changes: dict, message: str) -> None:
    """Found by the reader, or when the mask is drawn."""
    change(root, **changes)
    faults = [record.fault for record in read_coco_split(root, "train", settings())[0] if record.fault]
    if not faults:
        masks = list(coco_masks(root, "train", settings()))
        with pytest.raises(DataError) as raised:
            masks[1].draw()
        faults = [str(raised.value)]
    assert re.search(rf"instances_train2014\.json: annotation 3 of COCO_train2014_0+2.*{message}", faults[0])


@pytest.mark.parametrize(("turned", "cure"), [(False, "exchange the two numbers"), (True, "remove the orientation")])
def test_a_height_that_is_the_width_is_named_with_a_cure_that_helps(root: Path, turned: bool, cure: str) -> None:
    """Either the numbers are swapped, or the image is stored on its side and they are of the stored one."""
    path = root / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    image = root / "train2014" / content["images"][1]["file_name"]
    if turned:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        with Image.open(image) as picture:
            picture.save(image, exif=exif)
    else:
        content["images"][1].update(height=80, width=72)
        objects = [item for item in content["annotations"] if item["image_id"] == 2]
        for item in objects:
            item["segmentation"] = [[1, 1, 9, 1, 9, 9]]
        path.write_text(json.dumps(content))
    message = rf"instances_train2014\.json: COCO_train2014_0+2 has height .* but .*0002\.jpg has .* rows .*{cure}"
    masks = list(coco_masks(root, "train", settings()))
    with pytest.raises(DataError, match=message):
        masks[1].draw()


@pytest.mark.parametrize("outline", [{}, {"segmentation": []}, {"segmentation": None}])
def test_boxes_alone_give_tags_but_no_masks(root: Path, tmp_path: Path, outline: dict) -> None:
    tags = [record.labels for record in read_coco_split(root, "train", settings())[0]]
    path = root / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    for item in content["annotations"]:
        del item["segmentation"]
        item.update(outline)
    path.write_text(json.dumps(content))
    records = index(root, tmp_path / "boxes", settings())
    assert [record.labels for record in records] == tags
    assert {record.mask for record in records} == {""}


def test_images_of_one_name_in_two_folders_do_not_share_a_mask(root: Path, tmp_path: Path) -> None:
    path = root / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    names = [image["file_name"] for image in content["images"]]
    content["images"][4]["file_name"] = f"other/{names[1]}"
    (root / "train2014/other").mkdir()
    (root / "train2014" / names[4]).rename(root / "train2014/other" / names[1])
    path.write_text(json.dumps(content))
    (before, *_) = [mask.draw() for mask in coco_masks(root, "train", settings()) if mask.id == Path(names[1]).stem]
    records = index(root, tmp_path, settings().model_copy(update={"on_error": "skip"}))
    (record,) = [record for record in records if record.id == Path(names[1]).stem]
    np.testing.assert_array_equal(read_mask(Path(record.mask)), before)
    (row,) = read_left_out(tmp_path / "left_out.csv")
    assert "duplicate id, used by" in row.problem


def test_an_image_without_a_size_is_named(root: Path, tmp_path: Path) -> None:
    path = root / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    del content["images"][0]["height"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"train2014_0+1\.jpg has height and width \[None, 80\]; they must be"):
        index(root, tmp_path, settings())
    content["images"][0]["height"] = 71.5
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"0+1\.jpg has height and width \[71\.5, 80\]; they must be whole numbers"):
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
