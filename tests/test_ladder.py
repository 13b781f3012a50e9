"""The ladder changes one thing at a time, and says of each rung what its records say."""

import itertools
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from labhelpers.study.arms import named

from labhelpers.study import ladder, records, statistics

ARMS = [named(name) for name in dict.fromkeys(rung.arm for rung in ladder.RUNGS)]
# What may differ between a rung and the one below it; all else must be the same.
CHANGES = {
    "ladder-batch-norm": {"network"},
    "ladder-three-blocks": {"network"},
    # A schedule is one change, though it takes another method and other batches.
    "ladder-schedule": {"optimizer", "learning_rate", "batch_size", "recipe"},
    "ladder-flips-and-shifts": {"recipe.flips_and_shifts"},
    "ladder-smoothing": {"recipe.label_smoothing"},
    "ladder-whitening": {"initial_weights"},
    "ladder-averaging": {"recipe.averaging", "seeds"},
    "ladder-all-images": {"n_train", "seeds"},
    "ladder-width": {"network", "seeds"},
    "ladder-longer": {"epochs", "seeds"},
}


def _flat(arm):
    settings = asdict(arm)
    recipe = settings["recipe"] or {}
    return settings | {f"recipe.{name}": value for name, value in recipe.items()}


@pytest.mark.parametrize("lower, upper", list(itertools.pairwise(ARMS)), ids=lambda arm: arm.name)
def test_each_rung_changes_one_thing(lower, upper):
    before, after = _flat(lower), _flat(upper)
    differing = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    if any(name.startswith("recipe.") for name in CHANGES[upper.name]):
        differing.remove("recipe")
    assert differing - {"name"} == CHANGES[upper.name]


def test_views_change_nothing_of_the_training():
    assert ladder.TOP.views and ladder.TOP.arm == ladder.RUNGS[-2].arm and not ladder.RUNGS[-2].views


def test_runs_are_those_of_the_records():
    runs = ladder.runs()
    first = records.read_all(named(ladder.RUNGS[0].arm))[0]
    lowest = runs[runs["rung"] == 0]
    assert lowest["accuracy"].tolist() == [record.accuracy for record in first]
    content = first[0].content
    # On one thread of two: two cores make two such runs in that time.
    assert content["threads"] == 1
    assert lowest["minutes"].iloc[0] == pytest.approx(sum(content["seconds"]) / 120)
    assert runs["rung"].is_monotonic_increasing


def test_a_rung_with_views_takes_the_accuracy_over_them(monkeypatch):
    class Run:
        seed, accuracy, views_accuracy = 0, 0.93, 0.94
        content = {"seconds": [600.0, 600.0], "threads": 2}  # noqa: RUF012

    monkeypatch.setattr(
        records, "read_all", lambda arm: ([Run], []) if arm.name == ladder.TOP.arm else ([], [])
    )
    runs = ladder.runs()
    assert runs["accuracy"].tolist() == [0.93, 0.94] and runs["minutes"].tolist() == [20, 20]
    assert ladder.summary(runs)[["low", "high"]].isna().all(axis=None)


def test_summary_has_means_with_student_s_intervals():
    runs = pd.DataFrame(
        {
            "rung": [0, 0, 0, 1, 1],
            "change": ["a", "a", "a", "b", "b"],
            "accuracy": [0.6, 0.61, 0.65, 0.8, 0.82],
            "minutes": [1.0, 2.0, 3.0, 4.0, 4.0],
        }
    )
    summary = ladder.summary(runs)
    assert summary["runs"].tolist() == [3, 2] and summary["minutes"].tolist() == [2, 4]
    expected = statistics.mean(runs["accuracy"][:3])
    assert tuple(summary.loc[0, ["accuracy", "low", "high"]]) == pytest.approx(expected[:3])
    assert summary.loc[1, "accuracy"] == 0.81 and summary.loc[1, ["low", "high"]].isna().all(), "too few"
    assert ladder.summary(runs[:0]).empty
    assert summary["gain"].tolist() == pytest.approx([np.nan, 0.19], nan_ok=True)
    first, second = ladder.as_markdown(summary).splitlines()[2:]
    assert first == "| 1 | a | 62.0 % (55.4 to 68.6) |  | 3 | 2.0 |"
    assert second == "| 2 | b | 81.0 % | +19.0 | 2 | 4.0 |"


def test_a_gain_is_that_over_the_rung_below_or_none():
    runs = pd.DataFrame(
        {"rung": [0, 2, 3], "change": list("acd"), "accuracy": [0.6, 0.8, 0.9], "minutes": 1.0}
    )
    assert ladder.summary(runs)["gain"].tolist() == pytest.approx([np.nan, np.nan, 0.1], nan_ok=True)
