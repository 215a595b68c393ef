"""COCO's JSON as a whole: what would put tags and outlines on other images is refused, what only looks odd is not."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from stages.data.coco_content import read_content
from stages.data.coco_json import class_values, load_coco
from stages.data.coco_masks import coco_masks, encoding_tables
from stages.data.coco_reader import read_coco_captions, read_coco_split
from stages.errors import DataError, SettingsError
from tests.data.test_coco import settings

SQUARE = [[1, 1, 5, 1, 5, 5, 1, 5]]
CATEGORIES = [{"id": 1, "name": "red disc"}, {"id": 18, "name": "blue square"}]


def image(number: Any, name: str | None = None, **more: Any) -> dict:
    return {"id": number, "file_name": name or f"{number}.jpg", "height": 8, "width": 9, **more}


def item(number: Any, of_image: Any, category: Any = 1, **more: Any) -> dict:
    common = {"id": number, "image_id": of_image, "category_id": category, "iscrowd": 0, "segmentation": SQUARE}
    return {**common, **more}


def whole(**changes: Any) -> dict:
    content = {"images": [image(1), image(2)], "annotations": [item(1, 1), item(2, 2, 18)], "categories": CATEGORIES}
    return {**copy.deepcopy(content), **changes}


def written(folder: Path, content: Any, name: str = "instances_train2014") -> Path:
    path = folder / f"annotations/{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def tags(root: Path, content: Any, **changes: Any) -> dict[str, tuple[str, ...]]:
    written(root, content)
    return {record.id: record.labels for record in read_coco_split(root, "train", settings(**changes))[0]}


ALL = {"1": ("red disc",), "2": ("blue square",)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (whole(images=[image(1), image(1, "b.jpg"), image(2)]), "duplicate ids of images: 1, the first 1, which 2"),
        (
            whole(images=[image(1, "a.jpg"), image(2, "./a.jpg")]),
            r"1 of 2 images have the file_name of another.*1 and 2",
        ),
        (whole(annotations=[item(1, 1), item(2, 3), item(3, 4)]), r"2 of 3 annotations are of no image, .* image_id 3"),
        (
            whole(annotations=[item(1, "1"), item(2, "2")]),
            r"image_id of 2 annotations are texts, first '1', but ids of im",
        ),
        (
            whole(images=[image("1"), image("2")]),
            r"image_id of 2 annotations are numbers, first 1, .* texts, first '1'",
        ),
        (
            whole(images=[image("1"), image(2), image(3)]),
            r"1 of 3 images have another id than a number.*images\[0\]: '1'",
        ),
        (
            whole(annotations=[item(1, 1), item(2, "2"), item(3, 2)]),
            r"1 of 3 annotations have another image_id than a nu",
        ),
        (
            whole(annotations=[item(1, 1, "1"), item(2, 2, 18)]),
            r"category_id of 1 annotations are texts, first '1', but",
        ),
        (
            whole(images=[{"file_name": "a.jpg"}, image(2)]),
            r"1 of 2 images have no id, first images\[0\]; give every one",
        ),
        (whole(annotations=[item(1, 1), {"id": 2}]), r"1 of 2 annotations have no image_id, first annotations\[1\]"),
        (whole(annotations=[item(None, 1), item(None, 2)]), "2 of 2 annotations have no id"),
        (whole(annotations=[item(True, 1)]), r"have another id than a number, first annotations\[0\]: True"),
        (whole(annotations=[item(float("nan"), 1)]), "another id than a number"),
        (whole(images=[image([1])]), r"another id than a number, first images\[0\]: \[1\]"),
        (whole(images={"1": image(1)}), "images is .*, not a list"),
        (whole(annotations=[[1]]), r"annotations\[0\] is \[1\], not an object"),
        (whole(images=[image(1), image(2, "a\0.jpg")]), "image 2 has the file_name .* which no file can have"),
        (whole(images=[image(1), image(2, "\ud800.jpg")]), "image 2 has the file_name .* which no file can have"),
        (whole(images=[image(1), {"id": 2, "file_name": 7}]), "image 2 has no file_name"),
        (whole(categories=[]), "has no categories"),
        (whole(categories=[{"id": 1}, CATEGORIES[1]]), "1 of 2 categories have no name, first the one of id 1"),
        (whole(categories=[{"id": 1, "name": " "}, CATEGORIES[1]]), "1 of 2 categories have no name"),
        (whole(categories=[{"name": "red disc"}]), "1 of 1 categories have no id"),
        (whole(categories=[*CATEGORIES, {"id": 1, "name": "other"}]), "duplicate ids of categories: 1, the first 1"),
        (
            whole(categories=[{"id": 1, "name": "red disc"}, {"id": 18, "name": "red disc"}]),
            "2 categories have the name 'red disc', ids 1, 18",
        ),
        (
            whole(categories=[*CATEGORIES, {"id": 0, "name": "_background_"}], annotations=[item(1, 1, 0)]),
            "1 annotations are of the category '_background_', which is no class",
        ),
        (whole(annotations=[item(1, 1, segmentation=[[0.1, 0, 0.9, 0, 0.9, 1]])]), "all corners .* between 0 and 1"),
        (whole(annotations=[{**item(1, 1), "segments_info": []}]), "panoptic format"),
        (whole(annotations=[]), "none of its 2 images has an annotation; .*data.coco.untagged"),
        ([item(1, 1)], "a list, as of COCO's results"),
        ("7", "a int in place of an object"),
        ("", "not a JSON file"),
        ("<!DOCTYPE html>", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ({"images": []}, "no images or no annotations"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"instances_train2014\.json: .*{message}"):
        tags(tmp_path, content)


def test_more_categories_than_a_mask_holds_are_refused(tmp_path: Path) -> None:
    many = [{"id": number, "name": f"class {number}"} for number in range(300)]
    content = whole(categories=many, annotations=[item(number, 1, number) for number in range(300)])
    with pytest.raises(DataError, match="objects of 300 categories, but a mask holds 254"):
        tags(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        whole(),
        whole(images=[image("1"), image("2")], annotations=[item("a", "1"), item("b", "2", 18)]),
        whole(annotations=[item(1.0, 1.0, 1.0), item(2.0, 2.0, 18.0)]),
        whole(annotations=[item(7, 1), item(7, 2, 18)]),  # two joined files
        whole(annotations=[item(1, 1, bbox="odd", area=None, iscrowd=None), item(2, 2, 18, iscrowd=False)]),
        whole(categories=[{**CATEGORIES[0], "name": " red disc "}, CATEGORIES[1]]),
        whole(categories=[*CATEGORIES, {"id": 0, "name": "background"}, {"id": 99, "name": "shapes"}]),
        whole(categories=[*CATEGORIES, {"id": 0, "name": "red disc"}]),  # of which no object is
        whole(annotations=[item(1, 1, segmentation=[[0, 0, 1, 0, 1, 1]]), item(2, 2, 18)]),
        whole(images=[image(1), image(2), image(3)]),  # the last is without an object
        "\ufeff" + json.dumps(whole()),
    ],
)
def test_what_only_looks_odd_is_read(tmp_path: Path, content: Any) -> None:
    assert tags(tmp_path, content) == ALL


def test_images_without_any_object_have_empty_masks(tmp_path: Path) -> None:
    content = whole(annotations=[])
    assert tags(tmp_path, content, untagged=("train",)) == {"1": (), "2": ()}
    masks = list(coco_masks(tmp_path, "train", settings(untagged=("train",))))
    assert [mask.draw().max() for mask in masks] == [0, 0]


def test_captions_are_those_of_the_images(tmp_path: Path) -> None:
    of_images = [{"id": 5, "image_id": 2, "caption": "late"}, {"id": 3, "image_id": 2, "caption": " first \n one"}]
    path = written(tmp_path, whole(annotations=of_images), "captions_train2014")
    assert read_coco_captions(path, [1, 2]) == {2: "first one"}
    with pytest.raises(DataError, match="image_id of 2 captions are numbers, first 2, .* are texts, first '2'"):
        read_coco_captions(path, ["2"])
    with pytest.raises(DataError, match="2 captions, first of image 2, but none of an image of the instances file"):
        read_coco_captions(path, [7])
    written(tmp_path, whole(), "captions_train2014")
    with pytest.raises(DataError, match="annotation 1 has no caption"):
        read_coco_captions(path, [1, 2])


def test_an_encoding_holds_the_category_ids_or_is_none() -> None:
    """Values of a mask end at 254, as 255 is ignored; an id of COCO-Stuff's is a class if it is a category's."""
    assert set(encoding_tables({1: 1, 90: 2})) == {"contiguous", "raw_id", "raw_id_plus_91", "stuff"}
    assert set(encoding_tables({1: 1, 164: 2})) == {"contiguous", "raw_id", "stuff"}
    assert set(encoding_tables({0: 1, 255: 2})) == {"contiguous"}
    assert set(encoding_tables({"a": 1, "b": 2})) == {"contiguous"}
    tables = encoding_tables({1: 1, 120: 2})
    assert (tables["raw_id"][120], tables["raw_id"][121], tables["stuff"][119]) == (2, 0, 2)


def test_an_encoding_that_cannot_hold_the_ids_is_named(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "red disc"}, {"id": 200, "name": "blue square"}]
    written(tmp_path, whole(categories=categories, annotations=[item(1, 1), item(2, 2, 200)]))
    chosen = settings(masks="others", encoding="raw_id_plus_91")
    with pytest.raises(DataError, match=r"data\.coco\.encoding: 'raw_id_plus_91' cannot hold .* ids 1 to 200"):
        coco_masks(tmp_path, "train", chosen)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "size", "counts"]), inner),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [
        ("images", "id"), ("images", "file_name"), ("images", "height"), ("images", None), ("annotations", "id"),
        ("annotations", "image_id"), ("annotations", "category_id"), ("annotations", "segmentation"),
        ("annotations", "iscrowd"), ("annotations", None), ("categories", "id"), ("categories", "name"),
        ("categories", None), (None, None),
    ]
)  # fmt: skip


@bounded(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(PLACES, st.integers(0, 1), VALUES | st.just(Ellipsis)), min_size=1, max_size=3))
def test_no_value_in_any_place_is_a_traceback(changes: list) -> None:
    """An error of ours, or masks; a value of `...` takes the key away."""
    content: Any = whole()
    for (name, key), place, value in changes:
        if name is None:
            content = value if value is not Ellipsis else content
        elif isinstance(content, dict) and isinstance(content.get(name), list) and len(content[name]) > place:
            entry = content[name][place]
            if key is None:
                content[name][place] = value if value is not Ellipsis else {}
            elif isinstance(entry, dict):
                entry.pop(key, None) if value is Ellipsis else entry.update({key: value})
    with tempfile.TemporaryDirectory() as folder:
        try:
            tags(Path(folder), content)
            for mask in coco_masks(Path(folder), "train", settings()):
                assert mask.draw().shape == mask.size
        except (DataError, SettingsError):
            return


def test_no_text_is_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    whole_text = json.dumps(whole()).encode()
    for end in range(0, len(whole_text), 25):
        path.write_bytes(whole_text[:end])
        with pytest.raises(DataError, match="not a JSON file"):
            load_coco(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a JSON file"):
        read_content(path)


def test_values_are_those_of_the_names(tmp_path: Path) -> None:
    coco = load_coco(written(tmp_path, whole()))
    assert class_values(coco, ("blue square", "red disc"), tmp_path) == {1: 2, 18: 1}
