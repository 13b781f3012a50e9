"""The study's figures: every run a dot, every mean with its interval, the original's number a line.

As in `labhelpers.plots`, each takes data and `ax`, returns the Axes and never shows.
"""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from labhelpers.cifar10 import CLASS_NAMES, GROUPED
from labhelpers.plots import COLUMN_WIDTH, PALETTE, count_epochs, new_axes
from labhelpers.study.statistics import mean
from labhelpers.study.strips import Strip, strips

RUN, TODAY, ORIGINAL = PALETTE[0], PALETTE[1], PALETTE[3]
MARKERS = {"adam": ("o", PALETTE[0]), "sgd": ("s", PALETTE[1])}


def among_runs(recorded, *, today: float | None = None, original: float | None = None, ax=None):
    """Show recorded runs of one experiment on a line, and where today's run and the original's number fall.

    Args:
        recorded: accuracies, 0 to 1, one a run.
        today, original: accuracies, 0 to 1, where there are any.
    """
    ax = new_axes(ax, (COLUMN_WIDTH, 1.5))
    values = 100 * np.asarray(recorded, float)
    if not len(values):
        _no_runs(ax)
    if len(values):
        ax.plot(
            values, np.zeros(len(values)), "o", color=RUN, alpha=0.6, label=f"{len(values)} recorded runs"
        )
        _mean_with_interval(ax, values, 0.35)
    if today is not None:
        ax.plot(100 * today, 0, "D", color=TODAY, markeredgecolor="black", markersize=8, label="today's run")
    _original(ax.axvline, original)
    ax.set(xlabel="test accuracy (%)", yticks=[], ylim=(-0.6, 0.8))
    sns.despine(ax=ax, left=True)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1), handletextpad=0.3)
    return ax


def runs_by_experiment(runs: pd.DataFrame, *, original: float | None = None, ax=None):
    """Show each run's accuracy, a row for each experiment, with the mean and its 95 % interval.

    Args:
        runs: a row a run: `experiment` (what the row is called; the first on top) and `accuracy` (0 to 1).
        original: accuracy that the original reports, 0 to 1.
    """
    names = list(dict.fromkeys(runs["experiment"]))
    ax = new_axes(ax, (COLUMN_WIDTH, 0.9 + 0.42 * max(len(names), 2)))
    if not names:
        return _no_runs(ax)
    for row, name in enumerate(names):
        values = 100 * runs.loc[runs["experiment"] == name, "accuracy"].to_numpy()
        ax.plot(values, np.full(len(values), row + 0.14), "o", color=RUN, alpha=0.6, markersize=5)
        _mean_with_interval(ax, values, row - 0.18)
    _original(ax.axvline, original)
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=(max(len(names), 1) - 0.5, -0.5))
    ax.set(xlabel="test accuracy (%): runs, and mean with 95 % interval")
    ax.grid(axis="x", color="0.9")
    if original is not None:
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
    return ax


def learning_curve(runs: pd.DataFrame, *, original: dict[int, float] | None = None, ax=None):
    """Show how accuracy grows with the training set, every run a dot, means joined.

    Args:
        runs: a row a run: `n_train` and `accuracy` (0 to 1).
        original: the original's accuracies (0 to 1), by number of images.
    """
    ax = new_axes(ax)
    if runs.empty:
        return _no_runs(ax)
    ax.plot(runs["n_train"], 100 * runs["accuracy"], "o", color=RUN, alpha=0.5, markersize=5, label="a run")
    means = 100 * runs.groupby("n_train")["accuracy"].mean()
    ax.plot(means.index, means, "-", color="0.3", linewidth=1.2, label="mean", zorder=1.8)
    if original:
        marker = {"color": ORIGINAL, "markersize": 9, "linestyle": "none"}
        ax.plot(list(original), [100 * value for value in original.values()], "X", label="original", **marker)
    sizes = sorted(set(runs["n_train"]))
    ax.set_xticks(sizes, [f"{size // 1000}k" for size in sizes])
    ax.set(xlabel="training images", ylabel="test accuracy (%)")
    ax.grid(axis="y", color="0.9")
    ax.legend(frameon=False)
    return ax


def learning_rates(runs: pd.DataFrame, *, today: tuple[float, float] | None = None, ax=None):
    """Show accuracy against the learning rate, every run a dot, the means of each optimizer joined.

    Args:
        runs: a row a run: `optimizer` ("adam" or "sgd"), `learning_rate` and `accuracy` (0 to 1).
        today: learning rate and accuracy of a run of today, where there is one.
    """
    ax = new_axes(ax)
    if runs.empty:
        return _no_runs(ax)
    for optimizer, rows in runs.groupby("optimizer", sort=False):
        marker, colour = MARKERS[optimizer]
        rates, accuracy = rows["learning_rate"], 100 * rows["accuracy"]
        label = {"adam": "Adam", "sgd": "SGD with momentum 0.9"}[optimizer]
        ax.plot(rates, accuracy, marker, color=colour, alpha=0.5, markersize=5, label=label)
        means = accuracy.groupby(rates).mean()
        ax.plot(means.index, means, color=colour, linewidth=1.2, zorder=0)
    ax.axhline(10, color="0.5", linewidth=1, linestyle=":", label="guessing")
    if today is not None:
        rate, accuracy = today
        ax.plot(
            rate, 100 * accuracy, "D", color=TODAY, markeredgecolor="black", markersize=8, label="today's run"
        )
    ax.set(xscale="log", xlabel="learning rate (log scale)", ylabel="test accuracy (%)", ylim=(0, None))
    ax.legend(frameon=False)
    return ax


def losses_by_rate(curves: pd.DataFrame, *, ax=None):
    """Show a validation loss per epoch for each learning rate.

    Args:
        curves: `learning_rate`, `epoch` and `val_loss` (nats per image).
    """
    ax = new_axes(ax)
    if curves.empty:
        return _no_runs(ax)
    rates = list(curves.groupby("learning_rate"))
    colours = sns.color_palette("viridis", len(rates))  # from dark to light: the rates have an order
    for (rate, curve), colour, marker in zip(rates, colours, cycle("os^Dv"), strict=False):
        ax.plot(
            curve["epoch"], curve["val_loss"], marker=marker, markersize=4, color=colour, label=f"{rate:g}"
        )
    ax.set(xlabel="epoch", ylabel="validation loss (nats per image)")
    count_epochs(ax)
    ax.legend(title="learning rate", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def improvements(steps: pd.DataFrame, *, humans: float, original: float, ax=None):
    """Show accuracy against training time, a point for each step with its interval, each named at the right.

    Args:
        steps: `step` (from 0), `change`, `accuracy`, `low`, `high` (0 to 1, or NaN) and `minutes`, as
            `improvements.summary` gives them.
        humans, original: accuracies to compare with, 0 to 1.
    """
    ax = new_axes(ax, (1.1 * COLUMN_WIDTH, 4.4))
    if steps.empty:
        return _no_runs(ax)
    accuracy = 100 * steps["accuracy"].to_numpy()
    reach = np.abs(100 * steps[["low", "high"]].to_numpy().T - accuracy)
    ax.plot(steps["minutes"], accuracy, "-", color="0.75", linewidth=1, zorder=0)
    ax.errorbar(steps["minutes"], accuracy, yerr=reach, fmt="o", color=RUN, markersize=5, capsize=2.5)
    line = {"linewidth": 1.2, "zorder": 0}
    ax.axhline(
        100 * humans, color=PALETTE[2], linestyle=":", label=f"one human: {100 * humans:.2f} %", **line
    )
    ax.axhline(
        100 * original, color=ORIGINAL, linestyle="--", label=f"original: {100 * original:.0f} %", **line
    )
    low, high = min(accuracy.min(), 100 * original) - 3, 100
    ax.set(xscale="log", ylim=(low, high), xlabel="training (minutes on two cores)")
    ax.set(ylabel="test accuracy (%), 95 % interval")
    ticks = [
        t
        for t in (0.5, 1, 2, 5, 10, 20, 50, 100)
        if steps["minutes"].min() / 2 < t < steps["minutes"].max() * 2
    ]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    # Names stand in the order of their points, as far apart as they need.
    order = np.argsort(accuracy, kind="stable")
    for place, at in zip(np.linspace(0.04, 0.96, max(len(order), 2)), order, strict=False):
        row = steps.iloc[at]
        sign = "" if row["step"] == 0 else "+ "
        ax.annotate(
            f"{row['step'] + 1:.0f}  {sign}{row['change']}: {accuracy[at]:.1f} %",
            (row["minutes"], accuracy[at]),
            (1.08, place),
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            arrowprops={
                "arrowstyle": "-",
                "color": "0.8",
                "linewidth": 0.7,
                "relpos": (0, 0.5),
                "shrinkB": 3,
            },
        )
    ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def mistakes(shares: pd.DataFrame):
    """Show where each one's mistakes lie, in per cent of all of them; returns the figure.

    Args:
        shares: `who`, `true`, `answer` and `share` (0 to 1), as `human_labels.mistakes` gives them.
    """
    groups = dict(list(shares.groupby("who", sort=False)))
    width = 1.2 * COLUMN_WIDTH
    fig, axes = plt.subplots(
        1, len(groups), figsize=(width, width / len(groups) + 0.8), layout="constrained", squeeze=False
    )
    names = [CLASS_NAMES[label] for label in GROUPED]
    for ax, (who, rows) in zip(axes.flat, groups.items(), strict=True):
        cells = 100 * rows.pivot_table("share", "true", "answer").loc[names, names]
        sns.heatmap(
            cells,  # the diagonal, which holds no mistakes, stays empty
            cmap="Blues",
            vmin=0,
            vmax=100 * shares["share"].max(),
            square=True,
            cbar=ax is axes.flat[-1],
            cbar_kws={"label": "% of all mistakes", "shrink": 0.7},
            xticklabels=names,
            yticklabels=names if ax is axes.flat[0] else False,
            linewidths=0.3,
            ax=ax,
        )
        ax.set_facecolor("0.93")
        ax.tick_params(length=0, labelsize=7)
        ax.set(title=who, xlabel="answer", ylabel="true class" if ax is axes.flat[0] else "")
    return fig


def strip(it: Strip, *, ax=None):
    """Show what a verdict rests on: our runs, their mean with its 95 % interval, and what the claim says.

    A claim with a number: the band is the 95 % prediction interval of one further run, the dashed line the original's
    number. A claim that something is larger or no better: the difference in points, and the line it is compared with.
    """
    ax = new_axes(ax, (COLUMN_WIDTH, 1.2))
    ax.plot(it.dots, np.full(len(it.dots), 0.3), "o", color=RUN, alpha=0.6, markersize=4)
    low, high = it.interval
    reach = [[it.mean - low], [high - it.mean]]
    ax.errorbar(it.mean, -0.3, xerr=reach, fmt="k|", capsize=3, markersize=8, elinewidth=1.2)
    if it.band:
        ax.axvspan(*it.band, color="0.9", linewidth=0, zorder=0)
        ax.axvspan(*it.rounded, color=ORIGINAL, alpha=0.2, linewidth=0, zorder=0)
    ax.axvline(it.line, color=ORIGINAL, linestyle="--", linewidth=1.5)
    ax.set(xlabel=it.axis, yticks=[], ylim=(-0.8, 0.8))
    from labhelpers.study import text  # here, so that other notebooks don't depend on how verdicts are worded

    claim = it.verdict.claim
    ax.set_title(f"{claim.id}: {text.statement(claim)}\n{it.verdict.outcome}", loc="left", fontsize=9)
    sns.despine(ax=ax, left=True)
    return ax


def verdicts(all_of_them):
    """Show each of these verdicts that rests on runs, one below the other, as `strip` does; returns the figure."""
    shown = strips(all_of_them)
    fig, axes = plt.subplots(
        max(len(shown), 1),
        figsize=(COLUMN_WIDTH, 1.25 * max(len(shown), 1)),
        layout="constrained",
        squeeze=False,
    )
    for it, ax in zip(shown, axes.flat, strict=False):
        strip(it, ax=ax)
    if not shown:
        axes.flat[0].set_axis_off()
    return fig


def _no_runs(ax):
    """Say in an empty chart why it is one."""
    ax.text(
        0.5, 0.5, "no runs on these images are recorded", transform=ax.transAxes, ha="center", va="center"
    )
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def _mean_with_interval(ax, values, y):
    """Draw the mean of values in per cent, with its 95 % interval where two runs or more allow one."""
    estimate = mean(values)
    reach = [[estimate.value - estimate.low], [estimate.high - estimate.value]] if len(values) > 1 else None
    ax.errorbar(estimate.value, y, xerr=reach, fmt="k|", capsize=3, markersize=8, elinewidth=1.2)


def _original(line, value):
    if value is not None:
        line(
            100 * value, color=ORIGINAL, linestyle="--", linewidth=1.5, label=f"original: {100 * value:.0f} %"
        )
