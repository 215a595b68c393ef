"""Tables over seeds: means, deviations and costs worked out by hand, and their files."""

import csv
import json
from pathlib import Path

import pytest

from stages.errors import DataError
from stages.evaluate import write_table
from stages.evaluate.costs import epoch_seconds, peak_memory
from stages.evaluate.scores import ClassificationScore, ObjectScore, Score, write_score
from stages.evaluate.table_formats import (
    Cost,
    TableRow,
    class_means,
    classes_csv,
    row_cells,
    table_content,
    table_csv,
    table_markdown,
)


def score(miou: float, *, seed: int, bird: float | None = 40, small: float | None = 10) -> Score:
    objects = {name: ObjectScore(objects=3, iou=iou) for name, iou in (("small", small), ("medium", 20), ("large", 30))}
    return Score(
        stage="maps", split="val", images=4, miou=miou, per_class={"background": 80, "bird": bird}, false_positives=25,
        false_negatives=75 - miou, threshold=0.3, threshold_source="oracle", seed=seed, object_iou=objects,
        classification=ClassificationScore(map=90 + seed, f1=50, threshold=0.5, images=4),
    )  # fmt: skip


@pytest.fixture
def rows() -> list[TableRow]:
    return [
        TableRow(
            "global", (score(50, seed=0), score(54, seed=1, bird=46), score(52, seed=2, bird=None)), published=62.7
        ),
        TableRow("both", (score(55.04, seed=0, small=None),)),
    ]


def test_mean_and_sample_deviation_over_seeds(rows: list[TableRow]) -> None:
    assert rows[0].miou == pytest.approx(52)
    assert rows[0].deviation == pytest.approx(2)  # sqrt((4 + 4 + 0) / 2)
    assert rows[0].miou_text == "52.0 ± 2.0"
    assert rows[1].deviation is None
    assert rows[1].miou_text == "55.0"


def test_table_csv(rows: list[TableRow]) -> None:
    header, first, second = table_csv(rows)
    table = [dict(zip(header, line, strict=True)) for line in (first, second)]
    assert table[0] == {
        "row": "global", "split": "val", "images": "4", "seeds": "0 1 2", "miou": "52.00", "deviation": "2.00",
        "false_positives": "25.00", "false_negatives": "23.00", "small_objects": "10.00", "medium_objects": "20.00",
        "large_objects": "30.00", "tags_map": "91.00", "published_voc_train": "62.70",
    }  # fmt: skip
    assert table[1]["deviation"] == table[1]["small_objects"] == table[1]["published_voc_train"] == ""


def test_a_class_is_averaged_over_the_seeds_that_have_it(rows: list[TableRow]) -> None:
    assert class_means(rows) == {"background": [80, 80], "bird": [43, 40]}
    assert classes_csv(rows)[1] == ["global", "80.00", "43.00"]


def test_costs_are_columns_where_a_row_has_any(rows: list[TableRow]) -> None:
    assert "s an epoch" not in row_cells(rows)[0]
    costly = [*rows, TableRow("cam", (score(48, seed=0),), cost=Cost(12.34, None, 800.0))]
    columns, cells = row_cells(costly)
    assert columns[-3:] == ["s an epoch", "images/s", "training MB"]
    assert cells[-1][-3:] == ["12.3", "", "800.0"]
    assert cells[0][-3:] == ["", "", ""]
    assert table_csv(costly)[0][-3:] == ["epoch_seconds", "images_per_second", "training_memory_mb"]


def test_markdown_has_the_papers_form(rows: list[TableRow]) -> None:
    content = table_content(rows, title="Class tokens", note="Of val.")
    assert content.rows[1][:2] == ("both", "55.0")
    lines = table_markdown(content, rows).splitlines()
    assert lines[0] == "# Class tokens"
    assert "| global | 52.0 ± 2.0 | 25.0 | 23.0 | 10.0 | 20.0 | 30.0 | 91.0 | 62.7 |" in lines
    assert "| both | 80.0 | 40.0 |" in lines


def test_seconds_of_an_epoch_are_the_mean_step_times_its_steps(tmp_path: Path) -> None:
    curves = tmp_path / "training.csv"
    # Two logged windows of 0.5 and 1.5 s a step; 36 steps over 4 epochs are 9 an epoch.
    curves.write_text("step,name,value\n18,time,0.5\n18,loss,3\n36,time,1.5\n")
    assert epoch_seconds(curves, 4) == pytest.approx(9.0)
    curves.write_text("step,name,value\n")
    assert epoch_seconds(curves, 4) is None
    with pytest.raises(DataError, match="no training curves"):
        epoch_seconds(tmp_path / "none.csv", 4)


def test_peak_memory_is_the_largest_measured(tmp_path: Path) -> None:
    for name, value in (("a", "812.5"), ("b", "-"), ("c", "1000.0")):
        (tmp_path / f"{name}.tsv").write_text(f"s\tmax_rss\n3.2\t{value}\n")
    assert peak_memory([tmp_path / f"{name}.tsv" for name in "abcd"]) == 1000.0
    assert peak_memory([tmp_path / "b.tsv"]) is None


def test_the_command_writes_all_its_files(tmp_path: Path) -> None:
    for seed, miou in ((0, 50.0), (1, 54.0)):
        write_score(tmp_path / f"{seed}.json", score(miou, seed=seed))
    (tmp_path / "training.csv").write_text("step,name,value\n10,time,2.0\n")
    (tmp_path / "speeds.json").write_text(json.dumps({"images_per_second": {"cam": 7.5}}))
    row = {
        "name": "cam", "title": "CAM", "published": 48.8, "scores": [str(tmp_path / f"{seed}.json") for seed in (0, 1)],
        "curves": [str(tmp_path / "training.csv")], "benchmarks": [str(tmp_path / "none.tsv")], "epochs": 5,
    }  # fmt: skip
    files = {name: tmp_path / name for name in ("table", "classes", "markdown", "content")}
    named = [text for name, path in files.items() for text in (f"--{name}", str(path))]
    rows, speeds = json.dumps([row]), str(tmp_path / "speeds.json")
    write_table.run(["--title", "Localizers", "--rows", rows, "--speeds", speeds, *named])
    with files["table"].open(newline="") as stream:
        (line,) = csv.DictReader(stream)
    assert (line["miou"], line["epoch_seconds"], line["images_per_second"]) == ("52.00", "4.00", "7.50")
    assert line["training_memory_mb"] == ""
    assert "| CAM | 52.0 ± 2.8 |" in files["markdown"].read_text()
    assert files["classes"].read_text().startswith("row,background,bird")
