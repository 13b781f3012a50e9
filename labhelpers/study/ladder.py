"""From the original's network upward, one change at a time, on the same images."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from labhelpers.evaluation import percent
from labhelpers.study import records, statistics
from labhelpers.study.arms import named

CORES = 2  # that training times are given for
FEWEST = 3  # runs to give an interval for: with two, Student's is 13 standard errors wide


class Rung(NamedTuple):
    """One change.

    Attributes:
        change: what it is, as a label.
        arm: whose runs have it, and all changes before it.
        views: whether a test image's probabilities are averaged over several views of it.
    """

    change: str
    arm: str
    views: bool = False


RUNGS = (
    Rung("the original's network", "ladder-deeper"),
    Rung("batch normalisation", "ladder-batch-norm"),
    Rung("six convolutions", "ladder-three-blocks"),
    Rung("momentum, changing rate", "ladder-schedule"),
    Rung("flips and shifts", "ladder-flips-and-shifts"),
    Rung("smoothed labels", "ladder-smoothing"),
    Rung("whitened start", "ladder-whitening"),
    Rung("averaged weights", "ladder-averaging"),
    Rung("all 50,000 images", "ladder-all-images"),
    Rung("four times the width", "ladder-width"),
    Rung("twelve epochs", "ladder-longer"),
    Rung("six views of an image", "ladder-longer", views=True),
)
TOP = RUNGS[-1]


def runs() -> pd.DataFrame:
    """Return a row for each recorded run of each rung, from the lowest up.

    Columns: `rung` (from 0), `change`, `arm`, `seed`, `accuracy` (on the test set, 0 to 1), and `minutes` of training
    on two cores: a run takes one of them for twice as long, while another has the other.
    """
    rows = []
    for number, rung in enumerate(RUNGS):
        for record in records.read_all(named(rung.arm))[0]:
            minutes = sum(record.content["seconds"]) * record.content["threads"] / CORES / 60
            accuracy = record.views_accuracy if rung.views else record.accuracy
            rows.append((number, rung.change, rung.arm, record.seed, accuracy, minutes))
    return pd.DataFrame(rows, columns=["rung", "change", "arm", "seed", "accuracy", "minutes"])


def summary(of_runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a rung, with means over its runs.

    Columns: `rung`, `change`, `runs`, `accuracy` with its 95 % interval `low`, `high` (NaN where fewer than three runs
    tell too little), `gain` in accuracy over the rung below (NaN where that has no runs), and `minutes`.
    """
    rows = []
    for (number, change), group in of_runs.groupby(["rung", "change"], sort=False):
        low = high = np.nan
        if len(group) >= FEWEST:
            _, low, high, _ = statistics.mean(group["accuracy"])
        rows.append(
            (number, change, len(group), group["accuracy"].mean(), low, high, group["minutes"].mean())
        )
    columns = ["rung", "change", "runs", "accuracy", "low", "high", "minutes"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(6, "gain", table["accuracy"].diff().where(table["rung"].diff() == 1))
    return table


def as_markdown(rungs: pd.DataFrame) -> str:
    """Return a summary as a table in Markdown."""
    columns = ["rung", "change", "test accuracy (95 % interval)", "gain", "runs", "minutes on two cores"]
    lines = [columns, ["---"] * len(columns)]
    for row in rungs.itertuples():
        interval = None if np.isnan(row.low) else (row.low, row.high)
        gain = "" if np.isnan(row.gain) else f"{100 * row.gain:+.1f}"
        accuracy = percent(row.accuracy, interval)
        lines.append([str(row.rung + 1), row.change, accuracy, gain, str(row.runs), f"{row.minutes:.1f}"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
