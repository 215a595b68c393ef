"""From probabilities to masks: windows, tags, CRF."""

import numpy as np
import torch
from mmengine.config import ConfigDict

from stages.dense_crf import dense_crf
from stages.segment.inference import logits_of, mask_of, told
from stages.settings import CrfSettings


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


def test_crf_is_over_the_labels_that_win_pixels() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    probabilities = np.full((4, 20, 30), 0.01, dtype=np.float32)
    probabilities[0], probabilities[3, :, 10:] = 0.4, 0.6
    probabilities /= probabilities.sum(axis=0)
    np.testing.assert_array_equal(mask_of(image, probabilities, None), probabilities.argmax(axis=0))
    crf = CrfSettings(iterations=3)
    chosen = probabilities[[0, 3]] / probabilities[[0, 3]].sum(axis=0)
    expected = np.array([0, 3], dtype=np.uint8)[dense_crf(image, chosen, crf).argmax(axis=0)]
    refined = mask_of(image, probabilities, crf)
    np.testing.assert_array_equal(refined, expected)
    assert refined.dtype == np.uint8
    assert set(np.unique(refined)) <= {0, 3}
    one = np.zeros((4, 20, 30), dtype=np.float32)
    one[2] = 1
    assert (mask_of(image, one, crf) == 2).all()  # alone, it needs no CRF
