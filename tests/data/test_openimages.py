"""The benchmark's lists and masks."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from stages.data import make_index, make_truth
from stages.data.left_out import read_left_out
from stages.data.openimages_reader import nearest, openimages_masks, read_openimages_split
from stages.errors import DataError
from stages.images import read_image, read_mask
from stages.index import read_index
from stages.settings import DataSettings
from tests.workflow.miniatures import CLASSES, write_openimages

SETTINGS = DataSettings(format="openimages", root=Path("anywhere"), classes=CLASSES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_openimages(tmp_path / "openimages")
    return tmp_path / "openimages"


def test_records_have_one_class(root: Path) -> None:
    records, source = read_openimages_split(root, "val", SETTINGS)
    assert source == root / "metadata/val/class_labels.txt"
    assert [record.labels for record in records] == [("red disc",), ("blue square",)] * 2
    assert records[0].id == "val00000000000000"
    assert records[0].image == "val/00x/val00000000000000.jpg"


def test_one_image_written_in_two_ways_has_one_class(root: Path) -> None:
    labels = root / "metadata/val/class_labels.txt"
    whole = labels.read_text()
    image, label = whole.splitlines()[0].split(",")
    labels.write_text(f"{whole}./{image},0{label}\n")  # the same again
    assert len(read_openimages_split(root, "val", SETTINGS)[0]) == 4
    assert all(mask.instances for mask in openimages_masks(root, "val", SETTINGS))
    labels.write_text(f"./{image},1\n{whole}")
    with pytest.raises(DataError, match=r"class_labels\.txt:2: .* has class 0 here, but 1 in line 1"):
        read_openimages_split(root, "val", SETTINGS)


def test_instances_are_united_and_ignored_regions_give_way(root: Path, tmp_path: Path) -> None:
    mask = next(iter(openimages_masks(root, "val", SETTINGS)))
    stem = root / "val/00x/val00000000000000"
    rows, columns = mask.draw().shape
    assert (columns, rows) == read_image(stem.with_suffix(".jpg")).size
    parts = [np.asarray(Image.open(f"{stem}_m{part}.png")) for part in (0, 1)]
    assert (parts[0] & parts[1]).any()  # they overlap
    united = np.repeat(np.repeat(parts[0] | parts[1], 2, axis=0), 2, axis=1)
    ignored = np.repeat(np.repeat(np.asarray(Image.open(f"{stem}_ignore.png")), 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(mask.draw(), np.where(united, 1, np.where(ignored, 255, 0)))


def test_masks_at_224_are_those_of_wsolevaluation(root: Path) -> None:
    """Its `get_mask`, step by step with OpenCV: each file to 224 by INTER_NEAREST, united, ignored where not united."""
    for mask in openimages_masks(root, "test", SETTINGS, 224):
        resized = [
            cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (224, 224), interpolation=cv2.INTER_NEAREST) > 0.5
            for path in (*mask.instances, mask.ignored)
        ]
        united = np.any(resized[:-1], axis=0)
        expected = united.astype(np.uint8) + 255 * (resized[-1] & ~united).astype(np.uint8)
        np.testing.assert_array_equal(mask.draw(), expected)


@pytest.mark.parametrize("size", [(1024, 683), (300, 224), (17, 400), (224, 224), (1000, 999)])
def test_nearest_is_opencv_s(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(size) > 0.5
    expected = cv2.resize(mask.astype(np.uint8), (224, 224), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(nearest(mask, (224, 224)), expected.astype(bool))


def test_the_command_writes_both_kinds(root: Path, tmp_path: Path) -> None:
    common = ["--settings", SETTINGS.model_dump_json(), "--root", str(root)]
    make_truth.run([*common, "--split", "val", "--output", str(tmp_path / "own")])
    make_truth.run([*common, "--split", "val", "--side", "224", "--output", str(tmp_path / "small")])
    make_truth.run([*common, "--split", "train", "--output", str(tmp_path / "train")])  # the benchmark has none
    assert list((tmp_path / "train").iterdir()) == []
    assert set(np.unique(read_mask(tmp_path / "own/val00000000000001.png"))) == {0, 2, 255}
    small = read_mask(tmp_path / "small/val00000000000001.png")
    assert small.shape == (224, 224)
    assert set(np.unique(small)) == {0, 1, 255}


def test_odd_lists_are_named(root: Path) -> None:
    labels = root / "metadata/val/class_labels.txt"
    good = labels.read_text()
    labels.write_text(good + "val/x.jpg,2\n")
    with pytest.raises(DataError, match=r"class_labels\.txt:5: class '2' must be a number from 0 to 1"):
        read_openimages_split(root, "val", SETTINGS)
    labels.write_text(good + "val/x.jpg\n")
    with pytest.raises(DataError, match=r"class_labels\.txt:5: has 1 fields, not 2"):
        read_openimages_split(root, "val", SETTINGS)
    labels.write_bytes(b"val/\xfc.jpg,1\n")
    with pytest.raises(DataError, match=r"class_labels\.txt: not UTF-8 \(byte 4\)"):
        read_openimages_split(root, "val", SETTINGS)
    labels.write_text(good + '"val/x.jpg,1\n')
    with pytest.raises(DataError, match=r"class_labels\.txt:5: not CSV"):
        read_openimages_split(root, "val", SETTINGS)
    labels.unlink()
    archives = r"class_labels\.txt: no such list; unpack OpenImages_images\.zip and OpenImages_annotations\.zip of"
    with pytest.raises(DataError, match=archives):
        read_openimages_split(root, "val", SETTINGS)


def index(root: Path, results: Path, on_error: str) -> Path:
    """The commands that a run calls for val; the index."""
    text = SETTINGS.model_copy(update={"on_error": on_error}).model_dump_json()
    common = ["--settings", text, "--split", "val", "--root", str(root), "--processes", "1"]
    make_truth.run([*common, "--output", str(results / "masks")])
    options = ["--masks", str(results / "masks"), "--left-out", str(results / "left_out.csv")]
    make_index.run([*common, *options, "--output", str(results / "val.csv")])
    return results / "val.csv"


def test_images_whose_masks_cannot_be_made_stop_the_run_or_are_left_out(root: Path, tmp_path: Path) -> None:
    """One stands in no list of masks, one mask is broken beyond what Pillow calls broken: a header cut within."""
    shutil.copy(root / "val/00x/val00000000000000.jpg", root / "val/x.jpg")
    labels = root / "metadata/val/class_labels.txt"
    labels.write_text(labels.read_text() + "val/x.jpg,1\n")
    broken = root / "val/00x/val00000000000002_m0.png"
    broken.write_bytes(broken.read_bytes()[:20])
    with pytest.raises(DataError, match=r"_m0\.png: cannot be read as a mask|localization\.txt: has no mask of"):
        index(root, tmp_path / "stop", "stop")
    records = read_index(index(root, tmp_path / "skip", "skip"))
    assert [record.id for record in records] == [f"val{number:014d}" for number in (0, 1, 3)]
    left_out = {row.id: row.problem for row in read_left_out(tmp_path / "skip/left_out.csv")}
    assert "localization.txt: has no mask of" in left_out["x"]
    assert "_m0.png: cannot be read as a mask" in left_out["val00000000000002"]


def test_a_missing_mask_file_is_named(root: Path) -> None:
    (root / "val/00x/val00000000000000_m1.png").unlink()
    with pytest.raises(DataError, match=r"val00000000000000_m1\.png: no such mask; unpack the benchmark's annotations"):
        next(iter(openimages_masks(root, "val", SETTINGS))).draw()
