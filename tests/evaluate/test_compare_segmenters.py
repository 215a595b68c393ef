"""The table of segmenters over seeds, and the confusion matrix as table and picture."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from stages.evaluate import compare_segmenters
from stages.evaluate.confusion_picture import draw_confusion, shares, write_confusion
from stages.evaluate.scores import Score, write_score
from stages.evaluate.table_content import read_content


def score(stage: str, split: str, miou: float, seed: int, round: int | None = None) -> Score:
    return Score(
        stage=stage, split=split, images=9, miou=miou, per_class={}, false_positives=0, false_negatives=0,
        threshold=None, threshold_source=None, seed=seed, boundary_iou=miou / 2, round=round,
    )  # fmt: skip


def test_rows_means_deviations_and_shares(tmp_path: Path) -> None:
    scores = [
        score("upper_bound", "test", 60, 0), score("upper_bound", "test", 80, 1),
        score("segmenter", "test", 50, 0), score("segmenter", "test", 62, 1), score("pseudo_masks", "train", 90, 0),
    ]  # fmt: skip
    paths = []
    for number, one in enumerate(scores):
        paths.append(str(tmp_path / f"{number}.json"))
        write_score(Path(paths[-1]), one)
    files = {"table": tmp_path / "t.csv", "markdown": tmp_path / "t.md", "content": tmp_path / "t.json"}
    written = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    compare_segmenters.run(["--scores", *paths, *written])
    with (tmp_path / "t.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["split"] for row in rows] == ["train", "test", "test"]
    # Mean of 50 and 62, their sample deviation 12 / sqrt(2), and 56 of the mean 70 with true masks.
    assert rows[1] | {"row": ""} == {
        "row": "", "split": "test", "images": "9", "seeds": "0 1", "miou": "56.00", "deviation": "8.49",
        "boundary_iou": "28.00", "share_of_bound": "80.00",
    }  # fmt: skip
    assert rows[0]["deviation"] == rows[0]["share_of_bound"] == rows[2]["share_of_bound"] == ""
    assert (
        "| segmenter trained on them | test | 9 | 0 1 | 56.0 | 8.5 | 28.0 | 80.0 |" in (tmp_path / "t.md").read_text()
    )
    content = read_content(tmp_path / "t.json")
    assert content.title == "Segmenters"
    assert content.rows[1] == ("segmenter trained on them", "test", "9", "0 1", "56.0", "8.5", "28.0", "80.0")


def test_rounds_are_rows(tmp_path: Path) -> None:
    scores = [
        score("segmenter", "val", 60, 0, 2), score("segmenter", "val", 64, 1, 2), score("upper_bound", "val", 80, 0),
        score("told_segmenter", "train", 70, 0, 2), score("told_segmenter", "train", 65, 0),
        score("segmenter", "val", 50, 0),
    ]  # fmt: skip
    rows = compare_segmenters.group_scores(scores)
    assert [(row.title, row.miou) for row in rows] == [
        ("segmenter trained on them, using the tags", 65),
        ("segmenter of round 2, using the tags", 70),
        ("segmenter trained on them", 50),
        ("segmenter of round 2", 62),
        ("segmenter trained on true masks", 80),
    ]
    assert compare_segmenters.share_of_bound(rows[3], rows) == 77.5


def test_confusion_as_shares_table_and_picture(tmp_path: Path) -> None:
    confusion = np.array([[6, 2, 0], [0, 0, 0], [1, 1, 2]])
    np.testing.assert_allclose(shares(confusion)[[0, 2]], [[75, 25, 0], [25, 25, 50]])
    assert np.isnan(shares(confusion)[1]).all()
    labels = ("background", "a, b", "<b>$x$")
    write_confusion(tmp_path / "c.csv", confusion, labels)
    with (tmp_path / "c.csv").open(newline="") as stream:
        assert list(csv.reader(stream))[2:] == [["a, b", "0", "0", "0"], ["<b>$x$", "1", "1", "2"]]
    draw_confusion(tmp_path / "c.png", confusion, labels, title="segmenter, val")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.format == "PNG"
    large = np.eye(81, dtype=np.int64) * 5
    draw_confusion(tmp_path / "large.png", large, [f"class {number}" for number in range(81)], title="COCO")
    with Image.open(tmp_path / "large.png") as picture:
        assert picture.width < 4000
