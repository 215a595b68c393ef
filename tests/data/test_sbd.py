"""SBD's masks beside VOC's, and the list that joins the two."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from stages.data import make_index, make_truth
from stages.data.left_out import read_left_out
from stages.data.sbd_masks import SbdMask, sbd_masks
from stages.data.voc_reader import read_voc_split
from stages.errors import DataError
from stages.images import read_mask
from stages.index import Record, read_index
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


def index(root: Path, results: Path, split: str, on_error: str = "stop") -> list[Record]:
    """What the two commands of a run leave of a split."""
    text = SETTINGS.model_copy(update={"on_error": on_error}).model_dump_json()
    common = ["--settings", text, "--split", split, "--root", str(root)]
    make_truth.run([*common, "--processes", "1", "--output", str(results / "masks")])
    options = ["--masks", str(results / "masks"), "--left-out", str(results / "left_out.csv")]
    make_index.run([*common, *options, "--output", str(results / "index.csv")])
    return read_index(results / "index.csv")


def test_what_is_missing_is_named_and_may_be_left_out(root: Path, tmp_path: Path) -> None:
    (root / "SBD/cls/2007_train07.mat").unlink()
    with pytest.raises(DataError, match=r"2007_train07: no mask, neither .*Class/2007_train07\.png nor .*07\.mat"):
        index(root, tmp_path / "stop", "train")
    assert len(index(root, tmp_path / "skip", "train", "skip")) == 11
    assert [row.id for row in read_left_out(tmp_path / "skip/left_out.csv")] == ["2007_train07"]
    (root / "SBD/cls").rename(root / "SBD/other")
    with pytest.raises(DataError, match=r"SBD/cls: no such folder; unpack SBD's benchmark\.tgz"):
        list(sbd_masks(root, "train", SETTINGS))
    assert len(read_voc_split(root, "test", SETTINGS)[0]) == 6  # whose masks are not public


@pytest.mark.parametrize(("split", "name"), [("val", "2007_val00"), ("train", "2007_train02")])
def test_a_mask_of_sbd_never_stands_for_one_of_voc(root: Path, tmp_path: Path, split: str, name: str) -> None:
    """SBD has masks of VOC's own train and val as well: another truth than the one that scores are compared on."""
    (root / f"SegmentationClass/{name}.png").unlink()
    shutil.copy(root / "SBD/cls/2007_train05.mat", root / f"SBD/cls/{name}.mat")
    assert name not in {mask.id for mask in sbd_masks(root, split, SETTINGS)}
    message = rf"SegmentationClass/{name}\.png: no such mask, and SBD's must not .*VOCtrainval_11-May-2012\.tar again"
    with pytest.raises(DataError, match=message):
        index(root, tmp_path / "stop", split)
    assert name not in {record.id for record in index(root, tmp_path / "skip", split, "skip")}


def test_a_broken_file_is_left_out_with_its_fault(root: Path, tmp_path: Path) -> None:
    (root / "SBD/cls/2007_train07.mat").write_bytes(b"no mat file")
    assert len(index(root, tmp_path / "skip", "train", "skip")) == 11
    (row,) = read_left_out(tmp_path / "skip/left_out.csv")
    assert "2007_train07.mat: cannot be read as a mask of SBD" in row.problem


def test_damage_within_a_file_is_named(tmp_path: Path) -> None:
    """SBD's files are compressed: their library has an error of its own for damage."""
    content = np.random.default_rng(0).integers(0, 20, (40, 40), dtype=np.uint8)
    savemat(tmp_path / "a.mat", {"GTcls": {"Segmentation": content}}, do_compression=True)
    whole = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(whole[:300] + bytes(100) + whole[400:])
    with pytest.raises(DataError, match=r"a\.mat: cannot be read as a mask of SBD .*unpack it again"):
        SbdMask("a", tmp_path / "a.mat").draw()


@pytest.mark.parametrize("content", [b"", b"no mat file", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mat: cannot be read as a mask of SBD .*unpack it again"):
        SbdMask("a", tmp_path / "a.mat").draw()


@pytest.fixture
def unpacked(root: Path) -> Path:
    """The two archives as they unpack, side by side."""
    (root / "SBD").rename(root.parent / "sbd")
    (root.parent / "data/benchmark_RELEASE").mkdir(parents=True)
    (root.parent / "sbd").rename(root.parent / "data/benchmark_RELEASE/dataset")
    (root.parent / "data/VOCdevkit").mkdir()
    root.rename(root.parent / "data/VOCdevkit/VOC2012")
    return root.parent / "data"


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012/JPEGImages"])
def test_folders_as_the_archives_unpack_are_found_and_the_settings_named(unpacked: Path, below: str) -> None:
    right = unpacked / "VOCdevkit/VOC2012"
    for read in (read_voc_split, lambda *arguments: list(sbd_masks(*arguments))):
        with pytest.raises(DataError) as error:
            read(unpacked / below, "train", SETTINGS)
        assert f"write data.root: {right} and data.voc.sbd: ../../benchmark_RELEASE/dataset" in str(error.value)
    with pytest.raises(DataError, match=r"write data\.voc\.sbd: \.\./\.\./benchmark_RELEASE/dataset"):
        read_voc_split(right, "train", SETTINGS)
    voc = SETTINGS.voc.model_copy(update={"sbd": Path("../../benchmark_RELEASE/dataset")})
    records, _ = read_voc_split(right, "train", SETTINGS.model_copy(update={"voc": voc}))
    assert len(records) == 12


def test_folders_that_an_archive_puts_deeper_are_found(unpacked: Path) -> None:
    """As when each archive was unpacked into a folder of its own name."""
    (unpacked / "VOCdevkit").rename(unpacked.parent / "VOCdevkit")
    (unpacked / "archive/VOCtrainval_11-May-2012").mkdir(parents=True)
    right = (unpacked.parent / "VOCdevkit").rename(unpacked / "archive/VOCtrainval_11-May-2012/VOCdevkit") / "VOC2012"
    (unpacked / "benchmark").mkdir()
    (unpacked / "benchmark_RELEASE").rename(unpacked / "benchmark/benchmark_RELEASE")
    sbd = "../../../../benchmark/benchmark_RELEASE/dataset"
    with pytest.raises(DataError) as error:
        read_voc_split(unpacked, "train", SETTINGS)
    assert f"{right} has: write data.root: {right} and data.voc.sbd: {sbd}" in str(error.value)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("JPEGImages", "{root}/JPEGImages"),
        ("Annotations", "{root}/Annotations"),
        ("SegmentationClass", "data.voc.masks: SegmentationClass/SegmentationClass"),
    ],
)
def test_a_folder_within_itself_is_one_error(root: Path, name: str, cure: str) -> None:
    (root / name).rename(root / "moved")
    (root / name).mkdir()
    (root / "moved").rename(root / name / name)
    (root / name / "._a.png").touch()
    with pytest.raises(DataError) as error:
        read_voc_split(root, "train", SETTINGS)
    assert f"{root}/{name}/{name} does: " in str(error.value)
    assert cure.format(root=root) in str(error.value)


@pytest.mark.parametrize(
    ("name", "other", "cure"),
    [
        ("JPEGImages", "jpegimages", "rename it to JPEGImages"),
        ("ImageSets", "imagesets", "rename it to ImageSets"),
        ("ImageSets/Segmentation", "ImageSets/segmentation", "rename it to Segmentation"),
        ("SegmentationClass", "segmentationclass", "write data.voc.masks: segmentationclass"),
    ],
)
def test_a_folder_in_another_case_is_one_error(root: Path, name: str, other: str, cure: str) -> None:
    (root / name).rename(root / other)
    if (root / name).exists():
        pytest.skip("this file system takes both names for one")
    with pytest.raises(DataError) as error:
        read_voc_split(root, "train", SETTINGS)
    assert str(error.value).endswith(f"no folder {root / name}, but {root / other} is there: {cure}")


def test_a_missing_folder_of_masks_is_one_error(root: Path) -> None:
    voc = SETTINGS.voc.model_copy(update={"sbd": None, "train": "train", "masks": "SegmentationClassAug"})
    with pytest.raises(DataError, match=r"data\.voc\.masks: no folder .*Aug \(there: SegmentationClass\)"):
        read_voc_split(root, "train", SETTINGS.model_copy(update={"voc": voc}))
