"""Each format becomes the same index; what is missing is named with its cure."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.data import list_classes, make_index
from stages.errors import DataError
from stages.images import write_mask
from stages.index import read_classes, read_index
from stages.settings import DataSettings

XML = "<annotation><object><name>{}</name><difficult>1</difficult><part><name>head</name></part></object></annotation>"


def index(root: Path, split: str, **settings) -> list:
    output = root.parent / f"{split}-index.csv"
    values = DataSettings(classes=("cat", "dog"), root=root, **settings)
    arguments = ["--split", split, "--root", str(root), "--output", str(output)]
    make_index.run(["--settings", values.model_dump_json(), *arguments])
    return read_index(output)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A VOC folder with one image a split; the test image has neither mask nor annotation."""
    root = tmp_path / "voc"
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation", "Annotations"):
        (root / folder).mkdir(parents=True)
    for name, split in (("2007_01", "train_aug"), ("2007_02", "val"), ("2007_03", "test")):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text(f"{name}\n")
        Image.new("RGB", (6, 4)).save(root / f"JPEGImages/{name}.jpg")
        if split != "test":
            write_mask(root / f"SegmentationClassAug/{name}.png", np.ones((4, 6), dtype=np.uint8))
            (root / f"Annotations/{name}.xml").write_text(XML.format("dog"))
    return root


def test_voc_tags_come_from_the_annotation_not_the_mask(voc: Path) -> None:
    """The mask shows class 1 (cat); the annotation says dog, and difficult objects count."""
    (record,) = index(voc, "train", format="voc")
    assert record.labels == ("dog",)
    assert record.image == "JPEGImages/2007_01.jpg"
    assert record.mask == "SegmentationClassAug/2007_01.png"
    assert record.split == "train"


def test_voc_difficult_objects_give_no_tags_where_the_config_says_so(voc: Path) -> None:
    easy = "<object><name>cat</name><difficult>0</difficult></object><object><name>cat</name></object>"
    (voc / "Annotations/2007_01.xml").write_text(XML.format("dog").replace("<object>", f"{easy}<object>", 1))
    assert index(voc, "train", format="voc")[0].labels == ("cat", "dog")
    assert index(voc, "train", format="voc", voc={"difficult": False})[0].labels == ("cat",)


def test_voc_test_split_may_be_bare(voc: Path) -> None:
    (record,) = index(voc, "test", format="voc")
    assert (record.mask, record.labels) == ("", ())


def test_voc_missing_annotation_is_named(voc: Path) -> None:
    (voc / "Annotations/2007_02.xml").unlink()
    with pytest.raises(DataError, match=r"Annotations/2007_02\.xml: no such annotation"):
        index(voc, "val", format="voc")
    (voc / "Annotations/2007_02.xml").write_text("<annotation>")
    with pytest.raises(DataError, match=r"Annotations/2007_02\.xml: not XML"):
        index(voc, "val", format="voc")


def test_voc_missing_test_list_names_the_archive(voc: Path) -> None:
    (voc / "ImageSets/Segmentation/test.txt").unlink()
    with pytest.raises(
        DataError, match=r"test\.txt: no such list of ids; .*VOC2012test\.tar, which .*leave test out of"
    ):
        index(voc, "test", format="voc")


@pytest.mark.parametrize("content", [None, "<annotation>", '<?xml version="1.0" encoding="klingon"?><annotation/>'])
def test_voc_images_without_a_sound_annotation_are_left_out(voc: Path, content: str | None) -> None:
    (voc / "ImageSets/Segmentation/val.txt").write_text("2007_02\n2007_01\n")
    (voc / "Annotations/2007_02.xml").unlink()
    if content is not None:
        (voc / "Annotations/2007_02.xml").write_text(content)
    assert [record.id for record in index(voc, "val", format="voc", on_error="skip")] == ["2007_01"]
    with pytest.raises(DataError, match=r"1 problem in 2 images\n.*2007_02\.xml: (no such annotation|not XML)"):
        index(voc, "val", format="voc")


def test_voc_missing_mask_of_val_is_named(voc: Path) -> None:
    (voc / "SegmentationClassAug/2007_02.png").unlink()
    with pytest.raises(DataError, match=r"SegmentationClassAug/2007_02\.png: no such mask"):
        index(voc, "val", format="voc")


def test_voc_tag_that_is_no_class_is_named(voc: Path) -> None:
    (voc / "Annotations/2007_01.xml").write_text(XML.format("yeti"))
    with pytest.raises(DataError, match=r"2007_01: tag 'yeti' is not in data\.classes"):
        index(voc, "train", format="voc")


def test_missing_folder_and_split_file(voc: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.root: .*/nowhere is not a folder"):
        index(tmp_path / "nowhere", "train", format="voc")
    (voc / "ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt: no such list of ids; check data\.root"):
        index(voc, "val", format="voc")


def test_csv_of_the_users_own(tmp_path: Path) -> None:
    root = tmp_path / "own"
    root.mkdir()
    Image.new("RGB", (6, 4)).save(root / "a.png")
    header = "id,image,mask,labels,split,caption\n"
    (root / "train.csv").write_text(header + 'a,a.png,,dog; cat;dog,,"Both, asleep"\n')
    (record,) = index(root, "train", format="csv")
    assert (record.labels, record.split, record.caption) == (("dog", "cat"), "train", "Both, asleep")
    with pytest.raises(DataError, match=r"val\.csv: no such file; .* columns id,image,mask"):
        index(root, "val", format="csv")
    (root / "train.csv").write_text(header + "a,a.png,,dog,val,\n")
    with pytest.raises(DataError, match="a has split 'val'"):
        index(root, "train", format="csv")
    (root / "train.csv").write_text("file,tags\na.png,dog\n")
    with pytest.raises(DataError, match="columns are"):
        index(root, "train", format="csv")


def test_demo_tags_come_from_the_list(tmp_path: Path) -> None:
    """The mask shows class 1; the list alone says what the tags are."""
    root = tmp_path / "set"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    Image.new("RGB", (6, 4)).save(root / "JPEGImages/val-0.jpg")
    write_mask(root / "SegmentationClass/val-0.png", np.ones((4, 6), dtype=np.uint8))
    (root / "ImageSets/Segmentation/val.txt").write_text("val-0\n")
    with pytest.raises(DataError, match=r"tags\.csv: no such file"):
        index(root, "val", format="demo")
    (root / "tags.csv").write_text("id,labels,caption\n")
    with pytest.raises(DataError, match=r"tags\.csv: has no row for 'val-0'"):
        index(root, "val", format="demo")
    (root / "tags.csv").write_text("id,labels,caption\nval-0,cat;dog,A cat. A dog.\n")
    (record,) = index(root, "val", format="demo")
    assert (record.labels, record.caption) == (("cat", "dog"), "A cat. A dog.")


def test_class_list(tmp_path: Path) -> None:
    output = tmp_path / "classes.txt"
    settings = DataSettings(format="demo", classes=("coin", "road sign"))
    list_classes.run(["--settings", settings.model_dump_json(), "--output", str(output)])
    assert read_classes(output) == ("coin", "road sign")
    with pytest.raises(DataError, match="no cut-outs of 'cat'"):
        list_classes.run(["--settings", '{"format":"demo","classes":["cat","coin"]}', "--output", str(output)])
