"""The improvements change one thing at a time, and each step has the numbers of its records."""

import itertools
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from made_up import runs
from scipy.stats import t

from labhelpers.study import improvements, records
from labhelpers.study.experiments import experiment

EXPERIMENTS = [experiment(id) for id in dict.fromkeys(step.experiment for step in improvements.STEPS)]
# What may differ between a step and the one before it; all else must be the same.
CHANGES = {
    "ladder-batch-norm": {"network"},
    "ladder-three-blocks": {"network"},
    # A schedule is one change, though it takes another optimizer and other batches.
    "ladder-schedule": {"optimizer", "learning_rate", "batch_size", "recipe"},
    "ladder-flips-and-shifts": {"recipe.flips_and_shifts"},
    "ladder-smoothing": {"recipe.label_smoothing"},
    "ladder-whitening": {"initial_weights"},
    "ladder-averaging": {"recipe.averaging", "seeds"},
    "ladder-all-images": {"n_train", "seeds"},
    "ladder-width": {"network", "seeds"},
    "ladder-longer": {"epochs", "seeds"},
}


def _flat(one):
    settings = asdict(one)
    recipe = settings["recipe"] or {}
    return settings | {f"recipe.{name}": value for name, value in recipe.items()}


def test_each_step_changes_one_thing():
    for before, after in itertools.pairwise(EXPERIMENTS):
        first, second = _flat(before), _flat(after)
        differing = {name for name in first.keys() & second.keys() if first[name] != second[name]}
        if any(name.startswith("recipe.") for name in CHANGES[after.id]):
            differing.remove("recipe")
        assert differing - {"id", "label"} == CHANGES[after.id]
    *others, last = improvements.STEPS
    assert last.tta and last.experiment == others[-1].experiment and not any(step.tta for step in others)


def test_runs_are_those_of_the_records():
    table = improvements.runs()
    first = records.read_all(experiment(improvements.STEPS[0].experiment))[0]
    lowest = table[table["step"] == 0]
    assert lowest["accuracy"].tolist() == [record.accuracy for record in first]
    assert lowest["seed"].tolist() == [record.seed for record in first]
    # On one thread of two: two cores make two such runs in that time.
    assert first[0].threads == 1
    assert lowest["minutes"].iloc[0] == pytest.approx(sum(first[0].seconds) / 120)
    assert table["step"].is_monotonic_increasing
    names = table.drop_duplicates("step")[["change", "experiment"]].itertuples(index=False, name=None)
    assert list(names) == [step[:2] for step in improvements.STEPS]


def test_a_step_with_test_time_augmentation_has_its_accuracy(monkeypatch):
    last = runs(improvements.STEPS[-1].experiment, [0.93], tta_accuracy=0.94, threads=2, seconds=[[600.0] * 2])
    monkeypatch.setattr(records, "read_all", lambda one: (last if one == last[0].experiment else [], []))
    table = improvements.runs()
    assert table["accuracy"].tolist() == [0.93, 0.94] and table["minutes"].tolist() == [20, 20]
    assert improvements.summary(table)[["low", "high"]].isna().all(axis=None)


def test_summary_has_means_with_student_s_intervals_and_gains():
    table = pd.DataFrame(
        {
            "step": [0, 0, 0, 1, 1, 3, 4],
            "change": list("aaabbde"),
            "accuracy": [0.6, 0.61, 0.65, 0.8, 0.82, 0.7, 0.6],
            "minutes": [1.0, 2.0, 3.0, 4.0, 4.0, 5.0, 6.0],
        }
    )
    summary = improvements.summary(table)
    assert summary["step"].tolist() == [0, 1, 3, 4] and summary["change"].tolist() == list("abde")
    assert summary["runs"].tolist() == [3, 2, 1, 1] and summary["minutes"].tolist() == [2, 4, 5, 6]
    first = table["accuracy"][:3]
    interval = t.interval(0.95, 2, first.mean(), first.sem())
    assert tuple(summary.loc[0, ["accuracy", "low", "high"]]) == pytest.approx((0.62, *interval))
    assert summary.loc[1, "accuracy"] == 0.81
    assert summary.loc[1:, ["low", "high"]].isna().all(axis=None), "too few runs"
    # Step 2 has no runs, so that step 3 has nothing to gain over.
    assert summary["gain"].tolist() == pytest.approx([np.nan, 0.19, np.nan, -0.1], nan_ok=True)
    assert improvements.summary(table[:0]).empty
