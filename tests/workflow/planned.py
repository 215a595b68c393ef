"""What tests of plans share: configs, files that a plan needs, and the commands in what is printed."""

import re
from pathlib import Path

from tests.workflow.tiny import REPOSITORY

DEMO = REPOSITORY / "configs/demo.yaml"
MSRC = REPOSITORY / "configs/msrc.yaml"


def list_voc(folder: Path) -> None:
    """As much of VOC as planning looks at."""
    lists = folder / "datasets/VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n")
    write_resnet38(folder)


def write_resnet38(folder: Path) -> None:
    """The file of weights that nobody may fetch for the user; planning looks whether it is there."""
    path = folder / "datasets/res38_cls.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def command_of(line: str) -> str | None:
    """The stage's command that a printed shell line runs, such as `localize.train`; None for other lines."""
    found = re.search(r"python -m stages\.([a-z_.]+) ", line)
    return found[1] if found else None


def changed(config: Path, folder: Path, old: str, new: str) -> Path:
    """A copy of a config with one text replaced."""
    text = config.read_text()
    assert old in text
    copy = folder / "changed.yaml"
    copy.write_text(text.replace(old, new))
    return copy
