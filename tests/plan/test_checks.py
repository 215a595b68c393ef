"""Files that a config names, looked at before anything runs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.errors import SettingsError
from stages.plan.checks import checked_experiment
from stages.plan.language import names_file
from tests.workflow.miniatures import write_coco
from tests.workflow.tiny import REPOSITORY

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 22882\n"


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """The miniature of COCO, with files that hold something like weights."""
    content = yaml.safe_load((REPOSITORY / "tests/configs/coco.yaml").read_text())
    write_coco(tmp_path / "coco")
    content["data"]["root"] = str(tmp_path / "coco")
    for name in ("cnn", "clip"):
        (tmp_path / f"{name}.bin").write_bytes(b"\x80\x02 may be torch's")
    content["encode"]["weights"] = {model: str(tmp_path / "cnn.bin") for model in content["encode"]["weights"]}
    content["encode"]["clip"]["pretrained"] = str(tmp_path / "clip.bin")
    return content


def test_weights_that_are_none_are_told_before_anything_runs(tmp_path: Path, config: dict[str, Any]) -> None:
    checked_experiment(config, source="c.yaml")
    (tmp_path / "clip.bin").write_text(POINTER)
    with pytest.raises(SettingsError, match=r"c\.yaml: encode\.clip\.pretrained: .*clip\.bin is a Git LFS pointer"):
        checked_experiment(config, source="c.yaml")
    (tmp_path / "cnn.bin").write_text("<!DOCTYPE html>")
    with pytest.raises(SettingsError, match=r"c\.yaml: encode\.weights\.test_efficientnet: .*cnn\.bin is a web page"):
        checked_experiment(config, source="c.yaml")
    (tmp_path / "cnn.bin").unlink()
    with pytest.raises(SettingsError, match=r"encode\.weights\.test_efficientnet: no file .*cnn\.bin; put it there"):
        checked_experiment(config, source="c.yaml")


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("timm", False), ("package", False), ("openai", False), ("laion2b_s34b_b79k", False), ("w.pth", True),
        ("pytorch_model.bin", True), ("res.pth.tar", True), ("datasets/dino", True),
    ],
)  # fmt: skip
def test_sources_that_are_files(source: str, file: bool) -> None:
    assert names_file(source) is file
