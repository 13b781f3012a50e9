"""The human labels are those published; SciPy is the reference for their entropy and the correlation of pairs."""

import hashlib
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import entropy, rankdata

from labhelpers import paths, usage
from labhelpers.errors import DataDamaged
from labhelpers.study import human_labels

MATRIX = np.diag([90] * 10)
MATRIX[0, 1], MATRIX[1, 0] = 10, 30


def test_humans_are_right_as_often_as_published():
    matrix = human_labels.CONFUSION_MATRIX
    assert matrix.sum() == 511_000
    assert pytest.approx(0.9524, abs=5e-5) == human_labels.ONE_HUMAN and human_labels.MAJORITY == 0.9921
    assert list(human_labels.confused_pairs(matrix))[:2] == [(3, 5), (4, 7)], "cat and dog, deer and horse"


def test_pairs_are_taken_either_way_and_classes_by_their_size():
    matrix = MATRIX.copy()
    matrix[2:, 3] += 10
    matrix[9] = 0  # a class without images
    pairs = human_labels.confused_pairs(matrix)
    assert len(pairs) == 45 and pairs[0, 1] == pytest.approx((0.1 + 0.25) / 2) == max(pairs.values())
    assert pairs[3, 9] == 0


def test_agreement_is_full_with_themselves_and_none_with_the_reverse():
    assert human_labels.agreement(human_labels.CONFUSION_MATRIX) == (pytest.approx(1), 5)
    pairs = human_labels.confused_pairs(human_labels.CONFUSION_MATRIX)
    reverse = np.zeros((10, 10))
    for (low, high), rank in zip(pairs, rankdata(list(pairs.values())), strict=True):
        reverse[low, high] = reverse[high, low] = 46 - rank
    reverse += np.diag(1_000 - reverse.sum(axis=1))  # all rows have the same sum
    assert human_labels.agreement(reverse) == (pytest.approx(-1), 0)


def test_disagreement_is_entropy_in_bits():
    answers = np.array([[50, 0, 0, 0], [25, 25, 0, 0], [10, 10, 10, 10], [30, 10, 0, 0]])
    assert human_labels.disagreement(answers) == pytest.approx(entropy(answers, base=2, axis=1))


@pytest.mark.parametrize("folder", ["cifar-10-batches-py", ".", "project/data"])
def test_only_the_authors_own_answers_are_read(folder, tmp_path, monkeypatch, tells):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "cifar-10-batches-py"))
    monkeypatch.setattr(paths, "project", lambda: tmp_path / "project")
    monkeypatch.setattr(usage, "used", defaultdict(set))
    assert human_labels.counts() is None
    assert usage.used == {"optional files": {"cifar10h-counts.npy"}}, "results without them are others"
    path = tmp_path / folder / human_labels.COUNTS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"something else")
    with tells(DataDamaged, path, "data/README.md"):
        human_labels.counts()
    counts = np.full((3, 10), 5)
    np.save(path, counts)
    monkeypatch.setattr(human_labels, "COUNTS_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    assert (human_labels.counts() == counts).all()


def test_the_authors_counts_add_up_to_the_published_table(real_cifar):
    counts, labels = human_labels.counts(), real_cifar.test_labels
    if counts is None:
        pytest.skip("the file of CIFAR-10H is not on this machine")
    assert counts.shape == (10_000, 10)
    by_class = np.array([counts[labels == label].sum(axis=0) for label in range(10)])
    assert (by_class == human_labels.CONFUSION_MATRIX).all()
    assert (counts.argmax(axis=1) == labels).mean() == pytest.approx(human_labels.MAJORITY, abs=1e-3)
