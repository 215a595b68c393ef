"""Confusion and rates: against numbers worked by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from stages.errors import DataError
from stages.evaluate.confusion import class_ious, confusion_matrix, error_rates, mean_iou

# Truth 0 0 1 1 2 255, prediction 0 1 1 1 0 2. The last pixel is not counted.
# Background: 1 hit of {0, 0, 1, 2} -> pixels 1, 2 true, 1, 5 predicted: 1/3. Class 1: 2/3. Class 2: 0/1.
TRUTH = np.array([0, 0, 1, 1, 2, 255], dtype=np.uint8)
PREDICTED = np.array([0, 1, 1, 1, 0, 2], dtype=np.uint8)


def test_worked_by_hand():
    confusion = confusion_matrix(TRUTH, PREDICTED, 2)
    assert confusion.dtype == np.int64
    assert confusion.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert class_ious(confusion) == pytest.approx([100 / 3, 200 / 3, 0])
    assert mean_iou(confusion) == pytest.approx(100 / 3)
    # False positives: pixel 5 of background's 3, pixel 2 of class 1's 3, none. Negatives: 1 of 3, none, 1 of 1.
    assert error_rates(confusion) == pytest.approx((100 * 2 / 9, 100 * 4 / 9))


def test_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.choice([0, 1, 2, 3, 4, 255], (40, 50)).astype(np.uint8)
    predicted = random.integers(0, 5, (40, 50), dtype=np.uint8)
    counted = truth != 255
    confusion = confusion_matrix(truth, predicted, 4)
    np.testing.assert_array_equal(confusion, metrics.confusion_matrix(truth[counted], predicted[counted]))
    expected = metrics.jaccard_score(truth[counted], predicted[counted], average=None)
    assert class_ious(confusion) == pytest.approx(100 * expected)
    assert mean_iou(confusion) == pytest.approx(100 * expected.mean())


def test_rates_sum_to_100():
    confusion = np.random.default_rng(1).integers(1, 1000, (6, 6))
    assert mean_iou(confusion) + sum(error_rates(confusion)) == pytest.approx(100)


def test_a_class_that_is_nowhere_is_left_out_and_one_only_predicted_counts_zero():
    truth = np.array([0, 0, 1], dtype=np.uint8)
    predicted = np.array([0, 3, 1], dtype=np.uint8)
    ious = class_ious(confusion_matrix(truth, predicted, 3))
    assert np.isnan(ious[2])
    assert ious[[0, 1, 3]].tolist() == [50, 100, 0]
    assert mean_iou(confusion_matrix(truth, predicted, 3)) == 50


def test_counts_beyond_32_bits():
    confusion = np.array([[3 * 2**32, 2**32], [0, 2**32]])
    assert class_ious(confusion) == pytest.approx([75, 50])


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="no pixel"):
        mean_iou(confusion_matrix(np.full(4, 255, dtype=np.uint8), np.zeros(4, dtype=np.uint8), 2))
