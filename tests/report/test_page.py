"""The page: whole in one file, with every score in it, and safe from what class names hold."""

import dataclasses
import html
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from stages.data.left_out import LeftOut, write_left_out
from stages.errors import DataError, SettingsError
from stages.evaluate.confusion_picture import read_confusion, write_confusion
from stages.evaluate.scores import ClassificationScore, write_score
from stages.evaluate.wsol_score import LocalizationScore, write_localization
from stages.index import read_index, write_index
from stages.report.charts import class_chart, confusion_chart, pick_curves
from stages.report.gather import Curve
from stages.report.make_page import confusion_title, run
from stages.report.published import LATER, TABLES

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(HTMLParser):
    """Collects image sources and every reference to another file, and checks that tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.images, self.references, self.tags = [], [], [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if tag == "img" and name == "src":
                self.images.append(value)
            elif name in ("src", "href", "xlink:href") and not value.startswith("#"):
                self.references.append(value)

    def handle_startendtag(self, tag, attributes):
        if tag in VOID:
            self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def make_page(results, config=None, *more):
    arguments = ["--settings", '{"panels": 2}', "--experiment", "tiny", "--results", str(results), "--shards", "2"]
    arguments += ["--root", str(results.parent), "--config", json.dumps(config or {})]
    if all(record.mask for record in read_index(results / "data/val.csv")):
        arguments += ["--images", str(results / "evaluate/segmenter-val-images.csv")]
    run([*arguments, "--output", str(results / "report/index.html"), *more])
    return (results / "report/index.html").read_text(encoding="utf-8")


def test_galleries_of_other_splits_are_linked_where_they_have_doubts(results):
    checker = Checker()
    checker.feed(make_page(results, {"evaluate": {"doubt": ["train", "val"]}}))
    assert checker.references == ["gallery.html", "gallery-train.html"]


def test_page_stands_alone(results):
    page = make_page(results)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.references == ["gallery.html"]  # beside it
    assert not checker.tags & {"script", "link", "iframe"}
    # Two panels of image, one map, pseudo mask, prediction, truth.
    assert len(checker.images) == 10
    assert all(source.startswith(("data:image/jpeg;base64,", "data:image/png;base64,")) for source in checker.images)
    # Classes of val, thresholds, then loss, learning rate and the entropy of the context of both trainings (one file).
    assert page.count("<svg") == 8


def test_page_shows_what_was_measured(results):
    page = make_page(results, {"data": {"format": "demo"}, "seed": 3})
    for text in ("tagmask: tiny", "43.2", "36.0", "best on this split", "72.2 VOC", "1:01:02", "2.00 GiB", "seed: 3"):
        assert text in page
    assert "The published figures are of other data sets" in page
    assert "2 of 3 val images" in page


def test_the_published_tables_are_whole(results):
    page = make_page(results)
    for table in TABLES:
        assert table.title in page
        assert (table.rows[-1][0] == "MMCST") == table.ends_with_mmcst
    assert "57.6</td><td>73.3" in page
    assert LATER.note in page


def test_the_published_column_is_that_of_the_own_localizer(results):
    page = make_page(results, {"localize": {"method": {"kind": "cam"}}})
    assert "published,<br>CAM" in page
    assert "72.2 VOC" not in page


def test_class_names_are_escaped(results):
    page = make_page(results)
    assert "<b>dog" not in page
    assert "&lt;b&gt;dog" in page


def test_upper_bound_is_shown_or_its_command_named(results, make_score):
    page = make_page(results)
    assert "No upper bound yet" in page
    assert "upper_bound</code>" in page
    write_score(results / "evaluate/upper_bound-val.json", make_score("upper_bound", "val", 86.42))
    page = make_page(results)
    assert "No upper bound yet" not in page
    assert "50 % of the upper bound" in page
    shown = [str(results / f"evaluate/{name}-val.json") for name in ("segmenter", "maps")]
    assert "No upper bound yet" in make_page(results, None, "--scores", *shown)


def test_found_tags_are_scored_where_they_were(results, make_score):
    assert "mAP" not in make_page(results)
    found = ClassificationScore(map=91.25, f1=80.04, threshold=0.5, images=3)
    write_score(results / "evaluate/maps-val.json", make_score("maps", "val", 40, classification=found))
    text = " ".join(make_page(results).split())
    assert "classifier on val (3 images): mAP 91.2 %, macro F1 80.0 % at probability 0.5." in text


def test_picture_is_written_on_demand(results):
    make_page(results, None, "--picture", str(results / "report/panels.jpg"))
    assert (results / "report/panels.jpg").is_file()


@pytest.mark.parametrize(
    "missing",
    ["data/val.csv", "localize/training.csv", "segment/pseudo_masks/training.csv", "refine/masks/val/0/a.png"],
)
def test_a_missing_piece_is_named(results, missing):
    (results / missing).unlink()
    with pytest.raises(DataError, match=missing.rsplit("/", 1)[-1]):
        make_page(results)
    assert not (results / "report/index.html").exists()


def test_settings_must_be_json(results):
    with pytest.raises(SettingsError, match="--config"):
        make_page(results, None, "--config", "{")


def test_losses_are_told_from_other_curves():
    names = ("loss", "loss_text", "decode.loss_ce", "lr", "base_lr", "lossless", "time")
    curves = {name: Curve((1,), (1.0,)) for name in names}
    assert list(pick_curves(curves, "loss")) == ["loss", "loss_text", "decode.loss_ce"]
    assert list(pick_curves(curves, "lr")) == ["lr"]


def test_confusion_matrices_are_drawn_with_escaped_names(results):
    write_confusion(results / "evaluate/segmenter-val-confusion.csv", np.array([[3, 1], [0, 4]]), ("background", "<b>"))
    (results / "data/classes.txt").write_text("<b>\n")
    confusion = confusion_chart(np.array([[3, 1], [0, 4]]), ("background", "<b>"), title="Confusion")
    assert "<b>" not in confusion
    assert "&lt;b&gt;" in confusion
    assert read_confusion(results / "evaluate/segmenter-val-confusion.csv").tolist() == [[3, 1], [0, 4]]
    (results / "evaluate/segmenter-val-confusion.csv").write_text("true,a\n0,x\n")
    with pytest.raises(DataError, match="not a confusion matrix"):
        read_confusion(results / "evaluate/segmenter-val-confusion.csv")
    assert confusion_title(Path("upper_bound-val-confusion.csv")) == "Confusion of the classes: upper bound, val"


def test_a_page_of_a_run_that_was_not_scored(results):
    records = [dataclasses.replace(record, mask="") for record in read_index(results / "data/val.csv")]
    write_index(results / "data/val.csv", records)
    page = make_page(results, {"seed": 5}, "--scores")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(checker.images) == 8  # no truth
    assert "seed 5." in page
    assert "None: no split with true masks is named" in page
    assert "val is not scored, so there is no ranking" in page
    assert "Published figures" not in page


def test_images_left_out_are_told_with_their_faults_escaped(results, tmp_path):
    rows = [LeftOut(f"{number}", f"<i>{number}.jpg", "is broken") for number in range(25)]
    write_left_out(tmp_path / "train.csv", rows)
    write_left_out(tmp_path / "val.csv", [])
    page = make_page(results, None, "--left-out", str(tmp_path / "train.csv"), str(tmp_path / "val.csv"))
    assert "train: 25" in page
    assert "val: 0" not in page
    assert "&lt;i&gt;19.jpg" in page
    assert "and 5 more" in page
    assert "Images left out" not in make_page(results)


def test_negatives_are_counted_by_split(results):
    val = read_index(results / "data/val.csv")
    train = [dataclasses.replace(record, labels=labels) for record, labels in zip(val, [(), (), ("a",)], strict=True)]
    write_index(results / "data/train.csv", train)
    page = " ".join(make_page(results, None, "--negatives", "train", "val").split())
    assert "Images without a tag show none of the classes, and are learned from as such: train 2 of 3." in page
    assert "Images without a tag" not in make_page(results, None, "--negatives", "val")


def test_scores_of_images_with_one_tag_are_shown(results, tmp_path):
    score = LocalizationScore(
        split="test", images=7, pxap=61.24, piou=45.51, peak_threshold=0.123, iou=44.4, threshold=0.2, seed=0
    )
    write_localization(results / "evaluate/localization-test.json", score)
    page = make_page(results, None, "--localization", str(results / "evaluate/localization-test.json"))
    for cell in ("61.2", "45.5", "0.123", "44.4", "0.200"):
        assert f"<td>{cell}</td>" in page
    assert "<h3>Maps of images with one tag</h3>" not in make_page(results)


@pytest.mark.parametrize("name", [r"$\frac$", "5 $ or 10 $", "<b>&"])
def test_charts_take_any_class_name(name):
    chart = class_chart({name: {"maps": 50.0, "segmenter": None}}, "Each class")
    confusion = confusion_chart(np.eye(2, dtype=np.int64), (name, "dog"), title="Confusion")
    for svg in (chart, confusion):
        assert html.escape(name, quote=False) in svg
        assert "<b>" not in svg
