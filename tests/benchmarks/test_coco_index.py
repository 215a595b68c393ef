"""The benchmark of COCO's index runs: three commands, each measured, on a few images."""

from pathlib import Path

from benchmarks import coco_index
from stages.files import read_json


def test_it_measures_every_command(tmp_path: Path) -> None:
    coco_index.run(["--images", "40", "--processes", "1", "--json", str(tmp_path / "figures.json")])
    figures = read_json(tmp_path / "figures.json")
    assert figures["images"] == 40
    for name in ("tags", "index", "masks"):
        assert figures[f"{name}_images_a_second"] > 0
        assert 0 < figures[f"{name}_gib"] < 8
    assert figures["pycocotools_over_plain_json"] > 0
