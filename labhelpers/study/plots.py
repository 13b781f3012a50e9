"""The study's figures: every run a dot, every mean with its interval, the original's number a line.

As in `labhelpers.plots`, each takes data and `ax`, returns the Axes and never shows. All accuracies are 0 to 1.
"""

from itertools import cycle

import numpy as np
import pandas as pd

from labhelpers.evaluation import typeset
from labhelpers.plots import count_epochs, new_axes
from labhelpers.study.statistics import mean, prediction_interval
from labhelpers.style import COLUMN_WIDTH, PALETTE, plt

RUN, TODAY, ORIGINAL, HUMANS = PALETTE[0], PALETTE[1], PALETTE[3], PALETTE[2]
DOTS = {"marker": "o", "color": RUN, "linestyle": "none", "alpha": 0.6, "markersize": 5}
DIAMOND = {"marker": "D", "color": TODAY, "markeredgecolor": "black", "markersize": 7, "linestyle": "none"}
BAR = {"fmt": "k|", "capsize": 3, "markersize": 8, "elinewidth": 1.2}
OPTIMIZERS: dict = {"adam": ("Adam", {}), "sgd": ("SGD", {"marker": "s", "color": PALETTE[2]})}
SHOWN = 10  # points below the best run where the axis of `learning_rates` begins
LEGEND_ABOVE = {"frameon": False, "loc": "lower center", "bbox_to_anchor": (0.5, 1), "handletextpad": 0.3}


def among_runs(recorded, *, today: float | None = None, original: float | None = None, ax=None):
    """Show recorded accuracies of one experiment, and where today's run and the original's number fall.

    Below the runs are their mean with its 95 % interval, and the 95 % prediction interval for one more run. The latter is
    a grey band behind all rows, because it is what today's run and the original's number are compared with.
    """
    ax, n = new_axes(ax, (COLUMN_WIDTH, 2)), len(recorded)
    if not n:
        return _no_runs(ax)
    values, names = 100 * np.asarray(recorded, float), [f"{n} recorded run{'s' if n > 1 else ''}"]
    ax.plot(values, [0] * n, **DOTS)
    if n > 1:
        _bar(ax, *mean(values)[:3], len(names))
        names.append("their mean, 95 % interval")
        band = prediction_interval(values)
        ax.axvspan(*band, color="0.9", linewidth=0, zorder=0)
        ax.plot(band, [len(names)] * 2, color="0.5", linewidth=5, solid_capstyle="butt")
        names.append("95 % prediction interval")
    if today is not None:
        ax.plot(100 * today, len(names), **DIAMOND)
        names.append("today's run")
    if original is not None:
        _original(ax, original)
        ax.plot(100 * original, len(names), "X", color=ORIGINAL, markersize=8)
        names.append(f"original: {100 * original:.0f} %")
    _name_rows(ax, names)
    ax.set_xlabel("test accuracy (%)")
    return ax


def runs_by_experiment(runs: pd.DataFrame, *, original: float | None = None, ax=None):
    """Show each run's accuracy, a row for each experiment, with the mean and its 95 % interval.

    Args:
        runs: a row for each run: `experiment` (what the row is called; the first on top) and `accuracy`.
        original: accuracy that the original reports.
    """
    groups = dict(list(runs.groupby("experiment", sort=False)["accuracy"]))
    ax = new_axes(ax, (COLUMN_WIDTH, 0.9 + 0.42 * max(len(groups), 2)))
    if not groups:
        return _no_runs(ax)
    _rows_of_runs(ax, groups)
    ax.set_xlabel(typeset("test accuracy (%): runs, and mean with 95 % interval"))
    if original is not None:
        _original(ax, original)
        ax.legend(**LEGEND_ABOVE)
    return ax


def class_gain(gains: pd.DataFrame, *, today: pd.Series | None = None, ax=None):
    """Show how much accuracy each class gains: a dot for each pair of runs, the largest mean on top.

    Args:
        gains: -1 to 1; a row for each class, a column for each pair of runs.
        today: the gains in today's pair, by class, if there is one.
    """
    ax = new_axes(ax, (COLUMN_WIDTH, 4))
    if gains.empty:
        return _no_runs(ax)
    gains = gains.loc[gains.mean(axis=1).sort_values(ascending=False).index]
    _rows_of_runs(ax, dict(gains.iterrows()), label="a pair of runs", mean_label="mean, 95 % interval")
    if today is not None:
        ax.plot(100 * today[gains.index], np.arange(len(gains)) + 0.14, label="today's pair", **DIAMOND)
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_xlabel("gain in test accuracy (percentage points)")
    ax.legend(ncols=3, columnspacing=1, **LEGEND_ABOVE)
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
    ax.plot(runs["n_train"], 100 * runs["accuracy"], label="a run", **DOTS)
    means = 100 * runs.groupby("n_train")["accuracy"].mean()
    ax.plot(means.index, means, "-", color="0.3", linewidth=1.2, label="mean", zorder=1.8)
    if original:
        accuracies = 100 * np.array(list(original.values()))
        hollow = {"markerfacecolor": "none", "color": ORIGINAL, "markersize": 9}
        ax.plot(list(original), accuracies, "X", label="original", **hollow)
    ax.set_xticks(means.index, [f"{size // 1000}k" for size in means.index])
    ax.set(xlabel="training images", ylabel="test accuracy (%)")
    ax.grid(axis="y", color="0.9")
    ax.legend(frameon=False)
    return ax


def learning_rates(runs: pd.DataFrame, *, today: tuple[float, float] | None = None, ax=None):
    """Show accuracies, a row for each optimizer and learning rate, beside their means as numbers.

    The axis begins 10 points below the best run, so that good learning rates can be told apart. Runs further below are
    written at its left end, behind an arrow, and a mean further below is only a number.

    Args:
        runs: a row for each run: `optimizer` ("adam" or "sgd"), `learning_rate` and `accuracy`.
        today: learning rate and accuracy of today's run with Adam, if there is one.
    """
    groups = dict(list(runs.groupby(["optimizer", "learning_rate"])["accuracy"]))
    mine = {("adam", today[0]): 100 * today[1]} if today else {}
    rows, start = sorted({*groups, *mine}), 100 * runs["accuracy"].max() - SHOWN
    ax = new_axes(ax, (COLUMN_WIDTH, 0.8 + 0.36 * len(rows)))
    if runs.empty:
        return _no_runs(ax)
    for row, key in enumerate(rows):
        values, style = 100 * np.array(groups.get(key, [])), OPTIMIZERS[key[0]][1]
        ax.plot(values, [row + 0.14] * len(values), **DOTS | style)
        if len(values) and values.mean() > start:
            _bar(ax, *mean(values)[:3], row - 0.18)
        below = [f"{value:.1f}" for value in sorted(values) if value < start]
        if key in mine:
            ax.plot(mine[key], row + 0.14, **DIAMOND)
            below += [f"today's {mine[key]:.1f}"] if mine[key] < start else []
        if below:
            ax.text(start, row, f" \N{LEFTWARDS ARROW} {', '.join(below)}", va="center", fontsize=8)
    ax.axhline(sum(optimizer == "adam" for optimizer, _ in rows) - 0.5, color="0.6", linewidth=0.8)
    _name_rows(ax, [f"{OPTIMIZERS[optimizer][0]} at {rate:g}" for optimizer, rate in rows])
    _column(ax, "mean (%)", [f"{100 * groups[key].mean():.1f}" if key in groups else "today's" for key in rows])
    ax.set(xlabel=typeset("test accuracy (%): runs, and mean with 95 % interval"), xlim=(start, start + SHOWN + 2))
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
    # From dark to light, since the rates have an order.
    colours = plt.get_cmap("viridis")(np.linspace(0, 1, len(rates) + 2)[1:-1])
    for (rate, curve), colour, marker in zip(rates, colours, cycle("os^Dv"), strict=False):
        ax.plot(curve["epoch"], curve["val_loss"], marker=marker, markersize=4, color=colour, label=f"{rate:g}")
    ax.set(xlabel="epoch", ylabel="validation loss (nats per image)")
    count_epochs(ax)
    ax.legend(title="learning rate", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def improvements(steps: pd.DataFrame, *, humans: float, original: float, ax=None):
    """Show each step's accuracy with its interval, a row for each, beside its accuracy and training time as numbers.

    Args:
        steps: as `improvements.summary` gives them.
        humans, original: accuracies to compare with.
    """
    ax = new_axes(ax, (1.22 * COLUMN_WIDTH, 0.9 + 0.25 * len(steps)))
    if steps.empty:
        return _no_runs(ax)
    accuracy = 100 * steps["accuracy"].to_numpy()
    reach = np.abs(100 * steps[["low", "high"]].to_numpy().T - accuracy)
    ax.errorbar(accuracy, range(len(steps)), xerr=reach, fmt="o", color=RUN, markersize=5, capsize=2.5)
    for name, value, colour, line in (("original", original, ORIGINAL, "--"), ("one human", humans, HUMANS, ":")):
        ax.axvline(100 * value, color=colour, linestyle=line, linewidth=1.5)
        text, place = typeset(f"{name}\n{100 * value:.3g} %"), {"transform": ax.get_xaxis_transform(), "ha": "center"}
        ax.text(100 * value, 1.01, text, va="bottom", fontsize=8.5, **place)
    _name_rows(ax, ["+ " * (step > 0) + change for step, change in zip(steps["step"], steps["change"], strict=True)])
    _column(ax, "accuracy\n(%)", [f"{value:.1f}" for value in accuracy], 0.75)
    _column(ax, "minutes on\ntwo cores", [f"{value:.1f}" for value in steps["minutes"]], 1.5)
    ax.set(xlabel=typeset("test accuracy (%), 95 % interval"), xlim=(min(*accuracy, 100 * original) - 4, 100))
    ax.xaxis.set_major_locator(plt.MultipleLocator(10))
    return ax


def networks(table: pd.DataFrame, *, yours: str, goal: float, ax=None):
    """Show each network's validation accuracy, the best on top, beside its parameters and training time as numbers.

    Args:
        table: as `comparison.networks` gives it, with a row for the student's network.
        yours: the name of that row.
        goal: the accuracy to reach.
    """
    ax = new_axes(ax, (1.2 * COLUMN_WIDTH, 0.9 + 0.3 * len(table)))
    table = table.sort_values("val_accuracy", ascending=False)
    for row, (name, accuracy) in enumerate(table["val_accuracy"].items()):
        ax.plot(100 * accuracy, row, **DIAMOND if name == yours else DOTS | {"alpha": 1})
    ax.axvline(100 * goal, color=HUMANS, linestyle="--", linewidth=1.5)
    ax.margins(x=0.08)
    _name_rows(ax, table.index)
    _column(ax, "parameters", [f"{parameters:,.0f}" for parameters in table["parameters"]], 0.8)
    _column(ax, "seconds", [f"{seconds:.0f}" for seconds in table["seconds"]], 1.4)
    ax.set_xlabel(typeset(f"validation accuracy (%); dashed: the goal, {100 * goal:.0f} %"))
    return ax


def mistakes(shares: pd.DataFrame, *, ax=None):
    """Show each pair of classes' share of all mistakes, a row for each pair, a mark for each who made them.

    Args:
        shares: 0 to 1; a row for each pair (the first on top), a column for each who made the mistakes.
    """
    ax = new_axes(ax, (COLUMN_WIDTH, 0.9 + 0.32 * len(shares)))
    marks = zip(np.linspace(-0.22, 0.22, shares.shape[1]), cycle("Dos"), cycle((HUMANS, RUN, TODAY)), strict=False)
    for (who, values), (lower, marker, colour) in zip(shares.items(), marks, strict=True):
        ax.plot(100 * values, np.arange(len(shares)) + lower, marker, color=colour, markersize=5, label=who)
    _name_rows(ax, shares.index)
    ax.grid(axis="y", color="0.9")
    ax.set(xlabel="share of all mistakes (%)", xlim=(0, None))
    ax.legend(ncols=3, columnspacing=1, **LEGEND_ABOVE)
    return ax


def quality(runs: pd.DataFrame, samples: dict):
    """Show accuracy against the quality of the images, a line for each network, below a sample; returns the figure.

    Means have their 95 % interval if there are three runs or more.

    Args:
        runs: a row for each run: `network`, `quality` (a key of `samples`) and `accuracy`.
        samples: for each quality, the best first, an image, uint8, (32, 32, 3). Lines join those that count pixels.
    """
    fig = plt.figure(figsize=(1.1 * COLUMN_WIDTH, 4.2), layout="constrained")
    above, ax = fig.subplots(2, sharex=True, height_ratios=(1, 5.5))
    for place, image in enumerate(samples.values()):
        above.imshow(image, extent=(place - 0.46, place + 0.46, 0, 1), aspect="auto")
    above.set(ylim=(0, 1))
    above.set_axis_off()
    joined = sum("pixels" in name for name in samples)
    names = list(runs["network"].unique())
    for network, colour, marker in zip(names, cycle(PALETTE), cycle("os^"), strict=False):
        by_level = dict(list(runs[runs["network"] == network].groupby("quality")["accuracy"]))
        of_levels = [100 * np.array(by_level.get(name, ())) for name in samples]
        estimates = np.array([mean(accuracies)[:3] for accuracies in of_levels])
        ends = abs(estimates[:, 1:].T - estimates[:, 0])
        ends[:, [len(accuracies) < 3 for accuracies in of_levels]] = np.nan  # as for the improvements
        style = {"color": colour, "markersize": 5, "capsize": 2.5, "linestyle": "none"}
        ax.errorbar(range(len(samples)), estimates[:, 0], yerr=ends, marker=marker, label=network, **style)
        ax.plot(range(joined), estimates[:joined, 0], color=colour, linewidth=1.2)
    ax.set_xticks(range(len(samples)), [name.replace(" ", "\n") for name in samples])
    ax.set(xlabel="quality of the images, in training and test", ylabel=typeset("test accuracy (%), mean of the runs"))
    ax.grid(axis="y", color="0.9")
    ax.legend(frameon=False, loc="lower left")
    return fig


def calibration(tables: dict, *, ax=None):
    """Show how often answers are right against how sure each network is of them; on the diagonal, the two agree.

    Args:
        tables: as `evaluation.calibration` gives them, by the name of the network.
    """
    ax = new_axes(ax, (COLUMN_WIDTH, COLUMN_WIDTH))
    ax.plot((0, 100), (0, 100), "--", color="0.5", linewidth=1, label="calibrated")
    for (name, table), colour, marker in zip(tables.items(), cycle(PALETTE), cycle("os^D"), strict=False):
        share = 100 * table[["confidence", "accuracy"]]
        ax.plot(*share.to_numpy().T, f"{marker}-", color=colour, markersize=5, label=name, clip_on=False)
    ax.set(xlabel="probability of the answer (%)", ylabel=typeset("right answers (%)"), xlim=(0, 100), ylim=(0, 100))
    ax.set_aspect("equal")
    ax.grid(color="0.9")
    ax.legend(frameon=False)
    return ax


def verdicts(judged):
    """Show what each verdict that rests on runs is based on, one below the other; returns the figure.

    Each chart has our runs, and their mean with its 95 % interval. For a claim with a number, the grey band is where one
    further run would fall in 95 % of cases, and the dashed line the original's number. For other claims, the chart
    shows the difference, and the line, or two, it is compared with.
    """
    from labhelpers.study.verdicts import strips

    shown = strips(judged)
    fig = plt.figure(figsize=(COLUMN_WIDTH, 1.25 * max(len(shown), 1)), layout="constrained")
    for number, strip in enumerate(shown, 1):
        ax, claim = fig.add_subplot(len(shown), 1, number), strip.verdict.claim
        ax.plot([*strip.dots.values()], [0.3] * len(strip.dots), **DOTS | {"markersize": 4})
        _bar(ax, strip.mean, *strip.interval, -0.3)
        if strip.band:
            ax.axvspan(*strip.band, color="0.9", linewidth=0, zorder=0)
            ax.axvspan(*strip.rounded, color=ORIGINAL, alpha=0.2, linewidth=0, zorder=0)
        for line in strip.lines:
            ax.axvline(line, color=ORIGINAL, linestyle="--", linewidth=1.5)
        ax.set(xlabel=strip.axis, yticks=[], ylim=(-0.8, 0.8))
        ax.set_title(f"{claim.id}: {claim.statement}\n{strip.verdict.outcome}", loc="left", fontsize=9)
        ax.spines[["left", "right", "top"]].set_visible(False)
    return fig


def _no_runs(ax):
    """Say in an empty chart why it is one."""
    ax.text(0.5, 0.5, "no runs on these images are recorded", transform=ax.transAxes, ha="center", va="center")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _rows_of_runs(ax, groups, label="", mean_label=""):
    """Draw the runs of each group as dots, and above them their mean with its 95 % interval, if there is one."""
    for row, values in enumerate(groups.values()):
        percents = 100 * np.asarray(values, float)
        ax.plot(percents, [row + 0.14] * len(percents), label="" if row else label, **DOTS)
        _bar(ax, *mean(percents)[:3], row - 0.18, "" if row else mean_label)
    _name_rows(ax, groups)


def _name_rows(ax, names):
    """Name the rows at 0, 1, …, from the top, at the left."""
    ax.set(yticks=range(len(names)), yticklabels=map(typeset, names), ylim=(len(names) - 0.5, -0.5))
    ax.grid(axis="x", color="0.9")


def _column(ax, header, texts, inches=0.5):
    """Write a column of numbers that ends so far from the right of the rows."""
    style = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right", "fontsize": 8.5}
    for row, text in enumerate(texts):
        ax.annotate(text, (1, row), (72 * inches, 0), va="center_baseline", **style)
    ax.annotate(header, (1, -0.6), (72 * inches, 0), va="bottom", **style)


def _bar(ax, value, low, high, y, label=None):
    reach = [[value - low], [high - value]] if np.isfinite(low) else None
    ax.errorbar(value, y, xerr=reach, label=typeset(label or ""), **BAR)


def _original(ax, value):
    label = typeset(f"original: {100 * value:.0f} %")
    ax.axvline(100 * value, color=ORIGINAL, linestyle="--", linewidth=1.5, label=label)
