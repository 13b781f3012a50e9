"""Remarks are numbers that a direct computation from the records gives, too; SciPy is the reference."""

import numpy as np
import pytest
from made_up import SHORTER, around, confusion, found, runs
from scipy import stats

from labhelpers.study import human_labels, remarks
from labhelpers.study.claims import BASE, BY_ID, DEEPER, LARGER, RATES, Claim
from labhelpers.study.measures import Measure, Measured


def remark(id, *of_experiments):
    return BY_ID[id].remark(BY_ID[id], found(*of_experiments))


def test_other_settings_and_the_last_epoch_may_give_the_number():
    tried = {
        "the last epoch": around(0.61, 0.004, 10),
        "PyTorch's initial weights": around(0.62, 0.002, 5),
        "batches of 64": around(0.64, 0.004, 5),
        "one order of the images": around(0.65, 0.001, 4),
    }
    last, weights, batches, order = tried.values()
    recorded = found(
        runs(LARGER, around(0.63, 0.004, 10), last_accuracy=last),
        runs(f"{LARGER}-batch-64", batches),
        runs(f"{LARGER}-pytorch-weights", weights),
        runs(f"{LARGER}-one-order", order),
    )
    variants = remarks.explanations(BY_ID["L1"], recorded)["variants"]
    assert list(variants) == list(tried)
    assert variants.pop("one order of the images") is None, "four runs are too few to tell"
    for label, one_run in variants.items():
        n, deviation = len(tried[label]), np.std(tried[label], ddof=1)
        truth = stats.t.interval(0.95, n - 1, np.mean(tried[label]), deviation * np.sqrt(1 + 1 / n))
        assert one_run == (pytest.approx(truth[0]), pytest.approx(truth[1]), label == "batches of 64")


@pytest.mark.parametrize(
    "id, fields, needed, reached",
    [
        ("L1", {"accuracy": around(0.63, 0.004, 10)}, 0.645, 0),
        ("B3 accuracy", {"accuracy": [0.63] * 9 + [0.604]}, 0.605, 1),
        ("B3 accuracy", {"accuracy": [0.57] * 8 + [0.596, 0.595]}, 0.595, 2),
        ("B3 loss", {"accuracy": [0.6] * 10, "loss": [1.12] * 9 + [1.176]}, 1.175, 1),
        ("B3 loss", {"accuracy": [0.6] * 10, "loss": [1.24] * 9 + [1.184]}, 1.185, 1),
    ],
)
def test_a_lucky_seed_gives_what_just_rounds_to_the_number(id, fields, needed, reached):
    it = remarks.explanations(BY_ID[id], found(runs(BY_ID[id].experiments[0], **fields)))
    values = np.array(fields.get("loss", fields["accuracy"]))
    distance = abs(needed - values.mean()) / (values.std(ddof=1) * np.sqrt(1.1))
    assert (it["reached"], it["runs"], it["chance"]) == (reached, 10, pytest.approx(stats.t.sf(distance, 9)))


def test_a_measure_without_a_last_epoch_has_one_explanation_less():
    measure = Measure("code length", lambda record: Measured(record.loss), "bits", digits=3)
    claim = Claim("X1", "an image takes {number}", measure, (BASE,), 0.9, 0.05, 0.1)
    it = remarks.explanations(claim, found(runs(BASE, [0.6] * 5, loss=around(0.6, 0.01, 5))))
    assert list(it["variants"]) == ["images sampled anew for each seed"]


def test_confusions_are_compared_with_those_of_human_annotators():
    matrices = [confusion(), human_labels.CONFUSION_MATRIX, confusion(within=0.3)]
    it = remark("B4 animals", runs(BASE, [0.6] * 3, confusion_matrix=matrices))
    each = [human_labels.agreement(matrix) for matrix in matrices]
    expected = {"pairs": 45, "top": 5, "low": min(one.correlation for one in each), "high": 1}
    assert it == pytest.approx(expected | {"shared": sum(one.shared for one in each) / 3})


def test_classes_are_ranked_in_each_run():
    matrices = [confusion(0.6, cars=cars, vehicles=0.7) for cars in (0.65, 0.8, 0.75, 0.7, 0.72)]
    matrices[3][8, 8] += 1
    it = remark("B4 cars", runs(BASE, [0.6] * 5, confusion_matrix=matrices))
    # At 0.65 cars come after the three other vehicles.
    assert it == {"runs": 5, "easiest": {"automobile": 3, "ship": 1, "airplane": 1}, "best": 1, "worst": 4}
    assert next(iter(it["easiest"])) == "automobile", "most often first"


def test_networks_are_compared_by_multiplications_and_best_epochs():
    epochs = [5, 10, 11, 7, 20, 9, 3, 8, 6, 12]
    deeper = runs(DEEPER, [0.6] * 10, best_epoch=epochs, multiplications=300)
    larger, shorter = runs(LARGER, [0.6], multiplications=200), runs(SHORTER, [0.6] * 5)
    assert remark("A1 complexity", deeper, larger) == {"ratio": 1.5}
    label = "deeper, 40,000 images"
    assert remark("A1 epochs", deeper, shorter) == {"early": 7, "runs": 10, "label": label, "epochs": 10}


def test_the_best_network_is_the_last_improvement():
    it = remark("A3", runs("ladder-longer", [0.93, 0.94], tta_accuracy=[0.94, 0.96]))
    assert (it.pop("label"), it["runs"], it["planned"]) == ("improved network, up to twelve epochs", 2, 5)
    expected = {"accuracy": 0.935, "tta_accuracy": 0.95, "one_human": 0.9524, "majority": 0.9921}
    assert it == pytest.approx(expected | {"runs": 2, "planned": 5}, abs=5e-5)
    without = remark("A3")
    assert without["runs"] == 0 and np.isnan([without["accuracy"], without["tta_accuracy"]]).all()


def test_learning_rates_have_the_mean_accuracies_they_give():
    main, of_sgd = runs(DEEPER, [0.65, 0.66]), [0.4, 0.41, 0.42]
    others = [runs(rate, [accuracy]) for rate, accuracy in zip(RATES, (0.5, 0.68, 0.6, 0.4), strict=True)]
    sgd = runs(f"{DEEPER}-sgd-1e-3", of_sgd), runs(f"{DEEPER}-sgd-1e-2", [0.6, 0.61, 0.62])
    adam = {1e-3: 0.655, 1e-4: 0.5, 3e-4: 0.68, 3e-3: 0.6, 1e-2: 0.4}
    assert remark("A4", main, *others) == {"adam": pytest.approx(adam)}
    assert remark("A4", main, *others, *sgd)["sgd"] == pytest.approx({1e-3: 0.41, 1e-2: 0.61})
