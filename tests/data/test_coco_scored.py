"""Whether COCO's JSON has outlines, told before anything runs where masks are scored."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.data import check
from stages.data.coco_scored import CHUNK, check_scored, has_outline
from stages.errors import SettingsError
from stages.experiment import read_experiment
from stages.settings import Experiment
from tests.workflow.miniatures import write_coco
from tests.workflow.tiny import REPOSITORY


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"segmentation": [[1, 2, 3]]}', True),
        ('{"segmentation" :\n [ \n [1]]}', True),
        ('{"segmentation":{"size": [1, 2]}}', True),
        ('{"category_id": 1, "segmentation": [ ]}', False),
        ('{"category_id": 1, "segmentation": null}', False),
        ('{"category_id": 1, "segmentation": {}, "area": 1}', False),
        ('{"category_id": 1, "segmentation": [], "bbox": [1, 2]}', False),
        ('{"category_id": 1, "segmentation": [[]], "bbox": [1, 2]}', False),
        ('{"category_id": 1, "segmentation": [ [ ], []\n], "bbox": [[1, 2]]}', False),
        ('{"category_id": 1, "segmentation": [[], [1, 2]]}', True),
        ('{"category_id": 1, "segmentation": [[[1, 2], [3, 4]]]}', True),
        ('{"category_id": 1, "bbox": [1, 2, 3, 4]}', False),
        ('{"annotations": []}', True),
        (" " * (CHUNK - 9) + '"segmentation": [[1]]', True),
    ],
)
def test_an_outline_is_found_wherever_it_is(tmp_path: Path, text: str, found: bool) -> None:
    (tmp_path / "a.json").write_text(text)
    assert has_outline(tmp_path / "a.json") is found


def boxes(root: Path, split: str, *outline: Any) -> None:
    path = root / f"annotations/instances_{split}2014.json"
    content = json.loads(path.read_text())
    for item in content["annotations"]:
        del item["segmentation"]
        item |= {"segmentation": outline[0]} if outline else {}
    path.write_text(json.dumps(content))


def experiment(root: Path, **evaluate: Any) -> Experiment:
    content = yaml.safe_load((REPOSITORY / "tests/configs/coco.yaml").read_text())
    content["data"]["root"] = str(root)
    content["evaluate"] = evaluate
    return read_experiment(json.loads(json.dumps(content)), source="c.yaml")


def test_scores_of_boxes_alone_are_refused_before_anything_runs(tmp_path: Path) -> None:
    write_coco(tmp_path)
    boxes(tmp_path, "train")
    check_scored(experiment(tmp_path, maps=[], segmenter=["val"]), "c.yaml")
    check_scored(experiment(tmp_path, maps=[], segmenter=[]), "c.yaml")
    with pytest.raises(SettingsError, match=r"c\.yaml: evaluate\.maps scores 'train', but .*2014\.json has no out"):
        check_scored(experiment(tmp_path, maps=["train"], segmenter=["val"]), "c.yaml")
    boxes(tmp_path, "val")
    with pytest.raises(SettingsError, match=r"evaluate\.segmenter scores 'val', but .*take 'val' out of evaluate\.seg"):
        check_scored(experiment(tmp_path, maps=[], segmenter=["val"]), "c.yaml")


@pytest.mark.parametrize("outline", [(), ([[]],)])
def test_check_and_run_agree_on_boxes_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], outline: tuple[Any, ...]
) -> None:
    write_coco(tmp_path / "coco")
    for split in ("train", "val"):
        boxes(tmp_path / "coco", split, *outline)
    config = tmp_path / "c.yaml"
    unscored = experiment(tmp_path / "coco", maps=[], segmenter=[])
    config.write_text(json.dumps(unscored.model_dump(mode="json")))
    check.run(["--config", str(config), "--processes", "1"])
    assert "train: 13 images, 1 without tags, 13 without true masks" in capsys.readouterr().out
    scored = experiment(tmp_path / "coco", maps=["train"], segmenter=[])
    config.write_text(json.dumps(scored.model_dump(mode="json")))
    with pytest.raises(SettingsError, match=r"c\.yaml: evaluate\.maps scores 'train'"):
        check.run(["--config", str(config), "--processes", "1"])
