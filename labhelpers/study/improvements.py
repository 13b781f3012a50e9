"""From the original's network to the best one, one change at a time, on the same images (a cumulative ablation)."""

from typing import NamedTuple

import pandas as pd

from labhelpers.study import records, statistics
from labhelpers.study.experiments import experiment

CORES = 2  # that training times are given for
FEWEST = 3  # runs to give an interval for: with two, Student's is 13 standard errors wide


class Step(NamedTuple):
    """One change: its label, the experiment that has it and all changes before it, and whether TTA is used."""

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


def runs() -> pd.DataFrame:
    """Return a row for each recorded run of each step, from the first on.

    Columns: `step` (from 0), `change`, `experiment`, `seed`, `accuracy` (on the test set, 0 to 1), and `minutes` of
    training on two cores: two runs of one thread each share them.
    """
    rows = []
    for number, step in enumerate(STEPS):
        of_step = experiment(step.experiment)
        # Only the first runs: those of all steps were made on one processor, so that times can be compared.
        for record in records.read_all(of_step, range(of_step.seeds))[0]:
            minutes = sum(record.seconds) * record.threads / CORES / 60
            accuracy = record.tta_accuracy if step.tta else record.accuracy
            rows.append((number, step.change, step.experiment, record.seed, accuracy, minutes))
    return pd.DataFrame(rows, columns=["step", "change", "experiment", "seed", "accuracy", "minutes"])


def summary(of_runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each step, with means over its runs.

    Columns: `step`, `change`, `runs`, `accuracy` with its 95 % interval `low`, `high` (NaN with fewer than three runs),
    `gain` in accuracy over the step before (NaN if that has no runs), and `minutes`.
    """
    rows = []
    for (number, change), group in of_runs.groupby(["step", "change"], sort=False):
        ends = statistics.mean(group["accuracy"])[1:3] if len(group) >= FEWEST else (None, None)
        rows.append((number, change, len(group), group["accuracy"].mean(), *ends, group["minutes"].mean()))
    columns = ["step", "change", "runs", "accuracy", "low", "high", "minutes"]
    table = pd.DataFrame(rows, columns=columns).astype({"low": float, "high": float})
    table.insert(6, "gain", table["accuracy"].diff().where(table["step"].diff() == 1))
    return table
