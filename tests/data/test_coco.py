"""COCO's own files: tags, captions, and masks pixel by pixel against pycocotools and against a naive drawing."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from stages.data import make_index, make_truth
from stages.data.coco_masks import coco_masks
from stages.data.coco_reader import read_coco_split
from stages.data.readers import read_split
from stages.errors import DataError
from stages.images import read_mask, write_mask
from stages.index import Record, read_index
from stages.settings import DataSettings
from tests.workflow.miniatures import CATEGORY_IDS, CLASSES, write_coco


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco")
    return tmp_path / "coco"


def settings(**changes) -> DataSettings:
    return DataSettings(format="coco", root=Path("anywhere"), classes=CLASSES, coco=changes)


def official(root: Path, split: str) -> COCO:
    return COCO(str(root / f"annotations/instances_{split}2014.json"))


def by_pixel(coco: COCO, image: int) -> np.ndarray:
    """The rule stated pixel by pixel: the smallest object there is, else 255 in a crowd, else background."""
    size = (coco.imgs[image]["height"], coco.imgs[image]["width"])
    found = [(coco.annToMask(item).astype(bool), item) for item in coco.imgToAnns[image]]
    mask = np.zeros(size, dtype=np.uint8)
    for row in range(size[0]):
        for column in range(size[1]):
            here = [(int(area.sum()), item) for area, item in found if area[row, column]]
            single = [(pixels, item["id"], item["category_id"]) for pixels, item in here if not item["iscrowd"]]
            if single:
                names = {number: name for name, number in CATEGORY_IDS.items()}
                mask[row, column] = CLASSES.index(names[min(single)[2]]) + 1
            elif here:
                mask[row, column] = 255
    return mask


def test_masks_are_pycocotools_masks_pixel_by_pixel(root: Path) -> None:
    coco = official(root, "train")
    made = {mask.id: mask.draw() for mask in coco_masks(root, "train", settings())}
    assert len(made) == 12
    assert len(coco.imgs) == 13  # the last shows no object
    values: set[int] = set()
    for number, image in list(coco.imgs.items())[:12]:
        mask = made[Path(image["file_name"]).stem]
        np.testing.assert_array_equal(mask, by_pixel(coco, number))
        values |= set(np.unique(mask).tolist())
    assert values == {0, 1, 2, 255}


def test_the_smaller_object_wins_and_crowds_give_way(root: Path, tmp_path: Path) -> None:
    """A 6x4 square, over it a 2x2 one listed before it, an equal one beside it, and a crowd under all: by hand."""

    def square(number: int, category: int, left: int, top: int, right: int, bottom: int, crowd: int = 0) -> dict:
        corners = [left, top, right, top, right, bottom, left, bottom]
        counts = {"size": [5, 8], "counts": [0, 40]}
        outline: object = counts if crowd else [corners]
        return {"id": number, "image_id": 1, "category_id": category, "iscrowd": crowd, "segmentation": outline}

    objects = [square(1, 1, 1, 1, 3, 3), square(2, 18, 0, 0, 6, 4), square(3, 18, 2, 1, 4, 3)]
    objects.append(square(4, 1, 0, 0, 8, 5, crowd=1))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 5.0, "width": 8}],  # as tables write whole numbers
        "annotations": [{**item, "area": 1.0} for item in objects],
        "categories": [{"id": number, "name": name} for name, number in CATEGORY_IDS.items()],
    }
    (root / "annotations/instances_val2014.json").write_text(json.dumps(content))
    (mask,) = coco_masks(root, "val", settings())
    assert mask.draw().tolist() == [
        [2, 2, 2, 2, 2, 2, 255, 255],
        [2, 1, 1, 2, 2, 2, 255, 255],  # of the two equal squares the one with the lower id is above
        [2, 1, 1, 2, 2, 2, 255, 255],
        [2, 2, 2, 2, 2, 2, 255, 255],
        [255] * 8,
    ]


def test_tags_captions_and_splits(root: Path) -> None:
    records, source = read_coco_split(root, "val", settings(captions=True))
    assert source == root / "annotations/instances_val2014.json"
    assert len(records) == 6  # the seventh shows no object
    assert records[0].id == "COCO_val2014_000000000001"
    assert records[0].image == "val2014/COCO_val2014_000000000001.jpg"
    assert records[0].labels == ("red disc",)
    assert records[2].labels == ("red disc", "blue square")
    assert records[2].caption == "There is red disc and blue square."
    everything, _ = read_coco_split(root, "val", settings(untagged=("val",)))
    assert len(everything) == 7
    assert everything[6].labels == ()
    whole, _ = read_coco_split(root, "train", settings(untagged=("train",)))
    assert [record.labels for record in whole[11:]] == [("red disc", "blue square"), ()]
    with pytest.raises(DataError, match="test annotations are not public"):
        read_coco_split(root, "test", settings())


def test_another_number_of_images_than_expected_is_named(root: Path) -> None:
    expecting = settings().model_copy(update={"expected": {"train": 82_081}})
    named = r"lists 12 images of the split 'train', but data\.expected\.train is 82,081 \(82,069 missing\)"
    aside = r"1 more show no object, first COCO_train2014_0+13 \(data\.coco\.untagged keeps them\)"
    with pytest.raises(DataError, match=f"{named}; {aside}"):
        read_split(root, "train", expecting)
    assert len(read_split(root, "val", expecting)[0]) == 6
    with pytest.raises(DataError, match=r"is 11 \(1 too many\)"):
        read_split(root, "train", settings().model_copy(update={"expected": {"train": 11}}))


def index(root: Path, results: Path, chosen: DataSettings, split: str = "train") -> list[Record]:
    """What the two commands of a run leave of a split."""
    common = ["--settings", chosen.model_dump_json(), "--split", split, "--root", str(root), "--processes", "1"]
    make_truth.run([*common, "--output", str(results / "masks")])
    options = ["--masks", str(results / "masks"), "--left-out", str(results / "left_out.csv")]
    make_index.run([*common, *options, "--output", str(results / "index.csv")])
    return read_index(results / "index.csv")


def test_training_images_without_an_object_stay_where_the_setting_says_so(root: Path, tmp_path: Path) -> None:
    records = index(root, tmp_path, settings(untagged=("train",)))
    assert [bool(record.labels) for record in records] == [True] * 12 + [False]
    assert read_mask(Path(records[-1].mask)).max() == 0
    assert len(index(root, tmp_path / "less", settings(untagged=("val",)))) == 12


def test_classes_must_be_the_categories(root: Path) -> None:
    wrong = DataSettings(format="coco", root=root, classes=("red disc", "blue sqare"))
    with pytest.raises(DataError, match=r"data\.classes .* lacks 'blue square' and also has 'blue sqare'"):
        read_coco_split(root, "train", wrong)


def test_files_that_are_missing_or_other_are_named(root: Path) -> None:
    path = root / "annotations/instances_train2014.json"
    refused = {"{": "not a JSON file", "[]": "not a JSON file", "{}": "no images or no annotations"}
    for content, message in refused.items():
        path.write_text(content)
        with pytest.raises(DataError, match=message):
            read_coco_split(root, "train", settings())
    path.unlink()
    with pytest.raises(DataError, match=r"instances_train2014\.json: no such file; unpack annotations_trainval2014"):
        read_coco_split(root, "train", settings())


def test_from_json_to_index(root: Path, tmp_path: Path) -> None:
    """The two commands that the workflow runs: masks, then an index that points to them and can be moved with them."""
    text = settings().model_dump_json()
    results = tmp_path / "results"
    common = ["--settings", text, "--split", "val", "--root", str(root)]
    make_truth.run([*common, "--processes", "2", "--output", str(results / "masks/val")])
    options = ["--masks", str(results / "masks/val"), "--left-out", str(results / "left_out.csv")]
    make_index.run([*common, *options, "--output", str(results / "val.csv")])
    assert ",./masks/val/COCO_val2014_000000000001.png," in (results / "val.csv").read_text()
    moved = results.rename(tmp_path / "moved")
    coco = official(root, "val")
    records = read_index(moved / "val.csv")
    assert len(records) == 6
    for number, record in enumerate(records, start=1):
        np.testing.assert_array_equal(read_mask(root / record.mask), by_pixel(coco, number))


def foreign(root: Path, encode) -> None:
    """Masks of train in another encoding: `encode` gives the value of a category id."""
    for mask in coco_masks(root, "train", settings()):
        drawn = mask.draw()
        other = np.zeros_like(drawn)
        for name, number in CATEGORY_IDS.items():
            other[drawn == CLASSES.index(name) + 1] = encode(number)
        other[drawn == 255] = 255
        write_mask(root / f"others/train2014/{mask.id}.png", other)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("contiguous", lambda number: {1: 1, 18: 2}[number]),
        ("raw_id", lambda number: number),
        ("raw_id_plus_91", lambda number: number + 91),
    ],
)
def test_masks_of_others_are_recognised_and_converted(root: Path, encoding: str, encode, caplog) -> None:
    foreign(root, encode)
    own = {mask.id: mask.draw() for mask in coco_masks(root, "train", settings())}
    with caplog.at_level("INFO"):
        converted = {mask.id: mask.draw() for mask in coco_masks(root, "train", settings(masks="others"))}
    assert f"encoding {encoding}" in caplog.text
    for name, mask in own.items():
        np.testing.assert_array_equal(converted[name], mask)


def test_the_maps_of_coco_stuff_are_converted(root: Path) -> None:
    """COCO-Stuff: ids less one, stuff from 91 (here 120 for all that is no object), 255 for nothing."""
    own = {mask.id: mask.draw() for mask in coco_masks(root, "train", settings())}
    for name, mask in own.items():
        table = np.zeros(256, dtype=np.uint8)
        table[[0, 1, 2, 255]] = (120, 0, 17, 255)
        write_mask(root / f"others/train2014/{name}.png", table[mask])
    for mask in coco_masks(root, "train", settings(masks="others")):
        np.testing.assert_array_equal(mask.draw(), own[mask.id])


def other_values(root: Path, table: dict[int, int]) -> None:
    """Masks of train with other values than those of `data.classes`, in a folder of masks by others."""
    (root / "others/train2014").mkdir(parents=True, exist_ok=True)
    for mask in coco_masks(root, "train", settings()):
        values = np.arange(256, dtype=np.uint8)
        values[list(table)] = list(table.values())
        write_mask(root / f"others/train2014/{mask.id}.png", values[mask.draw()])


@pytest.mark.parametrize(
    ("table", "cure"),
    [
        ({1: 4, 2: 21}, "likely cause: other numbers than any encoding has; by the JSON, 4 is 'red disc', 21 is 'blue"),
        ({1: 2, 2: 1}, "likely cause: other numbers than any encoding has; by the JSON, 1 is 'blue square', 2 is 'red"),
        ({1: 255, 2: 255}, "likely cause: binary masks: beside 0 they show 255 alone, which does not tell the classes"),
        ({1: 7, 2: 7, 255: 0}, "likely cause: binary masks: beside 0 they show 7 alone"),
        ({1: 0, 2: 0, 255: 0}, "likely cause: the masks are empty; correct them, or remove data.coco.masks"),
    ],
)
def test_masks_that_fit_no_encoding_are_refused_with_the_likely_cause(
    root: Path, table: dict[int, int], cure: str
) -> None:
    other_values(root, table)
    with pytest.raises(DataError) as error:
        coco_masks(root, "train", settings(masks="others"))
    assert "no encoding fits these masks (of 12 examined, " in str(error.value)
    assert cure in str(error.value)


def test_masks_of_other_images_have_no_likely_cause(root: Path) -> None:
    foreign(root, lambda number: number)
    paths = sorted((root / "others/train2014").iterdir())
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"no encoding fits these masks \(of 12 examined, .*set data\.coco\.encoding"):
        coco_masks(root, "train", settings(masks="others"))


def test_masks_that_fit_several_encodings_are_refused_unless_told(root: Path) -> None:
    """Every image shows both classes, and so do the masks, by 0 and 1: as category ids, or as these less one."""
    path = root / "annotations/instances_train2014.json"
    text = path.read_text().replace('"category_id": 18', '"category_id": 2').replace('{"id": 18,', '{"id": 2,')
    content = json.loads(text)
    both = [item for item in content["annotations"] if item["image_id"] == 3 and not item["iscrowd"]]
    images = range(1, len(content["images"]) + 1)
    content["annotations"] = [
        {**item, "image_id": image, "id": 2 * image + place} for image in images for place, item in enumerate(both)
    ]
    path.write_text(json.dumps(content))
    for mask in coco_masks(root, "train", settings()):
        write_mask(root / f"others/train2014/{mask.id}.png", np.minimum(mask.draw(), 1))
    with pytest.raises(DataError, match="several encodings fit these masks"):
        coco_masks(root, "train", settings(masks="others"))
    told = {name: coco_masks(root, "train", settings(masks="others", encoding=name)) for name in ("raw_id", "stuff")}
    assert {name: np.unique(next(iter(masks)).draw()).tolist() for name, masks in told.items()} == {
        "raw_id": [0, 1],
        "stuff": [1, 2],
    }


def test_a_value_beside_the_told_encoding_is_named(root: Path) -> None:
    foreign(root, lambda number: number)
    masks = list(coco_masks(root, "train", settings(masks="others", encoding="contiguous")))
    with pytest.raises(DataError, match=r"COCO_train2014_0+2\.png: value 18 is not in data\.coco\.encoding"):
        masks[1].draw()
