"""The original report's numbers are as it states them, and stand beside ours only where that is fair."""

import numpy as np
import pandas as pd
import pytest

from labhelpers import original
from labhelpers.data import Cifar10
from labhelpers.evaluation import evaluate


def _cifar(name):
    nothing = np.empty(0)
    return Cifar10(nothing, nothing, nothing, nothing, name, digest="", source="")


@pytest.fixture
def evaluation():
    """Six right of ten."""
    return evaluate(range(10), np.eye(10)[[0, 1, 2, 3, 4, 5, 0, 0, 0, 0]])


def test_results_are_those_of_the_report():
    stated = {name: (r.claim, r.accuracy, r.loss) for name, r in original.RESULTS.items()}
    assert stated == {
        "baseline": ("B3", 0.60, 1.18),
        "larger_training_set": ("L1", 0.65, None),
        "deeper": ("A2", 0.67, None),
    }


SETTINGS = {"baseline": (20_000, 10), "larger_training_set": (40_000, 10), "deeper": (40_000, 20)}


def beside(result, evaluation, name="CIFAR-10", **other):
    settings = dict(zip(("n_train", "epochs"), SETTINGS[result], strict=True)) | other
    return original.beside_original(result, evaluation, _cifar(name), **settings)


@pytest.mark.parametrize("result", original.RESULTS)
def test_ours_stands_beside_the_original(result, evaluation):
    stated = original.RESULTS[result]
    table = beside(result, evaluation)
    network = f"{stated.network}, {SETTINGS[result][0]:,} images, {SETTINGS[result][1]} epochs"
    columns = ["claim", "network", "measure", "original", "ours", "low", "high"]
    rows = [(stated.claim, network, "test accuracy", stated.accuracy, 0.6, *evaluation.interval)]
    if result == "baseline":  # the only one the report gives a loss for
        rows.append((stated.claim, network, "test loss", 1.18, evaluation.loss, np.nan, np.nan))
    pd.testing.assert_frame_equal(table, pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize("result", original.RESULTS)
def test_stand_in_images_are_not_compared(result, evaluation):
    real, drawn = beside(result, evaluation), beside(result, evaluation, "stand-in images")
    assert drawn["original"].isna().all()
    pd.testing.assert_frame_equal(drawn.drop(columns="original"), real.drop(columns="original"))


@pytest.mark.parametrize(
    "other", [{"n_train": 2_000}, {"epochs": 3}, {"batch_size": 64}, {"learning_rate": 0.01}]
)
@pytest.mark.parametrize("result", original.RESULTS)
def test_other_settings_are_not_compared(result, other, evaluation):
    table = beside(result, evaluation, **other)
    assert table["original"].isna().all()


def test_the_settings_of_the_hand_out_are_compared(evaluation):
    assert beside("deeper", evaluation, batch_size=32, learning_rate=1e-3)["original"].notna().all()


@pytest.mark.parametrize("other", [{"n_train": 2_000}, {"epochs": 3}])
def test_the_row_says_what_was_run(other, evaluation):
    table = beside("baseline", evaluation, **other)
    assert f"{next(iter(other.values())):,} " in table["network"][0]
