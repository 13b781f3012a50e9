"""One function a figure: each takes data and `ax`, returns the Axes and never shows.

One style for all: sized for a text column, legible there, colours that colour-blind readers can tell apart.
"""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from labhelpers.cifar10 import ANIMALS, CLASS_NAMES, GROUPED, SIDE, VEHICLES
from labhelpers.errors import check_whole_number

COLUMN_WIDTH = 4.6  # inches
STYLE = {
    "figure.figsize": (COLUMN_WIDTH, 3.0),
    "figure.dpi": 130,
    "savefig.dpi": 220,
    "savefig.bbox": "tight",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
sns.set_theme(style="ticks", palette="colorblind", rc=STYLE)

PALETTE = sns.color_palette("colorblind")
TRAINING, VALIDATION = PALETTE[0], PALETTE[1]
GROUP_COLOURS = {"vehicle": PALETTE[0], "animal": PALETTE[2]}


def class_grid(images, labels, *, per_class: int = 8, ax=None):
    """Show the first `per_class` images of each class, a row a class.

    Args:
        images: uint8, (N, 32, 32, 3).
        labels: int, (N,), 0 to 9.

    Raises:
        LabError: some class has fewer than `per_class` images.
    """
    check_whole_number("per_class", per_class, 1, int(np.bincount(labels, minlength=len(CLASS_NAMES)).min()))
    labels = np.asarray(labels)
    rows = [images[np.flatnonzero(labels == label)[:per_class]] for label in range(len(CLASS_NAMES))]
    ax = new_axes(ax, (COLUMN_WIDTH, COLUMN_WIDTH * 10.5 / (per_class + 2)))
    ax.imshow(_mosaic(rows), interpolation="nearest")
    ax.set_yticks(_centres(len(rows)), CLASS_NAMES)
    ax.set_xticks([])
    return _without_frame(ax)


def image_rows(rows, captions, *, ax=None):
    """Show rows of images under shared captions, each row named.

    Args:
        rows: arrays of uint8, (N, side, side, 3), N at least 1, by the name of the row.
        captions: N strings, one a column; they may hold line breaks.
    """
    names, images = list(rows), list(rows.values())
    side = images[0].shape[1]
    ax = new_axes(ax, (COLUMN_WIDTH, COLUMN_WIDTH * len(rows) / max(len(captions), 3) + 0.5))
    ax.imshow(_mosaic(images), interpolation="nearest")
    ax.xaxis.tick_top()
    ax.set_xticks(_centres(len(captions), side), captions, fontsize=8)
    ax.set_yticks(_centres(len(rows), side), names)
    return _without_frame(ax)


def captioned_images(images, captions, *, columns: int = 3):
    """Show images in rows, each with a caption of its own below it; returns the figure.

    Args:
        images: uint8, (N, side, side, 3).
        captions: N strings; they may hold line breaks.
        columns: images in a row.
    """
    rows = -(-len(images) // columns)
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    side, gap, below = 1.3, 0.23, 0.12 + 0.14 * lines  # inches
    width, height = columns * (side + gap), rows * (side + below)
    fig = plt.figure(figsize=(width, height))
    for at, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(at, columns)
        left, bottom = column * (side + gap) + gap / 2, height - row * (side + below) - side
        ax = fig.add_axes((left / width, bottom / height, side / width, side / height))
        ax.set_axis_off()
        ax.imshow(image, interpolation="nearest")
        ax.text(0.5, -0.03, caption, transform=ax.transAxes, ha="center", va="top", fontsize=8)
    return fig


def probabilities(answers: pd.DataFrame, *, ax=None):
    """Show what each network says of one image, a bar for each class.

    Args:
        answers: probabilities, 0 to 1; a row a class, a column a network.
    """
    ax = new_axes(ax, (COLUMN_WIDTH, 0.7 + 0.28 * len(answers)))
    height = 0.8 / max(answers.shape[1], 1)
    for number, name in enumerate(answers.columns):
        places = np.arange(len(answers)) + (number - (answers.shape[1] - 1) / 2) * height
        ax.barh(places, 100 * answers[name], height, color=PALETTE[number % len(PALETTE)], label=name)
    ax.set_yticks(range(len(answers)), answers.index)
    ax.invert_yaxis()
    ax.set(xlabel="probability (%)", xlim=(0, 100))
    ax.legend(frameon=False, loc="lower right")
    return ax


def channel_histogram(counts: pd.DataFrame, *, ax=None):
    """Show how often each value from 0 to 255 occurs in each channel.

    Args:
        counts: a row a value (256), columns `red`, `green`, `blue`.
    """
    ax = new_axes(ax)
    for name, colour, line in (
        ("red", PALETTE[3], "-"),
        ("green", PALETTE[2], "--"),
        ("blue", PALETTE[0], ":"),
    ):
        ax.plot(100 * counts[name] / counts[name].sum(), label=name, color=colour, linestyle=line)
    ax.set(xlabel="pixel value", ylabel="share of pixels (%)", xlim=(0, 255), ylim=(0, None))
    ax.legend(title="channel", frameon=False)
    return ax


def losses(history, *, title: str | None = None, ax=None):
    """Show training and validation loss per epoch, the epoch whose weights were kept marked.

    Args:
        history: `loss` and `val_loss`, a number an epoch: `history.table()`, or `history.history` as in Keras.
    """
    ax = new_axes(ax)
    history = _by_epoch(history)
    best = history.loc[history["val_loss"].idxmin()]
    ax.plot(history["epoch"], history["loss"], "o-", color=TRAINING, markersize=4, label="training")
    ax.plot(history["epoch"], history["val_loss"], "s-", color=VALIDATION, markersize=4, label="validation")
    ax.axvline(best["epoch"], color="0.6", linewidth=1, linestyle=":", zorder=0)
    ax.plot(
        *(best["epoch"], best["val_loss"]),
        *("s",),
        markersize=10,
        markerfacecolor="none",
        markeredgecolor="black",
        linestyle="none",
        label=f"kept: epoch {best['epoch']:.0f}",
    )
    count_epochs(ax)
    ax.set(xlabel="epoch", ylabel="cross-entropy loss (nats per image)", title=title or "")
    ax.legend(frameon=False)
    return ax


def _by_epoch(history):
    table = pd.DataFrame(history)
    return table.assign(epoch=np.arange(1, len(table) + 1))


def compare_losses(histories: dict, *, ax=None):
    """Show training (dashed) and validation loss (solid) of several runs, a colour a run.

    Args:
        histories: as for `losses`, by the name of the run.
    """
    ax = new_axes(ax)
    for (name, history), colour, marker in zip(histories.items(), cycle(PALETTE), cycle("os^Dv")):
        history = _by_epoch(history)
        ax.plot(
            history["epoch"],
            history["val_loss"],
            f"{marker}-",
            color=colour,
            markersize=4,
            label=f"{name}: validation",
        )
        ax.plot(history["epoch"], history["loss"], "--", color=colour, label=f"{name}: training")
    count_epochs(ax)
    ax.set(xlabel="epoch", ylabel="cross-entropy loss (nats per image)")
    ax.legend(frameon=False)
    return ax


def confusion_matrix(matrix, *, ax=None):
    """Show how each class is answered, in per cent of the class, vehicles and animals as blocks.

    Args:
        matrix: counts, int, (10, 10); rows are true classes, columns predicted ones, in the official order.
    """
    ordered = np.asarray(matrix)[np.ix_(GROUPED, GROUPED)]
    shares = 100 * ordered / np.maximum(ordered.sum(axis=1, keepdims=True), 1)
    names = [CLASS_NAMES[label] for label in GROUPED]
    ax = new_axes(ax, (COLUMN_WIDTH, COLUMN_WIDTH))
    sns.heatmap(
        shares,
        annot=True,
        fmt=".0f",
        annot_kws={"fontsize": 8},
        cmap="Blues",
        vmin=0,
        vmax=100,
        square=True,
        cbar=False,
        linewidths=0.5,
        xticklabels=names,
        yticklabels=names,
        ax=ax,
    )
    for start, size in ((0, len(VEHICLES)), (len(VEHICLES), len(ANIMALS))):
        ax.add_patch(Rectangle((start, start), size, size, fill=False, edgecolor="black", linewidth=1.5))
    ax.tick_params(length=0)
    ax.tick_params(axis="x", rotation=45)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class", title="Answers in % of the true class")
    return ax


def class_accuracy(table: pd.DataFrame, *, ax=None):
    """Show the accuracy of each class with its interval, best first, vehicles and animals told apart.

    Args:
        table: columns `class`, `accuracy`, `low`, `high` (0 to 1), as `Evaluation.per_class` gives them.
    """
    ax = _dots(table.sort_values("accuracy"), "accuracy", ax)
    ax.set(xlabel="test accuracy (%), 95 % interval", ylabel="")
    return ax


def class_gain(table: pd.DataFrame, *, ax=None):
    """Show by how much each class gained, largest first, vehicles and animals told apart.

    Args:
        table: columns `class`, `gain`, `low`, `high`, shares (-1 to 1).
    """
    ax = _dots(table.sort_values("gain"), "gain", ax)
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set(xlabel="gain in test accuracy (points), 95 % interval", ylabel="")
    return ax


def count_epochs(ax):
    """Put whole numbers on the axis of epochs, so that the last of 10 or of 20 is among them."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def new_axes(ax, size=None):
    """Return `ax`, or where there is none that of a new figure of this size in inches."""
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _dots(table, column, ax):
    """Draw a dot with its interval for each class, in per cent, coloured by group."""
    ax = new_axes(ax, (COLUMN_WIDTH, 2.9))
    vehicles = {CLASS_NAMES[label] for label in VEHICLES}
    for group, marker in (("vehicle", "s"), ("animal", "o")):
        rows = [
            (y, row)
            for y, row in enumerate(table.to_dict("records"))
            if (row["class"] in vehicles) == (group == "vehicle")
        ]
        centre = np.array([row[column] for _, row in rows])
        reach = np.abs(np.array([[row["low"], row["high"]] for _, row in rows]).T - centre)
        ax.errorbar(
            100 * centre,
            [y for y, _ in rows],
            xerr=100 * reach,
            fmt=marker,
            color=GROUP_COLOURS[group],
            markersize=5,
            capsize=2.5,
            label=group,
        )
    ax.set_yticks(range(len(table)), table["class"])
    ax.grid(axis="x", color="0.9")
    ax.legend(frameon=False)
    return ax


def _mosaic(rows, gap=2):
    """Tile rows of equal numbers of images into one white-gapped image."""
    rows = [
        [np.pad(image, ((0, gap), (0, gap), (0, 0)), constant_values=255) for image in row] for row in rows
    ]
    return np.vstack([np.hstack(row) for row in rows])[:-gap, :-gap]


def _centres(n, side=SIDE, gap=2):
    return (side + gap) * np.arange(n) + (side - 1) / 2


def _without_frame(ax):
    sns.despine(ax=ax, left=True, bottom=True)
    ax.tick_params(length=0)
    return ax
