"""SBD's masks beside VOC's, and the list that joins the two."""

from pathlib import Path

import numpy as np
import pytest

from stages.data import make_index, make_truth
from stages.data.sbd_masks import SbdMask, sbd_masks
from stages.data.voc_reader import read_voc_split
from stages.errors import DataError
from stages.images import read_mask
from stages.index import read_index
from stages.settings import DataSettings
from tests.workflow.miniatures import CLASSES, write_voc
from tests.workflow.tiny import draw_image

SETTINGS = DataSettings(
    format="voc", root=Path("anywhere"), classes=CLASSES, voc={"masks": "SegmentationClass", "sbd": "SBD"}
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_voc(tmp_path / "voc")
    return tmp_path / "voc"


def test_train_aug_is_sbd_and_train_without_val(root: Path) -> None:
    """SBD lists 7 training images and 2 of VOC's val; VOC's train lists 5."""
    records, _ = read_voc_split(root, "train", SETTINGS)
    assert [record.id for record in records] == [f"2007_train{number:02d}" for number in range(12)]
    assert [bool(record.mask) for record in records] == [True] * 5 + [False] * 7
    (root / "ImageSets/Segmentation/train_aug.txt").write_text("2007_train06\n")
    (record,), _ = read_voc_split(root, "train", SETTINGS)  # a list that is there stands first
    assert record.id == "2007_train06"


def test_every_mask_is_the_drawn_one(root: Path, tmp_path: Path) -> None:
    common = ["--settings", SETTINGS.model_dump_json(), "--split", "train", "--root", str(root)]
    masks = tmp_path / "results/masks/train"
    make_truth.run([*common, "--output", str(masks)])
    assert len(list(masks.iterdir())) == 7  # of the other five VOC has a mask
    make_index.run([*common, "--masks", str(masks), "--output", str(tmp_path / "results/train.csv")])
    for number, record in enumerate(read_index(tmp_path / "results/train.csv")):
        np.testing.assert_array_equal(read_mask(root / record.mask), draw_image("train", number)[1])


def test_what_is_missing_is_named(root: Path) -> None:
    (root / "SBD/cls/2007_train07.mat").unlink()
    with pytest.raises(DataError, match=r"train: 1 images have no mask, neither .*Class/2007_train07\.png nor"):
        list(sbd_masks(root, "train", SETTINGS))
    (root / "SBD/cls").rename(root / "SBD/other")
    with pytest.raises(DataError, match=r"SBD/cls: no such folder; unpack SBD's benchmark\.tgz"):
        list(sbd_masks(root, "train", SETTINGS))
    assert len(read_voc_split(root, "test", SETTINGS)[0]) == 6  # whose masks are not public


@pytest.mark.parametrize("content", [b"", b"no mat file", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mat: cannot be read as a mask of SBD .*unpack it again"):
        SbdMask("a", tmp_path / "a.mat").draw()
