"""The commands: from files to scores, and what they say when something is missing."""

import csv

import numpy as np
import pytest

from stages.data.left_out import LeftOut, write_left_out
from stages.errors import DataError
from stages.evaluate import list_scored, score_maps, score_masks, summarize
from stages.evaluate.image_scores import ImageScore, read_image_scores
from stages.evaluate.scores import read_score
from stages.files import read_json, write_text
from stages.images import write_mask
from stages.index import Record, write_index
from stages.settings import EvaluateSettings


def maps_score(dataset, threshold="0.25"):
    output = dataset.folder / "maps-val.json"
    score_maps.run(
        [*dataset.settings, *dataset.common, "--threshold", threshold, "--maps", *dataset.maps, "--output", str(output)]
    )
    return read_score(output)


def masks_score(dataset, stage="segmenter", *more):
    output = dataset.folder / f"{stage}-val.json"
    folders = [str(dataset.folder / f"masks/{shard}") for shard in (0, 1)]
    beside = ["--confusion", str(output.with_suffix(".csv")), "--picture", str(output.with_suffix(".png"))]
    beside += ["--images", str(dataset.folder / f"{stage}-val-images.csv")]
    score_masks.run([*dataset.common, "--stage", stage, *more, "--masks", *folders, "--output", str(output), *beside])
    return read_score(output)


def test_maps(dataset):
    score = maps_score(dataset)
    assert (score.stage, score.split, score.images, score.seed) == ("maps", "val", 2, 7)
    # Perfect from 0.5 on (0.4 of the right half falls to background above 0.4); the lowest of equals is taken.
    assert (score.miou, score.threshold, score.threshold_source) == (100, 0.5, "oracle")
    assert score.per_class == {"background": 100, "cat": 100, "dog": None}
    assert (score.false_positives, score.false_negatives) == (0, 0)
    # At 0.25 all of a is cat, all of b background: background 64 of 96 pixels, cat 32 of 64.
    assert score.fixed.threshold == 0.25
    assert score.fixed.miou == pytest.approx((100 * 64 / 96 + 50) / 2)
    assert [threshold for threshold, _ in score.sweep] == [i / 10 for i in range(11)]
    assert dict(score.sweep)[0.3] == score.fixed.miou


def test_json_has_the_agreed_fields(dataset):
    masks_score(dataset)
    score = read_json(dataset.folder / "segmenter-val.json")
    agreed = {"stage", "split", "images", "miou", "per_class", "threshold", "threshold_source", "seed"}
    assert agreed <= set(score)
    assert score["threshold"] is None
    assert score["threshold_source"] is None


def test_masks(dataset):
    # Background: 32 + 32 hits, 32 false negatives in b: 64/96. Cat: 32 hits, 32 false positives: 32/64.
    score = masks_score(dataset)
    assert score.per_class == {"background": pytest.approx(100 * 64 / 96), "cat": 50, "dog": None}
    assert score.miou == pytest.approx((100 * 64 / 96 + 50) / 2)
    # By itself a is right everywhere; half of b is predicted to be cat, and b is background.
    assert read_image_scores(dataset.folder / "segmenter-val-images.csv") == {
        "a": ImageScore(100, {"background": 100, "cat": 100}),
        "b": ImageScore(25, {"background": 50, "cat": 0}),
    }
    pseudo = masks_score(dataset, "pseudo_masks", "--threshold", "0.4")
    assert (pseudo.threshold, pseudo.threshold_source) == (0.4, "fixed")


@pytest.mark.parametrize(
    ("score", "setting"), [(maps_score, "evaluate.maps"), (masks_score, "evaluate.segmenter")], ids=["maps", "masks"]
)
def test_a_split_without_masks_names_its_setting(dataset, score, setting):
    write_index(dataset.folder / "val.csv", [Record("a", "a.jpg", "", ("cat",), "val")])
    with pytest.raises(DataError, match=rf"no true mask for 1 of 1 images.*{setting}"):
        score(dataset)


def test_missing_maps_are_named(dataset):
    dataset.maps.pop()
    with pytest.raises(DataError, match=r"no maps for 1 images .*'b'"):
        maps_score(dataset)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((8, 9)), r"mask is \(8, 9\)"),
        (np.full((8, 8), 3), "mask value 3 is no class"),
    ],
    ids=["size", "value"],
)
def test_a_wrong_true_mask_is_named(dataset, mask, message):
    write_mask(dataset.folder / "true/b.png", mask.astype(np.uint8))
    for score in (maps_score, masks_score):
        with pytest.raises(DataError, match=rf"true/b\.png: {message}"):
            score(dataset)


def test_ignore_in_a_prediction_is_refused(dataset):
    write_mask(dataset.folder / "masks/1/b.png", np.full((8, 8), 255, dtype=np.uint8))
    with pytest.raises(DataError, match="may not hold 255"):
        masks_score(dataset)


def test_summary_is_ordered_and_states_the_share_of_the_bound(dataset):
    maps_score(dataset)
    masks_score(dataset)
    write_mask(dataset.folder / "masks/1/b.png", np.zeros((8, 8), dtype=np.uint8))
    masks_score(dataset, "upper_bound")
    names = [str(dataset.folder / f"{stage}-val.json") for stage in ("upper_bound", "segmenter", "maps")]
    summarize.run(["--scores", *names, "--output", str(dataset.folder / "scores.csv")])
    with (dataset.folder / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["stage"] for row in rows] == ["maps", "segmenter", "upper_bound"]
    assert [row["miou"] for row in rows] == ["100.00", "58.33", "100.00"]
    assert [row["share_of_bound"] for row in rows] == ["", "58.3", ""]
    assert [row["threshold_source"] for row in rows] == ["oracle", "", ""]


def test_a_file_that_is_no_score_is_named(tmp_path):
    write_text(tmp_path / "maps-val.json", '{"stage": "maps"}')
    with pytest.raises(DataError, match=r"maps-val\.json: not a score"):
        read_score(tmp_path / "maps-val.json")


def test_of_train_only_the_listed_images_are_scored(dataset):
    """b alone: its 64 pixels are half cat, half background, and predicted as maps and masks have them."""
    listed = dataset.folder / "list.txt"
    listed.write_text("b\n\n")
    options = ["--threshold", "0.25", "--only", str(listed), "--maps", *dataset.maps]
    score_maps.run([*dataset.settings, *dataset.common, *options, "--output", str(dataset.folder / "one.json")])
    assert read_score(dataset.folder / "one.json").images == 1
    whole, one = masks_score(dataset), masks_score(dataset, "segmenter", "--only", str(listed))
    assert (whole.images, one.images) == (2, 1)
    assert one.miou != whole.miou
    listed.write_text("b\nzebra\n")
    with pytest.raises(
        DataError, match=r"evaluate\.train_list: .*lists 1 ids that are no training image, first 'zebra'"
    ):
        masks_score(dataset, "segmenter", "--only", str(listed))
    listed.unlink()
    with pytest.raises(DataError, match=r"evaluate\.train_list: no file .*list\.txt"):
        masks_score(dataset, "segmenter", "--only", str(listed))


def listed_ids(folder, text):
    """What `list_scored` leaves of a list, where train holds `a`, `my image` and, broken, `c`."""
    (folder / "list.txt").write_bytes(text.encode("latin-1"))
    write_index(
        folder / "train.csv", [Record(name, f"{name}.jpg", "", ("cat",), "train") for name in ("a", "my image")]
    )
    write_left_out(folder / "left_out.csv", [LeftOut("c", "c.jpg", "broken")])
    settings = EvaluateSettings(train_list=folder / "list.txt").model_dump_json()
    paths = ["--index", str(folder / "train.csv"), "--left-out", str(folder / "left_out.csv")]
    list_scored.run(["--settings", settings, *paths, "--output", str(folder / "ids.txt")])
    return (folder / "ids.txt").read_text().splitlines()


def test_listed_images_that_were_left_out_are_passed_over(tmp_path, caplog):
    with caplog.at_level("WARNING"):
        assert listed_ids(tmp_path, "my image\na\na\n") == ["my image", "a"]
        assert caplog.text == ""
        assert listed_ids(tmp_path, "c\nmy image\n") == ["my image"]
    assert "1 of 2 images were left out of train" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nzebra\n", "list.txt lists 1 ids that are no training image, first 'zebra'"),
        ("a\nmy\n", "list.txt lists 1 ids that are no training image, first 'my'"),
        ("c\n", "list.txt lists no usable image"),
        ("", "list.txt lists no usable image"),
        ("Fr\xfch", r"list.txt: not UTF-8 \(byte 2\)"),
    ],
)
def test_a_list_of_other_images_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        listed_ids(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    ["my image.jpg\na.png\n", "/JPEGImages/my image.jpg /SegmentationClass/my image.png\n/JPEGImages/a.jpg\n"],
)
def test_a_list_may_name_the_files_of_the_images(tmp_path, text):
    assert listed_ids(tmp_path, text) == ["my image", "a"]


def test_mended_masks_are_counted(dataset):
    index = dataset.folder / "val.csv"
    index.write_text(index.read_text().replace(",val,", ",train,"))
    listed = dataset.folder / "mended.csv"
    listed.write_text("id,image,file,sha256\na,a.jpg,x/a.json,0\nelsewhere,e.jpg,x/e.json,0\n")
    assert masks_score(dataset, "pseudo_masks").mended is None
    score = masks_score(dataset, "pseudo_masks", "--mended", str(listed))
    assert (score.mended, score.images_shown) == (1, "2, 1 mended")
    (row,) = summarize.table_rows([score])
    assert dict(zip(summarize.COLUMNS, row, strict=True))["mended"] == "1"
