"""The study's figures: every run a dot, every mean with its interval, the original's number a line.

As in `labhelpers.plots`, each takes data and `ax`, returns the Axes and never shows. All accuracies are 0 to 1.
"""

from itertools import cycle

import numpy as np
import pandas as pd

from labhelpers.cifar10 import CLASS_NAMES, GROUPED
from labhelpers.evaluation import percent, typeset
from labhelpers.plots import count_epochs, new_axes
from labhelpers.study.statistics import mean, prediction_interval
from labhelpers.style import COLUMN_WIDTH, PALETTE, plt, sns

RUN, TODAY, ORIGINAL = PALETTE[0], PALETTE[1], PALETTE[3]
OPTIMIZERS = {"adam": ("Adam", "o", PALETTE[0]), "sgd": ("SGD with momentum 0.9", "s", PALETTE[1])}
DOTS = {"linestyle": "none", "alpha": 0.6, "markersize": 5}
DIAMOND = {"marker": "D", "color": TODAY, "markeredgecolor": "black", "markersize": 8, "linestyle": "none"}
BAR = {"fmt": "k|", "capsize": 3, "markersize": 8, "elinewidth": 1.2}
LINE_TO_POINT = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.7, "relpos": (0, 0.5), "shrinkB": 3}
LEGEND_ABOVE = {"frameon": False, "loc": "lower center", "bbox_to_anchor": (0.5, 1)}


def among_runs(recorded, *, today: float | None = None, original: float | None = None, ax=None):
    """Show recorded accuracies of one experiment on a line, and where today's run and the original's number fall.

    The grey band is the 95 % prediction interval for one more run, the bar above the 95 % interval of the mean.
    """
    ax, n = new_axes(ax, (COLUMN_WIDTH, 1.7)), len(recorded)
    if not n:
        return _no_runs(ax)
    if n > 1:
        band = 100 * np.array(prediction_interval(recorded))
        ax.axvspan(*band, color="0.9", linewidth=0, zorder=0, label=typeset("one more run, 95 %"))
    _row_of_runs(ax, recorded, 0, 0.35, f"{n} recorded run{'s' if n > 1 else ''}", "their mean, 95 % interval")
    if today is not None:
        ax.plot(100 * today, 0, label="today's run", **DIAMOND)
    _original(ax, original)
    ax.set(xlabel="test accuracy (%)", yticks=[], ylim=(-0.6, 0.8))
    sns.despine(ax=ax, left=True)
    ax.legend(ncols=2, handletextpad=0.3, **LEGEND_ABOVE)
    return ax


def runs_by_experiment(runs: pd.DataFrame, *, original: float | None = None, ax=None):
    """Show each run's accuracy, a row for each experiment, with the mean and its 95 % interval.

    Args:
        runs: a row for each run: `experiment` (what the row is called; the first on top) and `accuracy`.
        original: accuracy that the original reports.
    """
    groups = dict(list(runs.groupby("experiment", sort=False)))
    ax = new_axes(ax, (COLUMN_WIDTH, 0.9 + 0.42 * max(len(groups), 2)))
    if not groups:
        return _no_runs(ax)
    for row, group in enumerate(groups.values()):
        _row_of_runs(ax, group["accuracy"], row + 0.14, row - 0.18)
    _original(ax, original)
    ax.set(yticks=range(len(groups)), yticklabels=list(groups), ylim=(len(groups) - 0.5, -0.5))
    ax.set_xlabel(typeset("test accuracy (%): runs, and mean with 95 % interval"))
    ax.grid(axis="x", color="0.9")
    if original is not None:
        ax.legend(**LEGEND_ABOVE)
    return ax


def learning_curve(runs: pd.DataFrame, *, original: dict[int, float] | None = None, ax=None):
    """Show how accuracy grows with the training set, every run a dot, means joined.

    Args:
        runs: a row for each run: `n_train` and `accuracy`.
        original: the original's accuracies, by number of images.
    """
    ax = new_axes(ax)
    if runs.empty:
        return _no_runs(ax)
    ax.plot(runs["n_train"], 100 * runs["accuracy"], marker="o", color=RUN, label="a run", **DOTS)
    means = 100 * runs.groupby("n_train")["accuracy"].mean()
    ax.plot(means.index, means, "-", color="0.3", linewidth=1.2, label="mean", zorder=1.8)
    if original:
        accuracies = 100 * np.array(list(original.values()))
        ax.plot(list(original), accuracies, "X", color=ORIGINAL, markersize=9, label="original")
    ax.set_xticks(means.index, [f"{size // 1000}k" for size in means.index])
    ax.set(xlabel="training images", ylabel="test accuracy (%)")
    ax.grid(axis="y", color="0.9")
    ax.legend(frameon=False)
    return ax


def learning_rates(runs: pd.DataFrame, *, today: tuple[float, float] | None = None, ax=None):
    """Show accuracy against the learning rate, every run a dot, the means of each optimizer joined.

    Args:
        runs: a row for each run: `optimizer` ("adam" or "sgd"), `learning_rate` and `accuracy`.
        today: learning rate and accuracy of today's run, if there is one.
    """
    ax = new_axes(ax)
    if runs.empty:
        return _no_runs(ax)
    for optimizer, rows in runs.groupby("optimizer", sort=False):
        label, marker, colour = OPTIMIZERS[str(optimizer)]
        rates, accuracies = rows["learning_rate"], 100 * rows["accuracy"]
        ax.plot(rates, accuracies, marker=marker, color=colour, label=label, **DOTS)
        means = accuracies.groupby(rates).mean()
        ax.plot(means.index, means, color=colour, linewidth=1.2, zorder=0)
    ax.axhline(10, color="0.5", linewidth=1, linestyle=":", label="guessing")
    if today is not None:
        ax.plot(today[0], 100 * today[1], label="today's run", **DIAMOND)
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
        ax.plot(curve["epoch"], curve["val_loss"], marker=marker, markersize=4, color=colour, label=f"{rate:g}")
    ax.set(xlabel="epoch", ylabel="validation loss (nats per image)")
    count_epochs(ax)
    ax.legend(title="learning rate", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def improvements(steps: pd.DataFrame, *, humans: float, original: float, ax=None):
    """Show accuracy against training time, a point for each step with its interval, each named at the right.

    Args:
        steps: as `improvements.summary` gives them.
        humans, original: accuracies to compare with.
    """
    ax = new_axes(ax, (1.1 * COLUMN_WIDTH, 4.4))
    if steps.empty:
        return _no_runs(ax)
    accuracy, minutes = 100 * steps["accuracy"].to_numpy(), steps["minutes"]
    reach = np.abs(100 * steps[["low", "high"]].to_numpy().T - accuracy)
    ax.plot(minutes, accuracy, "-", color="0.75", linewidth=1, zorder=0)
    ax.errorbar(minutes, accuracy, yerr=reach, fmt="o", color=RUN, markersize=5, capsize=2.5)
    line = {"linewidth": 1.2, "zorder": 0}
    ax.axhline(100 * humans, color=PALETTE[2], linestyle=":", label=typeset(f"one human: {100 * humans:.2f} %"), **line)
    label = typeset(f"original: {100 * original:.0f} %")
    ax.axhline(100 * original, color=ORIGINAL, linestyle="--", label=label, **line)
    ax.set(xscale="log", ylim=(min(accuracy.min(), 100 * original) - 3, 100))
    ax.set(xlabel="training (minutes on two cores)", ylabel=typeset("test accuracy (%), 95 % interval"))
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if minutes.min() / 2 < t < minutes.max() * 2]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    # The names are spread over the whole height, in the order of their points, so that none overlaps another.
    order = np.argsort(accuracy, kind="stable")
    for height, at in zip(np.linspace(0.04, 0.96, max(len(order), 2)), order, strict=False):
        step, point = steps.iloc[at], (minutes.iloc[at], accuracy[at])
        name = f"{step['step'] + 1}  {'+ ' if step['step'] else ''}{step['change']}: {percent(step['accuracy'])}"
        place = {"textcoords": "axes fraction", "va": "center", "fontsize": 8.5, "arrowprops": LINE_TO_POINT}
        ax.annotate(name, point, (1.08, height), **place)
    ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def mistakes(shares: pd.DataFrame):
    """Show how mistakes are spread over pairs of classes, in per cent of all of them; returns the figure.

    Args:
        shares: as `human_labels.mistakes` gives them.
    """
    groups, names = list(shares.groupby("who", sort=False)), [CLASS_NAMES[label] for label in GROUPED]
    width = 1.2 * COLUMN_WIDTH
    size = (width, width / len(groups) + 0.8)
    fig, axes = plt.subplots(1, len(groups), figsize=size, layout="constrained", squeeze=False)
    style = {"cmap": "Blues", "vmin": 0, "vmax": 100 * shares["share"].max(), "square": True, "linewidths": 0.3}
    bar = {"label": "% of all mistakes", "shrink": 0.7}
    for ax, (who, rows) in zip(axes.flat, groups, strict=True):
        first, last = ax is axes.flat[0], ax is axes.flat[-1]
        square = 100 * rows.pivot_table("share", "true", "answer").loc[names, names]  # the diagonal stays empty
        sns.heatmap(
            square, cbar=last, cbar_kws=bar, xticklabels=names, yticklabels=names if first else False, ax=ax, **style
        )
        ax.set_facecolor("0.93")
        ax.tick_params(length=0, labelsize=7)
        ax.set(title=who, xlabel="answer", ylabel="true class" if first else "")
    return fig


def verdicts(judged):
    """Show what each verdict that rests on runs is based on, one below the other; returns the figure.

    Each chart has our runs, and their mean with its 95 % interval. For a claim with a number, the grey band is where one
    further run would fall in 95 % of cases, and the dashed line the original's number. For other claims, the chart
    shows the difference, and the line it is compared with.
    """
    from labhelpers.study.verdicts import strips

    shown = strips(judged)
    fig = plt.figure(figsize=(COLUMN_WIDTH, 1.25 * max(len(shown), 1)), layout="constrained")
    for number, strip in enumerate(shown, 1):
        ax, claim = fig.add_subplot(len(shown), 1, number), strip.verdict.claim
        ax.plot(strip.dots, [0.3] * len(strip.dots), marker="o", color=RUN, **DOTS | {"markersize": 4})
        _bar(ax, strip.mean, *strip.interval, -0.3)
        if strip.band:
            ax.axvspan(*strip.band, color="0.9", linewidth=0, zorder=0)
            ax.axvspan(*strip.rounded, color=ORIGINAL, alpha=0.2, linewidth=0, zorder=0)
        ax.axvline(strip.line, color=ORIGINAL, linestyle="--", linewidth=1.5)
        ax.set(xlabel=strip.axis, yticks=[], ylim=(-0.8, 0.8))
        ax.set_title(f"{claim.id}: {claim.statement}\n{strip.verdict.outcome}", loc="left", fontsize=9)
        sns.despine(ax=ax, left=True)
    return fig


def _no_runs(ax):
    """Say in an empty chart why it is one."""
    ax.text(0.5, 0.5, "no runs on these images are recorded", transform=ax.transAxes, ha="center", va="center")
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def _row_of_runs(ax, accuracies, y, above, label=None, mean_label=None):
    """Draw runs as dots at height y, and their mean with its 95 % interval, if there is one, at another."""
    values = 100 * np.asarray(accuracies, float)
    ax.plot(values, np.full(len(values), y), marker="o", color=RUN, label=label, **DOTS)
    _bar(ax, *mean(values)[:3], above, mean_label)


def _bar(ax, value, low, high, y, label=None):
    reach = [[value - low], [high - value]] if np.isfinite(low) else None
    ax.errorbar(value, y, xerr=reach, label=typeset(label or ""), **BAR)


def _original(ax, value):
    if value is not None:
        label = typeset(f"original: {100 * value:.0f} %")
        ax.axvline(100 * value, color=ORIGINAL, linestyle="--", linewidth=1.5, label=label)
