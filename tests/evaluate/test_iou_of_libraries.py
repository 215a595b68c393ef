"""mIoU as mmsegmentation and torchmetrics count it, on random masks with ignored pixels."""

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from torchmetrics.classification import MulticlassJaccardIndex

from stages.evaluate.confusion import class_ious, confusion_matrix, mean_iou
from stages.images import IGNORE

CLASSES = 20


@pytest.fixture(params=range(3))
def masks(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Truth with 255 and predictions, [6, rows, columns] uint8; two thirds of the pixels agree."""
    random = np.random.default_rng(request.param)
    truth = random.integers(0, CLASSES + 1, (6, 40, 50), dtype=np.uint8)
    predicted = np.where(random.random(truth.shape) < 2 / 3, truth, random.integers(0, CLASSES + 1, truth.shape))
    truth[random.random(truth.shape) < 0.1] = IGNORE
    return truth, predicted.astype(np.uint8)


def ours(masks: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return sum(confusion_matrix(truth, predicted, CLASSES) for truth, predicted in zip(*masks, strict=True))


def test_iou_is_mmsegmentations(masks) -> None:
    truth, predicted = masks
    areas = [
        IoUMetric.intersect_and_union(torch.from_numpy(own).long(), torch.from_numpy(true).long(), CLASSES + 1, IGNORE)
        for true, own in zip(truth, predicted, strict=True)
    ]
    intersection, union, *_ = (sum(parts).double().numpy() for parts in zip(*areas, strict=True))
    np.testing.assert_allclose(class_ious(ours(masks)), 100 * intersection / union, rtol=0, atol=1e-6)
    metric = IoUMetric(ignore_index=IGNORE)
    metric.dataset_meta = {"classes": [str(number) for number in range(CLASSES + 1)]}
    rounded = metric.compute_metrics(areas)["mIoU"]  # it rounds to two decimals
    assert mean_iou(ours(masks)) == pytest.approx(rounded, abs=0.005)


def test_iou_is_torchmetrics(masks) -> None:
    truth, predicted = (torch.from_numpy(one).long() for one in masks)
    metric = MulticlassJaccardIndex(CLASSES + 1, ignore_index=IGNORE, average="none", validate_args=False)
    expected = metric(predicted, truth).double().numpy()
    np.testing.assert_allclose(class_ious(ours(masks)) / 100, expected, rtol=0, atol=1e-6)
    macro = MulticlassJaccardIndex(CLASSES + 1, ignore_index=IGNORE, average="macro", validate_args=False)
    assert mean_iou(ours(masks)) / 100 == pytest.approx(macro(predicted, truth).item(), abs=1e-6)
