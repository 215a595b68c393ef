"""Class probabilities: windows and tags."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from PIL import Image

from stages.index import Record
from stages.segment import inference
from stages.segment.inference import logits_of, predict_images, told
from stages.settings import InferenceSettings


def test_windows_are_mmsegmentations(make_settings, build) -> None:
    model = build(make_settings()).eval()
    views = torch.randn(2, 3, 100, 70)
    with torch.inference_mode():
        ours = logits_of(model, views, 60)
        model.test_cfg = ConfigDict(mode="slide", crop_size=(60, 60), stride=(40, 40))
        theirs = model.slide_inference(views, [{"ori_shape": (100, 70), "img_shape": (100, 70)} for _ in range(2)])
        whole = logits_of(model, views, None)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        assert not torch.allclose(ours, whole)
        # A window over the whole image is the whole image.
        torch.testing.assert_close(logits_of(model, views, 100)[..., :70], whole, rtol=0, atol=1e-5)


def test_told_tags_leave_no_other_class() -> None:
    scores = torch.tensor([0.1, 0.2, 0.6, 0.1]).reshape(4, 1, 1).expand(4, 2, 3)
    kept = told(scores, [0])
    torch.testing.assert_close(kept[:, 0, 0], torch.tensor([1 / 3, 2 / 3, 0, 0]))
    nothing = torch.zeros(4, 1, 1)
    nothing[3] = 1  # what is there for certain is not in the tags
    assert told(nothing, [0]).argmax(dim=0).item() == 0
    assert told(scores, []).argmax(dim=0).unique().tolist() == [0]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param({"tags": False}, {"tagged": 2, "bare": 2}, id="predictions"),
        pytest.param({"tags": True}, {"tagged": 1, "bare": 0}, id="told"),
        pytest.param({"tags": True, "untagged_free": True}, {"tagged": 1, "bare": 2}, id="compared"),
    ],
)
def test_tags_bind_the_images_that_have_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, bool], found: dict[str, int]
) -> None:
    """The network takes all for the second class, then the first."""
    scores = torch.tensor([0.1, 0.3, 0.6]).reshape(3, 1, 1).expand(3, 4, 5)
    monkeypatch.setattr(inference, "class_probabilities", lambda model, image, settings: scores)
    segmenter = SimpleNamespace(model=torch.nn.Linear(1, 1), classes=("cat", "dog"))
    records = [Record("tagged", "a.png", "", ("cat",), "train"), Record("bare", "a.png", "", (), "train")]
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    predicted = predict_images(segmenter, records, tmp_path, InferenceSettings(), **options)
    assert {name: own.argmax(axis=0).max() for name, _, own in predicted} == found
