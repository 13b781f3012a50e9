"""People's answers are those published, and pairs are compared with scipy's correlation as the reference."""

import numpy as np
import pytest
from scipy.stats import rankdata

from labhelpers.study import people


def test_people_are_right_as_often_as_published():
    matrix = people.CONFUSION_MATRIX
    assert matrix.sum() == 511_000
    assert matrix.trace() / matrix.sum() == pytest.approx(0.9524, abs=5e-5)
    assert list(people.confused_pairs(matrix))[:2] == [(3, 5), (4, 7)], "cat and dog, deer and horse"


def test_pairs_are_taken_either_way_and_classes_by_their_size():
    matrix = np.diag([90] * 10)
    matrix[0, 1], matrix[1, 0] = 10, 30
    matrix[2:, 3] += 10
    pairs = people.confused_pairs(matrix)
    assert len(pairs) == 45
    assert pairs[0, 1] == pytest.approx((0.1 + 0.25) / 2) == max(pairs.values())


def test_agreement_is_full_with_themselves_and_none_with_the_reverse():
    same = people.agreement(people.CONFUSION_MATRIX)
    assert same == (pytest.approx(1), 45, 5, 5)
    pairs = people.confused_pairs(people.CONFUSION_MATRIX)
    reverse = np.eye(10) * 1_000
    for (low, high), rank in zip(pairs, rankdata(list(pairs.values())), strict=True):
        reverse[low, high] = reverse[high, low] = 46 - rank
    reverse[np.diag_indices(10)] = 1_000 - (reverse.sum(axis=1) - 1_000)  # all rows have the same sum
    opposite = people.agreement(reverse)
    assert opposite.correlation == pytest.approx(-1) and opposite.shared == 0
