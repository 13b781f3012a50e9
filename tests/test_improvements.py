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
    "ladder-flips-and-shifts": {"flips_and_shifts"},
    "ladder-smoothing": {"label_smoothing"},
    "ladder-whitening": {"initial_weights"},
    "ladder-averaging": {"averaging"},
    "ladder-all-images": {"n_train"},
    "ladder-width": {"network"},
    "ladder-longer": {"epochs"},
}


def test_each_step_changes_one_thing():
    for before, after in itertools.pairwise(EXPERIMENTS):
        settings = [one.settings() | {"id": ""} for one in (before, after)]
        if before.recipe:
            settings = [one | asdict(one.pop("recipe")) for one in settings]
        assert {name for name, value in settings[0].items() if settings[1][name] != value} == CHANGES[after.id]
    *others, last = improvements.STEPS
    assert last.tta and last.experiment == others[-1].experiment and not any(step.tta for step in others)


def test_runs_are_those_of_the_records():
    table = improvements.runs()
    first = records.read_all(experiment(improvements.STEPS[0].experiment))[0]
    averaging = table.query("experiment == 'ladder-averaging'")
    assert averaging["seed"].tolist() == list(range(5)), "the fresh runs were made on another processor"
    lowest = table[table["step"] == 0]
    assert lowest["accuracy"].tolist() == [record.accuracy for record in first]
    assert lowest["seed"].tolist() == [record.seed for record in first]
    # On one thread of two: two cores make two such runs in that time.
    assert lowest["minutes"].tolist() == pytest.approx([sum(record.seconds) / 120 for record in first])
    names = table.drop_duplicates("step")[["step", "change", "experiment"]].itertuples(index=False, name=None)
    assert list(names) == [(number, *step[:2]) for number, step in enumerate(improvements.STEPS)]


def test_a_step_with_test_time_augmentation_has_its_accuracy(monkeypatch):
    last = runs(improvements.STEPS[-1].experiment, [0.93], tta_accuracy=0.94, threads=2, seconds=[[600.0] * 2])
    monkeypatch.setattr(records, "read_all", lambda one, seeds: (last if one == last[0].experiment else [], []))
    table = improvements.runs()
    assert table["accuracy"].tolist() == [0.93, 0.94] and table["minutes"].tolist() == [20, 20]


def test_summary_has_means_with_student_s_intervals_and_gains():
    columns = {"step": [0, 0, 0, 1, 1, 3, 4], "change": list("aaabbde"), "minutes": [1.0, 2, 3, 4, 4, 5, 6]}
    table = pd.DataFrame(columns | {"accuracy": [0.6, 0.61, 0.65, 0.8, 0.82, 0.7, 0.6]})
    summary = improvements.summary(table)
    assert summary["step"].tolist() == [0, 1, 3, 4] and summary["change"].tolist() == list("abde")
    assert summary["runs"].tolist() == [3, 2, 1, 1] and summary["minutes"].tolist() == [2, 4, 5, 6]
    first = table["accuracy"][:3]
    interval = t.interval(0.95, 2, first.mean(), first.sem())
    assert summary["accuracy"].tolist() == pytest.approx([0.62, 0.81, 0.7, 0.6])
    assert tuple(summary.loc[0, ["low", "high"]]) == pytest.approx(interval)
    assert summary.loc[1:, ["low", "high"]].isna().all(axis=None), "too few runs"
    # Step 2 has no runs, so that step 3 has nothing to gain over.
    assert summary["gain"].tolist() == pytest.approx([np.nan, 0.19, np.nan, -0.1], nan_ok=True)
    assert improvements.summary(table[:0]).empty
