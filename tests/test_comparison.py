"""The original's numbers are set beside ours only where that is fair, and a run of today beside recorded ones."""

import statistics

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from labhelpers.data import Cifar10
from labhelpers.evaluation import evaluate
from labhelpers.study.comparison import among_runs, beside_original

# By experiment: claim, network, number of images, epochs, the original's accuracy and loss.
ORIGINAL = {
    "baseline-20000": ("B3", "baseline", 20_000, 10, 0.60, 1.18),
    "baseline-40000": ("L1", "baseline", 40_000, 10, 0.65, None),
    "deeper-40000": ("A2", "deeper", 40_000, 20, 0.67, None),
}


@pytest.fixture
def evaluation():
    """Six right of ten."""
    return evaluate(range(10), np.eye(10)[[0, 1, 2, 3, 4, 5, 0, 0, 0, 0]])


def beside(id, evaluation, name="CIFAR-10", **other):
    cifar = Cifar10(*[np.empty(0)] * 4, name, digest="", source="")
    _, _, n_train, epochs, *_ = ORIGINAL[id]
    return beside_original(id, evaluation, cifar, **{"n_train": n_train, "epochs": epochs} | other)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 32, "learning_rate": 1e-3}])
@pytest.mark.parametrize("id", ORIGINAL)
def test_ours_is_beside_the_original(id, settings, evaluation):
    claim, network, n_train, epochs, accuracy, loss = ORIGINAL[id]
    named = (claim, f"{network}, {n_train:,} images, {epochs} epochs")
    columns = ["claim", "network", "measure", "original", "ours", "low", "high"]
    rows = [(*named, "test accuracy", accuracy, 0.6, *evaluation.interval)]
    rows += [(*named, "test loss", loss, evaluation.loss, np.nan, np.nan)] * (loss is not None)
    expected = pd.DataFrame(rows, columns=columns)
    pd.testing.assert_frame_equal(beside(id, evaluation, **settings), expected)


OTHER = [
    ({"n_train": 2_000}, " 2,000 images"),
    ({"epochs": 3}, " 3 epochs"),
    ({"name": "stand-in images"}, ""),
]
OTHER += [({"batch_size": 64}, ""), ({"learning_rate": 0.01}, "")]


@pytest.mark.parametrize("other, named", OTHER)
@pytest.mark.parametrize("id", ORIGINAL)
def test_other_images_and_settings_are_not_compared(id, other, named, evaluation):
    fair, table = beside(id, evaluation), beside(id, evaluation, **other)
    assert fair["original"].notna().all() and table["original"].isna().all()
    assert named in table["network"][0], "what was run"
    pd.testing.assert_frame_equal(table, fair.assign(original=np.nan, network=table["network"]))


RECORDED = pd.Series([0.60, 0.61, 0.63])


def test_recorded_runs_are_described_by_their_mean_spread_and_prediction_interval():
    low, high = t.interval(0.95, 2, RECORDED.mean(), RECORDED.std() * np.sqrt(4 / 3))
    said = among_runs(RECORDED)
    spread = f"standard deviation of {100 * statistics.stdev(RECORDED):.2f} points"
    for part in ("3 recorded runs", "average 61.3 %", "60.0 % to 63.0 %", spread):
        assert part in said
    assert said.endswith(f"gives {100 * low:.1f} % to {100 * high:.1f} %.")
    for inside in (low + 1e-6, high - 1e-6):
        assert among_runs(RECORDED, inside) == f"{said[:-1]}, and today's {100 * inside:.1f} % lies in that."
    for outside in (low - 1e-6, high + 1e-6):
        assert f"; today's {100 * outside:.1f} % lies outside: " in among_runs(RECORDED, outside)


def test_one_recorded_run_or_none_has_no_spread():
    assert among_runs(RECORDED[:1], today=0.5) == "1 recorded run: 60.0 %."
    assert among_runs(RECORDED[:0], today=0.5) == "Of these images no runs are recorded."
