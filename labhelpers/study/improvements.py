"""From the original's network to the best one, one change at a time, on the same images (a cumulative ablation)."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from labhelpers.study import records, statistics
from labhelpers.study.experiments import experiment

CORES = 2  # that training times are given for
FEWEST = 3  # runs to give an interval for: with two, Student's is 13 standard errors wide


class Step(NamedTuple):
    """One change.

    Attributes:
        change: what it is, as a label.
        experiment: id of the experiment whose runs have it, and all changes before it.
        tta: whether a test image's probabilities are averaged over augmented copies of it.
    """

    change: str
    experiment: str
    tta: bool = False


STEPS = (
    Step("the original's network", "ladder-deeper"),
    Step("batch normalisation", "ladder-batch-norm"),
    Step("six convolutions", "ladder-three-blocks"),
    Step("learning-rate schedule", "ladder-schedule"),
    Step("data augmentation", "ladder-flips-and-shifts"),
    Step("label smoothing", "ladder-smoothing"),
    Step("whitening initialisation", "ladder-whitening"),
    Step("weight averaging", "ladder-averaging"),
    Step("all 50,000 images", "ladder-all-images"),
    Step("four times the width", "ladder-width"),
    Step("twelve epochs", "ladder-longer"),
    Step("test-time augmentation", "ladder-longer", tta=True),
)
LAST = STEPS[-1]


def runs() -> pd.DataFrame:
    """Return a row for each recorded run of each step, from the first on.

    Columns: `step` (from 0), `change`, `experiment`, `seed`, `accuracy` (on the test set, 0 to 1), and `minutes` of
    training on two cores: a run takes one of them for twice as long, while another has the other.
    """
    rows = []
    for number, step in enumerate(STEPS):
        for record in records.read_all(experiment(step.experiment))[0]:
            minutes = sum(record.seconds) * record.threads / CORES / 60
            accuracy = record.tta_accuracy if step.tta else record.accuracy
            rows.append((number, step.change, step.experiment, record.seed, accuracy, minutes))
    return pd.DataFrame(rows, columns=["step", "change", "experiment", "seed", "accuracy", "minutes"])


def summary(of_runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each step, with means over its runs.

    Columns: `step`, `change`, `runs`, `accuracy` with its 95 % interval `low`, `high` (NaN where fewer than three runs
    tell too little), `gain` in accuracy over the step before (NaN where that has no runs), and `minutes`.
    """
    rows = []
    for (number, change), group in of_runs.groupby(["step", "change"], sort=False):
        low = high = np.nan
        if len(group) >= FEWEST:
            _, low, high, _ = statistics.mean(group["accuracy"])
        rows.append(
            (number, change, len(group), group["accuracy"].mean(), low, high, group["minutes"].mean())
        )
    columns = ["step", "change", "runs", "accuracy", "low", "high", "minutes"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(6, "gain", table["accuracy"].diff().where(table["step"].diff() == 1))
    return table
