"""The original's numbers are set beside ours only where that is fair, and a run of today beside recorded ones."""

import statistics

import numpy as np
import pandas as pd
import pytest
from made_up import runs, runs_dir, write  # noqa: F401
from scipy.stats import t

from labhelpers import cifar10, models
from labhelpers.backend import keras
from labhelpers.data import Cifar10
from labhelpers.evaluation import evaluate, typeset
from labhelpers.study.comparison import among_runs, beside_original, networks, on_held_out, on_parts, texts_among_runs
from labhelpers.study.experiments import experiment

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


def beside(id, evaluation, name="CIFAR-10", model=None, **other):
    cifar = Cifar10(*[np.empty(0)] * 4, name, digest="", source="")
    _, _, n_train, epochs, *_ = ORIGINAL[id]
    settings = {"n_train": n_train, "epochs": epochs, "batch_size": 32} | other
    return beside_original(id, model or experiment(id).build(1), evaluation, cifar, **settings)


@pytest.mark.parametrize("id", ORIGINAL)
def test_ours_is_beside_the_original(id, evaluation):
    claim, network, n_train, epochs, accuracy, loss = ORIGINAL[id]
    named = (claim, f"{network}, {n_train:,} images, {epochs} epochs")
    columns = ["claim", "network", "measure", "original", "ours", "low", "high"]
    rows = [(*named, "test accuracy", accuracy, 0.6, *evaluation.interval)]
    rows += [(*named, "test loss", loss, evaluation.loss, np.nan, np.nan)] * (loss is not None)
    expected = pd.DataFrame(rows, columns=columns)
    pd.testing.assert_frame_equal(beside(id, evaluation), expected)


@pytest.mark.parametrize(
    "other, named",
    [
        ({"n_train": 2_000}, "2,000 images, 10 epochs"),
        ({"epochs": 1}, "20,000 images, 1 epoch"),
        ({"name": "stand-in images"}, "20,000 images, 10 epochs"),
        ({"batch_size": 64}, "20,000 images, 10 epochs"),
    ],
)
def test_other_images_and_settings_are_not_compared(other, named, evaluation):
    fair, table = beside("baseline-20000", evaluation), beside("baseline-20000", evaluation, **other)
    assert fair["original"].notna().all() and table["original"].isna().all()
    assert table["network"][0] == f"baseline, {named}", "what was run"
    pd.testing.assert_frame_equal(table, fair.assign(original=np.nan, network=table["network"]))


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SMOOTH = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)


def compiled(model, optimizer="adam", loss=LOSS):
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def own_network(dropout=0.0):
    """The deeper network as a student may write it."""
    layers = keras.layers
    start = [layers.Input((32, 32, 3), dtype="uint8"), layers.Rescaling(1 / 127.5, offset=-1)]
    for kernels, side in ((18, 5), (10, 3)):
        start += [layers.Conv2D(kernels, side, padding="same", activation="relu"), layers.MaxPooling2D()]
    end = [layers.Flatten(), *[layers.Dropout(dropout)] * bool(dropout)]
    return keras.Sequential([*start, *end, layers.Dense(64, activation="relu"), layers.Dense(10)])


@pytest.mark.parametrize(
    "build, named",
    [
        (lambda: compiled(own_network(dropout=0.3)), "your own network"),
        (lambda: compiled(models.baseline()), "baseline"),
        (lambda: compiled(models.deeper(), keras.optimizers.Adam(1e-2)), "deeper"),
        (lambda: compiled(models.deeper(), keras.optimizers.AdamW(1e-3)), "deeper"),
        (lambda: compiled(models.deeper(), loss=SMOOTH), "deeper"),
        (models.deeper, "deeper"),  # not compiled
    ],
)
def test_another_network_loss_or_optimizer_is_not_compared(build, named, evaluation):
    table = beside("deeper-40000", evaluation, model=build())
    assert table["original"].isna().all()
    assert table["network"][0] == f"{named}, 40,000 images, 20 epochs"


def test_the_same_network_written_out_is_compared(evaluation):
    own = beside("deeper-40000", evaluation, model=compiled(own_network()))
    pd.testing.assert_frame_equal(own, beside("deeper-40000", evaluation))


RECORDED = pd.Series([0.60, 0.61, 0.63])
OUTSIDE = "outside: by chance, as one run in twenty, or because more than the seed differs"


def test_recorded_runs_are_described_by_their_mean_spread_and_prediction_interval():
    low, high = t.interval(0.95, 2, RECORDED.mean(), RECORDED.std() * np.sqrt(4 / 3))
    said = (
        "The 3 recorded runs range from 60.0 % to 63.0 %, with a mean of 61.3 % and a standard deviation of "
        f"{100 * statistics.stdev(RECORDED):.2f} points. The 95 % prediction interval for one more run is "
        f"{100 * low:.1f} % to {100 * high:.1f} %"
    )
    assert among_runs(RECORDED) == typeset(f"{said}.")
    inside, outside = (low + 1e-6, high - 1e-6), (low - 1e-6, high + 1e-6)
    for today, where in (*((end, "inside") for end in inside), *((end, OUTSIDE) for end in outside)):
        assert among_runs(RECORDED, today) == typeset(f"{said}; today's {100 * today:.1f} % is {where}.")
    texts = texts_among_runs(RECORDED, original=0.62)
    assert "The original's 62\u00a0% is inside the grey band" in texts["caption"] and "dots" in texts["alt"]
    assert "is outside" in texts_among_runs(RECORDED, original=0.7)["caption"]
    assert texts_among_runs(RECORDED[:0], None)["caption"] == "No runs on these images are recorded."
    for few in (RECORDED[:1], RECORDED[:0]):
        assert among_runs(few, today=0.5) == "Too few runs on these images are recorded to compare with."


def test_networks_of_recorded_runs_with_what_they_cost_and_reach(runs_dir):  # noqa: F811
    reached = {name: np.linspace(0.1, 0.64, 10) for name in ("loss", "accuracy", "val_accuracy")}
    validation = reached | {"val_loss": np.array([2.0] * 6 + [1.0] + [2.0] * 3)}  # the seventh epoch is the best
    write(
        runs("baseline-40000", [0.6, 0.61, 0.62], history=validation, seconds=[[60.0] * 10, [66.0] * 10, [600.0] * 10])
    )
    labels = {"baseline-40000": "baseline", "deeper-40000": "not recorded"}
    table = networks(labels, cifar10.digest())
    assert list(table.index) == ["baseline"]
    assert table.loc["baseline"].to_dict() == pytest.approx(
        {"parameters": 296_130, "seconds": 330, "val_accuracy": 0.46}
    )
    assert networks(labels, "of other images").empty


def test_accuracies_on_parts_of_the_test_images_with_two_intervals(runs_dir):  # noqa: F811
    labels = np.zeros(10_000, int)
    # The first half is right.
    predictions = [(np.arange(10_000) // 5_000 * (np.arange(10_000) % n > 0)).astype(np.uint8) for n in (2, 4, 5)]
    write(runs("ladder-averaging", [0.9] * 3, predictions=predictions, tta_predictions=predictions[::-1]))
    shares = np.array([(each == 0).mean() for each in predictions])
    half = np.arange(10_000) < 5_000
    row = on_parts("ladder-averaging", False, labels, {"all": labels == 0, "half": half, "other": ~half})
    assert row["runs"] == "3"
    assert row["all"] == typeset(f"{100 * shares.mean():.1f} %") and row["half"] == typeset("100.0 %")
    low, high = t.interval(0.95, 2, shares.mean(), shares.std(ddof=1) / 3**0.5)
    assert row["interval, seeds"] == typeset(f"{100 * low:.1f} to {100 * high:.1f} %")
    seeds = shares.var(ddof=1) / 3
    both = seeds + shares.mean() * (1 - shares.mean()) / 10_000
    low, high = t.interval(0.95, 2 * (both / seeds) ** 2, shares.mean(), both**0.5)  # Satterthwaite
    assert row["interval, seeds and images"] == typeset(f"{100 * low:.1f} to {100 * high:.1f} %")
    write(runs("ladder-averaging", [0.9] * 3, predictions=[labels.astype(np.uint8)] * 3, tta_predictions=predictions))
    assert on_parts("ladder-averaging", True, labels, {"all": labels == 0})["all"] == row["all"]


def test_held_out_images_are_compared_with_test_images(runs_dir, cifar):  # noqa: F811
    labels, held_out_labels = cifar.test_labels, cifar.train_labels[40_000:45_000]
    assert on_held_out("deeper-40000", cifar, held_out_labels >= 0, labels >= 0) == {"runs": 0}
    right, wrong = held_out_labels.astype(np.uint8), (1 - np.minimum(held_out_labels, 1)).astype(np.uint8)
    answers = [np.where(np.arange(5_000) % n, right, wrong) for n in (2, 5)]  # a half and four fifths are right
    tested = np.where(np.arange(10_000) < 6_000, labels, 1 - np.minimum(labels, 1)).astype(np.uint8)
    write(runs("deeper-40000", [0.6] * 3, predictions=tested, held_out_predictions=[*answers, None]))
    kept, kept_test = np.arange(5_000) < 4_000, np.arange(10_000) < 8_000
    row = on_held_out("deeper-40000", cifar, kept, kept_test)
    each = (np.arange(4_000) % 2 > 0) / 2 + (np.arange(4_000) % 5 > 0) / 2
    reach = 1.959964 * (each.var() / 4_000 + 0.75 * 0.25 / 8_000) ** 0.5
    expected = {"runs": 2, "held out": 0.65, "test": 0.75, "difference": -0.1}
    assert row == pytest.approx(expected | {"low": -0.1 - reach, "high": -0.1 + reach})
