"""A dataset looked over before a run."""

import shutil
from pathlib import Path

import pytest
import yaml

from stages.data import check
from stages.data.survey import double_lines, doubles_of, survey_lines, survey_split
from stages.errors import DataError, SettingsError
from stages.experiment import read_config
from stages.index import write_index
from tests.workflow.miniatures import WRITERS


@pytest.fixture
def config(make_record, tmp_path: Path) -> Path:
    """A CSV dataset of two train images and one val image, and its config."""
    records = {
        "train": [make_record(), make_record("two", labels=("dog", "cat"), mask="")],
        "val": [make_record("three", labels=(), split="val")],
    }
    for number, name in enumerate(("one", "two", "three")):
        with (tmp_path / f"images/{name}.jpg").open("ab") as stream:
            stream.write(bytes(number))  # after the end of the JPEG: other files of one picture
    for split, own in records.items():
        write_index(tmp_path / f"{split}.csv", own)
    content = {
        "experiment": "mine",
        "data": {"format": "csv", "root": str(tmp_path), "classes": ["cat", "dog", "cow"]},
        "encode": {"weights": {"resnet101": "timm", "vit_base_patch16_224.dino": "timm"}},
        "segment": {"predict": ["val"]},
        "evaluate": {"maps": ["val"], "segmenter": ["val"]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "mine.yaml"


def test_what_a_dataset_holds_is_printed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check.run(["--config", str(config), "--sheets", str(config.parent / "sheets")])
    assert capsys.readouterr().out.splitlines() == [
        "train: 2 images, 0 without tags, 1 without true masks",
        "  rows: 8 to 8, median 8",
        "  columns: 12 to 12, median 12",
        "  images by class: cat 2, dog 1, cow 0",
        "val: 1 images, 1 without tags, 0 without true masks",
        "  rows: 8 to 8, median 8",
        "  columns: 12 to 12, median 12",
        "  images by class: cat 0, dog 0, cow 0",
        "no two images have the same content",
    ]
    assert sorted(path.name for path in (config.parent / "sheets").iterdir()) == ["train.jpg", "val.jpg"]


def test_doubles_and_faults_are_named_and_the_command_fails(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = config.parent / "images"
    shutil.copy(images / "one.jpg", images / "three.jpg")
    (images / "two.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="1 problem in .*, named above"):
        check.run(["--config", str(config)])
    printed = capsys.readouterr().out
    assert "problem: " in printed
    assert "two.jpg: cannot be read as an image" in printed
    assert "  train/one = val/three" in printed


def test_every_fault_is_named_and_long_lists_of_doubles_are_cut(make_record, tmp_path: Path) -> None:
    records = [make_record(f"im{number}", labels=("cow",)) for number in range(12)]
    survey = survey_split(records, tmp_path, ("cat",), split="train")
    assert len(survey.problems) == 12
    printed = [line for line in survey_lines(survey) if line.startswith("  problem: ")]
    assert [line.split(":")[1].strip() for line in printed] == [f"im{number}" for number in range(12)]
    assert survey.tags == {"cat": 0, "cow": 12}
    assert doubles_of([survey]) == [tuple(f"train/im{number}" for number in range(12))]
    assert list(double_lines([("train/a", "val/a")] * 12))[-1] == "  ... and 2 more"
    assert list(double_lines(doubles_of([survey])))[1:] == [
        "  train/im0 = train/im1 = train/im2 = train/im3 = train/im4 = ... and 7 more, 12 images"
    ]


def test_the_demo_has_nothing_to_check() -> None:
    with pytest.raises(SettingsError, match="composes its own set"):
        check.run(["--config", str(Path(__file__).parents[2] / "configs/demo.yaml")])


def miniature(folder: Path, name: str) -> Path:
    """A miniature's config, its root below `folder`."""
    WRITERS[name](folder / name)
    content = yaml.safe_load((Path(__file__).parents[1] / f"configs/{name}.yaml").read_text())
    content["data"]["root"] = str(folder / name)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder / f"{name}.yaml"


@pytest.mark.parametrize(
    ("name", "train", "last"),
    [
        ("coco", "13 images, 1 without tags, 0 without true masks (13 are made)", "val: 7 images, 1 without tags"),
        ("voc", "12 images, 0 without tags, 0 without true masks (7 are made)", "test: 6 images, 6 without tags"),
        ("openimages", "8 images, 0 without tags, 8 without true masks", "test: 4 images, 0 without tags, 0 without"),
    ],
)
def test_masks_that_a_run_makes_are_not_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, train: str, last: str
) -> None:
    check.run(["--config", str(miniature(tmp_path, name)), "--processes", "1"])
    printed = capsys.readouterr().out
    assert f"train: {train}\n" in printed
    assert f"\n{last}" in printed
    assert "problem" not in printed


def test_a_broken_source_of_true_masks_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = miniature(tmp_path, "openimages")
    (tmp_path / "openimages/val/00x/val00000000000000_m1.png").write_bytes(b"no mask")
    with pytest.raises(DataError, match="1 problem in"):
        check.run(["--config", str(config), "--processes", "1"])
    assert "problem: " in (printed := capsys.readouterr().out)
    assert "val00000000000000_m1.png: cannot be read as a mask" in printed


def test_every_split_that_is_scored_is_looked_at(tmp_path: Path) -> None:
    experiment = read_config(miniature(tmp_path, "openimages"))
    segment, evaluate = (
        section.model_copy(update=dict.fromkeys(names, ("val",)))
        for section, names in ((experiment.segment, ("predict",)), (experiment.evaluate, ("maps", "segmenter")))
    )
    only_localized = experiment.model_copy(update={"segment": segment, "evaluate": evaluate})
    assert check.splits_of(only_localized) == ["train", "val", "test"]


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_split_without_an_image_is_refused(config: Path, capsys: pytest.CaptureFixture[str], on_error: str) -> None:
    content = yaml.safe_load(config.read_text())
    content["data"]["on_error"] = on_error
    config.write_text(yaml.safe_dump(content))
    write_index(config.parent / "val.csv", [])
    with pytest.raises(DataError, match="with no image of val that can be used"):
        check.run(["--config", str(config)])
    assert "  problem: val: lists no image of this split" in capsys.readouterr().out


def test_faults_that_are_to_be_skipped_do_not_fail_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load(config.read_text())
    content["data"]["on_error"] = "skip"
    config.write_text(yaml.safe_dump(content))
    (config.parent / "images/two.jpg").write_bytes(b"")
    check.run(["--config", str(config), "--sheets", str(config.parent / "sheets")])
    assert (config.parent / "sheets/train.jpg").is_file()  # of the sound images
    assert "1 problem, named above; a run would leave these images out" in capsys.readouterr().out
