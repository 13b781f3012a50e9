"""Remarks hold the numbers that a direct computation from the records gives; SciPy is the reference."""

import re

import numpy as np
import pytest
from made_up import around, claim, confusion, found, runs
from scipy import stats

from labhelpers.study import human_labels, remarks
from labhelpers.study.claims import BASE, DEEPER, LARGER, RATES, SHORTER, Claim
from labhelpers.study.measures import Measure, Measured


def remark(id, *of_experiments):
    return remarks.BY_CLAIM[id](claim(id), found(*of_experiments))


def numbers(sentence):
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", sentence)]


def test_other_settings_and_the_last_epoch_may_give_the_number():
    tried = {
        "the last epoch": around(0.61, 0.004, 10),
        "PyTorch's initial weights": around(0.62, 0.002, 5),
        "batches of 64": around(0.64, 0.004, 5),
    }
    last, weights, batches = tried.values()
    recorded = found(
        runs(LARGER, around(0.63, 0.003, 10), last_accuracy=last),
        runs(f"{LARGER}-batch-64", batches),
        runs(f"{LARGER}-pytorch-weights", weights),
        runs(f"{LARGER}-one-order", around(0.65, 0.001, 4)),  # too few
    )
    written = {}
    for label, values in tried.items():
        n, deviation = len(values), np.std(values, ddof=1)
        low, high = stats.t.interval(0.95, n - 1, np.mean(values), deviation * np.sqrt(1 + 1 / n))
        written[label] = f"{label} ({100 * low:.1f} % to {100 * high:.1f} %)"
    assert remarks.explanations(claim("L1"), recorded).replace("\u00a0", " ") == (
        f"One run can give 65 % with: {written.pop('batches of 64')}. It is unlikely with: {', '.join(written.values())}."
    )


def test_a_measure_without_a_last_epoch_has_one_explanation_less():
    measure = Measure("code length", lambda record: Measured(record.loss), "bits", digits=3)
    tested = Claim("X1", "an image takes so much", measure, (BASE,), 0.9, 0.05, 0.1)
    sentence = remarks.explanations(tested, found(runs(BASE, [0.6] * 5, loss=around(0.6, 0.01, 5))))
    assert sentence == "One run can give 0.9 bits with: nothing we tried."


def test_confusions_are_compared_with_those_of_human_annotators():
    matrices = [confusion(), human_labels.CONFUSION_MATRIX, confusion(within=0.3)]
    each = [human_labels.agreement(matrix) for matrix in matrices]
    low, shared = min(one.correlation for one in each), sum(one.shared for one in each) / 3
    sentence = remark("B4 animals", runs(BASE, [0.6] * 3, confusion_matrix=matrices))
    assert numbers(sentence) == [10, 45, round(low, 2), 1, round(shared, 1), 5, 5]


def test_classes_are_ranked_in_each_run():
    matrices = [confusion(0.6, cars=cars, vehicles=0.7) for cars in (0.65, 0.8, 0.75, 0.7, 0.72)]
    matrices[3][8, 8] += 1
    # At 0.65 cars come after the three other vehicles.
    assert remark("B4 cars", runs(BASE, [0.6] * 5, confusion_matrix=matrices)) == (
        "Easiest of 5 runs: automobile in 3, airplane in 1, ship in 1. Cars rank 1 to 4 of 10."
    )


@pytest.mark.parametrize(
    "more, size, would", [(464, "2.3 times the", "would hold"), (80, "40 % of the", "would not hold either")]
)
def test_networks_are_compared_by_multiplications(more, size, would):
    deeper, larger = runs(DEEPER, [0.6], multiplications=more), runs(LARGER, [0.6], multiplications=200)
    sentence = f"By another measure it {would}: it takes {size} multiplications."
    assert remark("A1 complexity", deeper, larger) == sentence


def test_early_best_epochs_are_counted():
    epochs = [5, 10, 11, 7, 20, 9, 3, 8, 6, 12]
    sentence = remark("A1 epochs", runs(DEEPER, [0.6] * 10, best_epoch=epochs), runs(SHORTER, [0.6] * 5))
    assert numbers(sentence) == [7, 10, 10]


def test_what_a_better_network_gains_and_poorer_images_cost():
    better, poorer = runs("ladder-averaging", [0.85] * 6), runs("deeper-40000-16-pixels", [0.62] * 5)
    original = runs(DEEPER, [0.65, 0.66, 0.67, 0.68, 0.69, 0.7])  # the last has no partner
    assert numbers(remark("A3b", original, better, poorer)) == [5, 18, 5, 16]


def test_the_best_network_is_the_last_improvement():
    sentence = remark("A3a", runs("ladder-longer", [0.93, 0.94], tta_accuracy=[0.94, 0.96]))
    assert "(improved network with twelve epochs, 50,000 training images)" in sentence
    assert numbers(sentence) == [50000, 93.5, 95, 2, 5, 95.2, 99.2, 10] and numbers(remark("A3a")) == [95.2, 99.2, 10]
    both = remark("A3a", runs(DEEPER, [0.65, 0.66]), runs("ladder-averaging", [0.86, 0.88]))
    assert numbers(both) == [40000, 65.5, 87, 95.2, 99.2, 10]


def test_learning_rates_have_the_mean_accuracies_they_give():
    others = [runs(rate, [accuracy]) for rate, accuracy in zip(RATES, (0.5, 0.68, 0.6, 0.4), strict=True)]
    sgd = runs(f"{DEEPER}-sgd-1e-3", [0.4, 0.41, 0.42]), runs(f"{DEEPER}-sgd-1e-2", [0.6, 0.61, 0.62])
    sentence = remark("A4", runs(DEEPER, [0.65, 0.66]), *others)
    assert sentence.startswith("Adam from") and numbers(sentence) == [0.0001, 0.01, 40, 68]
    _, of_sgd = remark("A4", runs(DEEPER, [0.65, 0.66]), *others, *sgd).split("; ")
    assert of_sgd.startswith("SGD from") and numbers(of_sgd) == [0.001, 0.01, 41, 61]
