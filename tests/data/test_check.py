"""A dataset looked over before a run."""

import shutil
from pathlib import Path

import pytest
import yaml

from stages.data import check
from stages.data.survey import doubles_of, survey_lines, survey_split
from stages.errors import DataError, SettingsError
from stages.index import write_index
from tests.workflow.miniatures import write_coco


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
    with pytest.raises(DataError, match="1 problems in .*, named above"):
        check.run(["--config", str(config)])
    printed = capsys.readouterr().out
    assert "problem: " in printed
    assert "two.jpg: cannot be read as an image" in printed
    assert "  train/one = val/three" in printed


def test_long_lists_are_cut(make_record, tmp_path: Path) -> None:
    records = [make_record(f"im{number}", labels=("cow",)) for number in range(12)]
    survey = survey_split(records, tmp_path, ("cat",), split="train")
    assert len(survey.problems) == 12
    assert "  problem: ... and 2 more" in list(survey_lines(survey))
    assert survey.tags == {"cat": 0, "cow": 12}
    assert doubles_of([survey]) == [tuple(f"train/im{number}" for number in range(12))]


def test_the_demo_has_nothing_to_check() -> None:
    with pytest.raises(SettingsError, match="composes its set itself"):
        check.run(["--config", str(Path(__file__).parents[2] / "configs/demo.yaml")])


def test_masks_that_a_run_makes_are_not_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_coco(tmp_path / "coco")
    content = yaml.safe_load((Path(__file__).parents[1] / "configs/coco.yaml").read_text())
    content["data"]["root"] = str(tmp_path / "coco")
    (tmp_path / "coco.yaml").write_text(yaml.safe_dump(content))
    check.run(["--config", str(tmp_path / "coco.yaml")])
    assert "val: 7 images, 1 without tags, true masks made from the JSON" in capsys.readouterr().out


def test_faults_that_are_to_be_skipped_do_not_fail_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load(config.read_text())
    content["data"]["on_error"] = "skip"
    config.write_text(yaml.safe_dump(content))
    (config.parent / "images/two.jpg").write_bytes(b"")
    check.run(["--config", str(config), "--sheets", str(config.parent / "sheets")])
    assert (config.parent / "sheets/train.jpg").is_file()  # of the sound images
    assert "1 problems, named above; a run would leave these images out" in capsys.readouterr().out
