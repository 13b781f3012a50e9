"""What a classifier got right and wrong, held against statsmodels, scikit-learn and sums done by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from labhelpers import evaluation
from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.errors import LabError


def _random_case(seed, n, classes=range(10), label_type=int, probability_type=float):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(10, 0.3), n).astype(probability_type)
    return rng.choice(classes, n).astype(label_type), probabilities


CASES = {
    "500 images": _random_case(0, 500),
    "one image": _random_case(1, 1),
    "no cats, no trucks": _random_case(2, 300, [0, 1, 2, 4, 5, 6, 7, 8]),
    "types of Keras and CIFAR-10": _random_case(3, 400, range(10), np.uint8, np.float32),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


@pytest.fixture
def by_hand():
    """37 answers: 4 airplanes, 20 cats, 10 frogs and 3 trucks."""
    answers = {
        ("airplane", "airplane"): 1,
        ("airplane", "ship"): 2,
        ("airplane", "bird"): 1,
        ("cat", "cat"): 11,
        ("cat", "dog"): 6,
        ("cat", "truck"): 3,
        ("frog", "frog"): 9,
        ("frog", "cat"): 1,
        ("truck", "truck"): 3,
    }
    pairs = [pair for pair, n in answers.items() for _ in range(n)]
    true, predicted = np.array([[CLASS_NAMES.index(name) for name in pair] for pair in pairs]).T
    return evaluation.evaluate(true, np.eye(10)[predicted])


# evaluate


def test_loss_is_scikit_learns_log_loss(case):
    labels, probabilities = case
    exact = probabilities.astype(float)
    expected = metrics.log_loss(labels, exact / exact.sum(axis=1, keepdims=True), labels=range(10))
    assert evaluation.evaluate(*case).loss == pytest.approx(expected, rel=1e-5)


def test_accuracy_and_confusion_matrix_are_scikit_learns(case):
    labels, probabilities = case
    result = evaluation.evaluate(*case)
    predictions = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(result.predictions, predictions)
    assert result.accuracy == pytest.approx(metrics.accuracy_score(labels, predictions))
    expected = metrics.confusion_matrix(labels, predictions, labels=range(10))
    np.testing.assert_array_equal(result.confusion_matrix, expected)


def test_interval_is_that_of_the_accuracy(case):
    labels, probabilities = case
    correct = (probabilities.argmax(axis=1) == labels).sum()
    expected = proportion_confint(correct, len(labels), method="wilson")
    assert evaluation.evaluate(*case).interval == pytest.approx(expected)


def test_certainty_in_a_wrong_class_costs_much_but_not_everything():
    loss = evaluation.evaluate([0, 1], np.eye(10)[[0, 0]]).loss
    assert 20 < loss < 100


ONE = np.eye(10)[[3]]


@pytest.mark.parametrize(
    "labels, probabilities",
    [
        pytest.param([], np.empty((0, 10)), id="no images"),
        pytest.param([3, 3], ONE, id="more labels than rows"),
        pytest.param([[3]], ONE, id="labels in a column, as Keras has them"),
        pytest.param([3], np.ones((1, 9)) / 9, id="nine classes"),
        pytest.param([3], [0.1] * 10, id="probabilities of one image, not in a row"),
        pytest.param([10], ONE, id="label 10"),
        pytest.param([-1], ONE, id="label -1"),
        pytest.param([3], 7 * ONE - 2, id="logits"),
        pytest.param([3], 3 * ONE - np.eye(10)[[4]] - np.eye(10)[[5]], id="negative, though the sum is 1"),
        pytest.param([3], ONE * np.nan, id="not numbers"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(labels, probabilities, tells):
    with tells(LabError):
        evaluation.evaluate(labels, probabilities)


# Intervals


@pytest.mark.parametrize("correct, n", [(0, 10), (10, 10), (1, 1), (3, 7), (600, 1_000), (6_000, 10_000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_accuracy_interval_is_statsmodels_wilson_interval(correct, n, confidence):
    expected = proportion_confint(correct, n, alpha=1 - confidence, method="wilson")
    assert evaluation.accuracy_interval(correct, n, confidence) == pytest.approx(expected, abs=1e-12)


def test_accuracy_interval_knows_nothing_without_images():
    assert evaluation.accuracy_interval(0, 0) == (0, 1)


# Tables


def test_per_class_counts_and_intervals(case):
    labels, probabilities = case
    table = evaluation.evaluate(*case).per_class()
    predictions = probabilities.argmax(axis=1)
    assert list(table.columns) == ["class", "images", "correct", "accuracy", "low", "high"]
    assert tuple(table["class"]) == CLASS_NAMES
    for label, row in table.iterrows():
        chosen = labels == label
        assert row["images"] == chosen.sum()
        assert row["correct"] == (chosen & (predictions == label)).sum()
        if chosen.any():
            assert row["accuracy"] == pytest.approx(
                metrics.accuracy_score(labels[chosen], predictions[chosen])
            )
            expected = proportion_confint(row["correct"], row["images"], method="wilson")
            assert (row["low"], row["high"]) == pytest.approx(expected)
        else:
            assert (row["low"], row["high"]) == (0, 1)


def test_most_confused_lists_the_most_frequent_mistakes_first(by_hand):
    expected = pd.DataFrame(
        [("cat", "dog", 6, 0.3), ("cat", "truck", 3, 0.15), ("airplane", "ship", 2, 0.5)],
        columns=["true", "predicted", "images", "share"],
    )
    pd.testing.assert_frame_equal(by_hand.most_confused(3), expected)


def test_most_confused_lists_only_mistakes_that_were_made(by_hand):
    assert len(by_hand.most_confused(20)) == 5
    assert by_hand.most_confused(20)["images"].min() == 1


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
        assert (row["low"], row["high"]) == pytest.approx(proportion_confint(within, errors, method="wilson"))


def test_group_errors_by_chance_is_what_random_answers_give():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200_000)
    table = evaluation.evaluate(labels, np.eye(10)[rng.integers(0, 10, len(labels))]).group_errors()
    np.testing.assert_allclose(table["share"], table["by_chance"], atol=0.01)


def test_group_errors_without_a_mistake_knows_nothing_about_mistakes():
    table = evaluation.evaluate(range(10), np.eye(10)).group_errors()
    assert table["errors"].tolist() == [0, 0]
    assert table[["low", "high"]].to_numpy().tolist() == [[0, 1], [0, 1]]


# What one set of predictions gained over another


def _paired(both, won, lost, neither):
    """Labels and two sets of predictions, all of class 0, with so many right in both, in the second, ..."""
    before = np.repeat([0, 1, 0, 1], [both, won, lost, neither])
    after = np.repeat([0, 0, 1, 1], [both, won, lost, neither])
    return np.zeros(len(before), int), before, after


def test_accuracy_gain_is_the_difference_of_accuracies():
    rng = np.random.default_rng(0)
    labels, before, after = rng.integers(0, 10, (3, 2_000))
    table = evaluation.accuracy_gain(labels, before, after)
    assert tuple(table["class"]) == (*CLASS_NAMES, "all")
    for row, chosen in zip(
        table.to_dict("records"), [*(labels == k for k in range(10)), labels >= 0], strict=True
    ):
        scores = [metrics.accuracy_score(labels[chosen], guess[chosen]) for guess in (before, after)]
        assert row["gain"] == pytest.approx(scores[1] - scores[0])
        assert row["low"] < row["gain"] < row["high"]


def test_accuracy_gain_is_its_own_opposite_when_the_two_are_exchanged():
    labels, before, after = np.random.default_rng(1).integers(0, 10, (3, 500))
    there = evaluation.accuracy_gain(labels, before, after)
    back = evaluation.accuracy_gain(labels, after, before)
    np.testing.assert_allclose(there[["gain", "low", "high"]], -back[["gain", "high", "low"]], atol=1e-12)


def test_accuracy_gain_agrees_with_a_published_example():
    # Agresti, Categorical Data Analysis: 1,600 people asked twice, a change of 0.04, standard error 0.0095.
    last = evaluation.accuracy_gain(*_paired(794, 150, 86, 570)).iloc[-1]
    assert last["gain"] == pytest.approx(0.04)
    assert (last["low"], last["high"]) == pytest.approx(
        (0.04 - 1.96 * 0.0095, 0.04 + 1.96 * 0.0095), abs=5e-4
    )


def test_accuracy_gain_adds_half_an_image_to_each_cell():
    # 12 won and 4 lost of 100: 8/102 -+ 1.95996 sqrt(12.5 + 4.5 - 8^2/102) / 102
    last = evaluation.accuracy_gain(*_paired(60, 12, 4, 24)).iloc[-1]
    assert (last["gain"], last["low"], last["high"]) == pytest.approx((0.08, 0.000680, 0.156182), abs=1e-6)


@pytest.mark.parametrize("won, lost", [(40, 15), (15, 40), (20, 18), (0, 0), (30, 30), (12, 1)])
def test_accuracy_gain_leaves_out_zero_where_mcnemar_s_test_rejects(won, lost):
    last = evaluation.accuracy_gain(*_paired(500, won, lost, 300)).iloc[-1]
    rejects = mcnemar([[500, lost], [won, 300]], exact=True).pvalue < 0.05
    assert (last["low"] > 0 or last["high"] < 0) == rejects


def test_accuracy_gain_covers_the_truth_19_times_in_20():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 60)
    covered = []
    for _ in range(150):
        # Each image is won with probability 0.15 and lost with 0.08: the truth is a gain of 0.07.
        outcome = rng.random(len(labels))
        before = np.where(outcome < 0.15, (labels + 1) % 10, labels)
        after = np.where(outcome > 0.92, (labels + 1) % 10, labels)
        table = evaluation.accuracy_gain(labels, before, after)
        covered.append((table["low"] < 0.07) & (table["high"] > 0.07))
    assert 0.935 < np.mean(covered) < 0.985


# Text


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((0.5944,), "59.4 %"),
        ((1,), "100.0 %"),
        ((0.594, (0.5843, 0.6036)), "59.4 % (58.4 to 60.4)"),
        ((0.0, (0.0, 0.0004)), "0.0 % (0.0 to 0.0)"),
    ],
)
def test_percent_is_readable(arguments, text):
    assert evaluation.percent(*arguments) == text
