"""The scores of single images: read back to the last digit, and refused where the file is none."""

from pathlib import Path

import numpy as np
import pytest

from stages.errors import DataError
from stages.evaluate.confusion import class_ious, confusion_matrix, mean_iou
from stages.evaluate.image_scores import ImageScore, read_image_scores, write_image_scores

NAN = float("nan")


def test_labels_that_an_image_has_not_and_ignored_images_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    write_image_scores(path, ["x", "y"], np.array([[50, NAN, 0], [NAN, NAN, NAN]]), ("background", "id", "a, b"))
    assert path.read_text() == 'id,miou,background,id,"a, b"\nx,25.0,50.0,,0.0\ny,,,,\n'
    assert read_image_scores(path) == {"x": ImageScore(25, {"background": 50, "a, b": 0})}


def test_figures_are_those_of_the_masks_to_the_last_digit(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    masks = generator.integers(0, 4, (20, 2, 9, 7), dtype=np.uint8)
    confusions = [confusion_matrix(truth, predicted, 3) for truth, predicted in masks]
    ids = [str(number) for number in range(20)]
    write_image_scores(tmp_path / "images.csv", ids, np.array(list(map(class_ious, confusions))), ("b", "x", "y", "z"))
    scores = read_image_scores(tmp_path / "images.csv")
    assert [scores[name].miou for name in ids] == [float(mean_iou(confusion)) for confusion in confusions]
    assert [list(scores[name].ious.values()) for name in ids] == [class_ious(own).tolist() for own in confusions]


@pytest.mark.parametrize("text", [None, "", "id,miou,background\nx,50,50,50\n", "id,miou,background\nx,half,50\n"])
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "images.csv").write_text(text)
    with pytest.raises(DataError, match=r"images\.csv: no scores of images"):
        read_image_scores(tmp_path / "images.csv")
