"""What a classifier got right and wrong, compared with pandas, SciPy and sums done by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import rel_entr
from scipy.stats import binomtest

from labhelpers import evaluation
from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.errors import LabError


def _random_case(seed, n, classes=range(10), label_type=int, probability_type=float):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(10, 0.3), n).astype(probability_type)
    return rng.choice(classes, n).astype(label_type), probabilities


CASES = {
    "one image": _random_case(1, 1),
    "no cats, no trucks": _random_case(2, 300, [0, 1, 2, 4, 5, 6, 7, 8]),
    "types of Keras and CIFAR-10": _random_case(3, 400, range(10), np.uint8, np.float32),
}
case = pytest.mark.parametrize(("labels", "probabilities"), CASES.values(), ids=CASES)


def wilson(k, n):
    return tuple(binomtest(int(k), int(n)).proportion_ci(method="wilson"))


@pytest.fixture
def by_hand():
    """37 answers: 4 airplanes, 20 cats, 10 frogs and 3 trucks."""
    answers = "airplane airplane 1, airplane ship 2, airplane bird 1, cat cat 11, cat dog 6, cat truck 3, frog frog 9"
    pairs = []
    for answer in f"{answers}, frog cat 1, truck truck 3".split(", "):
        true, predicted, n = answer.split()
        pairs += int(n) * [(CLASS_NAMES.index(true), CLASS_NAMES.index(predicted))]
    true, predicted = np.array(pairs).T
    return evaluation.evaluate(true, np.eye(10)[predicted])


@case
def test_evaluation_is_that_of_pandas_and_scipy(labels, probabilities):
    result = evaluation.evaluate(labels, probabilities)
    exact, predictions = probabilities.astype(float), probabilities.argmax(axis=1)
    # The cross-entropy is the divergence of what is certain.
    losses = rel_entr(np.eye(10)[labels], exact / exact.sum(axis=1, keepdims=True)).sum(axis=1)
    np.testing.assert_allclose(result.losses, losses, rtol=1e-5)
    assert result.loss == result.losses.mean()
    np.testing.assert_array_equal(result.predictions, predictions)
    classes = range(10)
    expected = pd.crosstab(labels, predictions).reindex(index=classes, columns=classes, fill_value=0)
    assert result.accuracy == pytest.approx(np.trace(expected) / len(labels))
    np.testing.assert_array_equal(result.confusion_matrix, expected)
    interval = wilson((predictions == labels).sum(), len(labels))
    assert result.interval == pytest.approx(interval)


def test_certainty_in_a_wrong_class_costs_much_but_not_everything():
    loss = evaluation.evaluate([0, 1], np.eye(10)[[0, 0]]).loss
    assert 20 < loss < 100


ONE = np.eye(10)[[3]]


WRONG = {
    "no images": ([], np.empty((0, 10))),
    "more labels than rows": ([3, 3], ONE),
    "labels in a column, as Keras has them": ([[3]], ONE),
    "nine classes": ([3], np.ones((1, 9)) / 9),
    "label 10": ([10], ONE),
    "label -1": ([-1], ONE),
    "label 2.5": ([2.5], ONE),
    "logits": ([3], 7 * ONE - 2),
    "a sum of 2": ([3], 2 * ONE),
    "negative, though the sum is 1": ([3], 3 * ONE - np.eye(10)[[4]] - np.eye(10)[[5]]),
    "not numbers": ([3], ONE * np.nan),
}


@pytest.mark.parametrize("labels, probabilities", WRONG.values(), ids=WRONG)
def test_what_cannot_be_evaluated_is_refused(labels, probabilities, tells):
    with tells(LabError):
        evaluation.evaluate(labels, probabilities)


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (3, 7), (6_000, 10_000)])
def test_accuracy_interval_is_scipys_wilson_interval(correct, n):
    expected = wilson(correct, n)
    assert evaluation.accuracy_interval(correct, n) == pytest.approx(expected, abs=1e-12)


@case
def test_per_class_counts_and_intervals(labels, probabilities):
    table = evaluation.evaluate(labels, probabilities).per_class()
    correct = probabilities.argmax(axis=1) == labels
    assert list(table.columns) == ["class", "images", "correct", "accuracy", "low", "high"]
    assert tuple(table["class"]) == CLASS_NAMES
    for label, row in table.iterrows():
        chosen = labels == label
        assert (row["images"], row["correct"]) == (chosen.sum(), correct[chosen].sum())
        interval = 0, 1
        assert row["accuracy"] == pytest.approx(correct[chosen].mean() if chosen.any() else 0)
        if chosen.any():
            interval = wilson(row["correct"], row["images"])
        assert (row["low"], row["high"]) == pytest.approx(interval)


def test_most_confused_lists_the_most_frequent_mistakes_first_and_nothing_else(by_hand):
    expected = pd.DataFrame(
        [("cat", "dog", 6, 0.3), ("cat", "truck", 3, 0.15), ("airplane", "ship", 2, 0.5)],
        columns=["true", "predicted", "images", "share"],
    )
    pd.testing.assert_frame_equal(by_hand.most_confused(3), expected)
    assert by_hand.most_confused(20)["images"].tolist() == [6, 3, 2, 1, 1]


def test_group_errors_by_hand(by_hand):
    animals, vehicles = by_hand.group_errors().to_dict("records")
    # 30 cats and frogs, 20 right; of the 10 mistakes 7 are animals. 7 vehicles, 4 right; 2 of 3 are vehicles.
    for row, (group, images, accuracy, errors, within, by_chance) in (
        (animals, ("animals", 30, 20 / 30, 10, 7, 5 / 9)),
        (vehicles, ("vehicles", 7, 4 / 7, 3, 2, 3 / 9)),
    ):
        assert (row["group"], row["images"], row["errors"], row["within"]) == (group, images, errors, within)
        assert (row["accuracy"], row["by_chance"]) == pytest.approx((accuracy, by_chance))
        assert row["share"] == pytest.approx(within / errors)
        assert (row["low"], row["high"]) == pytest.approx(wilson(within, errors))


@pytest.mark.parametrize("labels", [range(10), [0, 1]], ids=["no mistakes", "no animals"])
def test_group_errors_without_a_mistake_says_nothing_about_mistakes(labels):
    table = evaluation.evaluate(labels, np.eye(10)[labels]).group_errors()
    assert table["errors"].tolist() == table["share"].tolist() == [0, 0]
    assert table["accuracy"].tolist() == [float(len(labels) > 2), 1]
    assert table[["low", "high"]].to_numpy().tolist() == [[0, 1], [0, 1]]


# What one set of predictions gained over another


def _overall(both, won, lost, neither):
    """The last row for images of class 0, so many of them right in both predictions, in the second, ..."""
    before = np.repeat([0, 1, 0, 1], [both, won, lost, neither])
    after = np.repeat([0, 0, 1, 1], [both, won, lost, neither])
    return evaluation.accuracy_gain(np.zeros(len(before), int), before, after).iloc[-1]


def test_accuracy_gain_is_the_difference_of_accuracies_and_changes_its_sign_with_the_order():
    labels, before, after = np.random.default_rng(0).integers(0, 10, (3, 2_000))
    table = evaluation.accuracy_gain(labels, before, after)
    assert tuple(table["class"]) == (*CLASS_NAMES, "all")
    chosen_images = [*(labels == k for k in range(10)), labels >= 0]
    for row, chosen in zip(table.to_dict("records"), chosen_images, strict=True):
        scores = [np.mean(guess[chosen] == labels[chosen]) for guess in (before, after)]
        assert row["gain"] == pytest.approx(scores[1] - scores[0])
        assert row["low"] < row["gain"] < row["high"]
    back = evaluation.accuracy_gain(labels, after, before)
    np.testing.assert_allclose(table[["gain", "low", "high"]], -back[["gain", "high", "low"]], atol=1e-12)


def test_accuracy_gain_agrees_with_a_published_example_and_one_by_hand():
    # Agresti, Categorical Data Analysis: 1,600 people asked twice, a change of 0.04, standard error 0.0095.
    row = _overall(794, 150, 86, 570)
    assert row["gain"] == pytest.approx(0.04)
    assert (row["low"], row["high"]) == pytest.approx((0.04 - 1.96 * 0.0095, 0.04 + 1.96 * 0.0095), abs=5e-4)
    # Half an image is added to each cell: 12 won and 4 lost of 100: 8/102 -+ 1.95996 sqrt(12.5 + 4.5 - 8^2/102) / 102
    row = _overall(60, 12, 4, 24)
    assert (row["gain"], row["low"], row["high"]) == pytest.approx((0.08, 0.000680, 0.156182), abs=1e-6)


def test_texts_have_a_true_minus_sign_and_a_percent_sign_on_the_same_line():
    assert evaluation.percent(0.5944) == "59.4\u00a0%"
    assert evaluation.percent(0.5944, digits=0) == "59\u00a0%"
    assert evaluation.percent(0.594, (0.5843, 0.6036)) == "59.4\u00a0% (58.4 to 60.4)"
    text = "-4.0 points (-10 to -1.9), +2 %: CIFAR-10H, --repeat deeper-40000 0, 1e-3"
    assert evaluation.typeset(text) == "−4.0 points (−10 to −1.9), +2\u00a0%: CIFAR-10H, --repeat deeper-40000 0, 1e-3"


def test_calibration_sorts_answers_by_their_probability_into_equal_parts():
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.1, 1, 500)
    sure[:3] = 1.0, 0.3, 0.2999
    right = generator.random(500) < sure**2
    table = evaluation.calibration(sure, right)
    edges = pd.cut(sure, np.arange(11) / 10, right=False, labels=False, include_lowest=True)
    part = np.where(sure == 1, 9, edges)
    assert table["answers"].tolist() == [(part == number).sum() for number in range(1, 10)]
    for (_, row), number in zip(table.iterrows(), range(1, 10), strict=True):
        assert row["confidence"] == pytest.approx(sure[part == number].mean())
        assert row["accuracy"] == pytest.approx(right[part == number].mean())
    errors = [abs(sure[part == n].mean() - right[part == n].mean()) * (part == n).mean() for n in range(1, 10)]
    assert evaluation.calibration_error(table) == pytest.approx(sum(errors))
    assert evaluation.calibration_error(evaluation.calibration([0.75] * 4, [True, True, True, False])) == 0
    assert len(evaluation.calibration(sure, right, bins=1)) == 1
