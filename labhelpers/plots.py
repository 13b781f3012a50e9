"""One function per figure: each takes data and `ax`, returns the Axes and never shows the figure.

All figures share one style: as wide as a text column, legible, in colours that colour-blind readers can distinguish.
"""

from itertools import cycle

import numpy as np
import pandas as pd

from labhelpers.cifar10 import ANIMALS, CLASS_NAMES, GROUPED, VEHICLES
from labhelpers.errors import check_whole_number
from labhelpers.style import COLUMN_WIDTH, PALETTE, plt

GAP = 2  # white pixels between images


def class_grid(images, labels, *, per_class: int = 8, ax=None):
    """Show the first images of each class, one class per row.

    Args:
        images: uint8, (N, 32, 32, 3).
        labels: int, (N,), 0 to 9.
        per_class: images in a row, at most as many as the smallest class has.

    Example:
        >>> ax = class_grid(np.zeros((20, 32, 32, 3), "uint8"), 2 * list(range(10)), per_class=2)
    """
    check_whole_number("per_class", per_class, 1, int(np.bincount(labels, minlength=len(CLASS_NAMES)).min()))
    rows = [images[np.flatnonzero(np.equal(labels, i))[:per_class]] for i in range(len(CLASS_NAMES))]
    ax = new_axes(ax, (COLUMN_WIDTH, COLUMN_WIDTH * 10.5 / (per_class + 2)))
    return image_rows(dict(zip(CLASS_NAMES, rows, strict=True)), per_class * [""], ax=ax)


def image_rows(rows: dict, captions, *, ax=None):
    """Show named rows of images, with a caption above each column.

    Args:
        rows: for each row's name, N images, uint8, (N, side, side, 3).
        captions: N strings, which may contain line breaks.

    Example:
        >>> ax = image_rows({"black": np.zeros((2, 32, 32, 3), "uint8")}, ["first", "second"])
    """
    ax = new_axes(ax, (COLUMN_WIDTH, COLUMN_WIDTH * len(rows) / max(len(captions), 3) + 0.5))
    tiles = np.pad(np.array([*rows.values()]), [(0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)], constant_values=255)
    distance = tiles.shape[2]  # of two images, in pixels
    mosaic = tiles.swapaxes(1, 2).reshape(len(rows) * distance, -1, 3)[:-GAP, :-GAP]
    ax.imshow(mosaic, interpolation="nearest")
    middle = (distance - GAP - 1) / 2
    ax.set_xticks(distance * np.arange(len(captions)) + middle, captions, fontsize=8)
    ax.set_yticks(distance * np.arange(len(rows)) + middle, rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def captioned_images(images, captions, *, columns: int = 3, limits=(None, None)):
    """Show images in rows of `columns`, each above its own caption; returns the figure.

    Args:
        images: N images of one shape, each uint8, (height, width, 3), or numbers, (height, width), in grey.
        captions: N strings, which may contain line breaks.
        limits: the numbers that are black and white; by default each image's smallest and largest.

    Example:
        >>> fig = captioned_images(np.zeros((2, 32, 32, 3), "uint8"), ["first", "second"])
    """
    rows = -(-len(images) // columns)
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    side, gap, below = 0.85 * COLUMN_WIDTH / columns, 0.15 * COLUMN_WIDTH / columns, 0.12 + 0.14 * lines  # inches
    tall = side * images[0].shape[0] / images[0].shape[1] if len(images) else side
    width, height = columns * (side + gap), rows * (tall + below)
    fig = plt.figure(figsize=(width, height))
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(number, columns)
        left, bottom = column * (side + gap) + gap / 2, height - row * (tall + below) - tall
        ax = fig.add_axes((left / width, bottom / height, side / width, tall / height))
        ax.set_axis_off()
        low, high = limits
        ax.imshow(image, interpolation="nearest", cmap="gray", vmin=low, vmax=high)  # images in colour ignore these
        ax.text(0.5, -0.03, caption, transform=ax.transAxes, ha="center", va="top", fontsize=8)
    return fig


def network(model, *, ax=None):
    """Draw what each layer of a network gives: the higher a blue box, the larger the image; the wider, the more channels.

    Args:
        model: a Keras model whose layers form a list. One that gives a list of numbers is an orange line, not to scale.

    Example:
        >>> ax = network(models.baseline())
    """
    shapes = {"image": model.input_shape[1:]}
    shapes |= {f"{at} {type(layer).__name__}": layer.output.shape[1:] for at, layer in enumerate(model.layers, 1)}
    widths = [0.05 + 0.03 * min(shape[-1], 64) * (len(shape) == 3) for shape in shapes.values()]
    ax = new_axes(ax, (max(COLUMN_WIDTH, 0.75 * (sum(widths) + 0.6 * len(widths))), 2.5))
    left = 0.0
    for (name, shape), width in zip(shapes.items(), widths, strict=True):
        height = shape[0] / model.input_shape[1] if len(shape) == 3 else min(1, shape[0] / 64) * 0.9
        ax.bar(left, height, width, -height / 2, align="edge", color=PALETTE[0 if len(shape) == 3 else 1], alpha=0.6)
        ax.text(left + width / 2, height / 2 + 0.03, "×".join(map(str, shape)), fontsize=7, ha="center", va="bottom")
        ax.text(left + width / 2, -0.55, name.lstrip("0123456789 "), fontsize=7.5, rotation=35, ha="right", va="top")
        left += width + 0.6
    ax.set(xlim=(-0.4, left), ylim=(-0.95, 0.65))
    ax.set_axis_off()
    return ax


def probabilities(answers: pd.DataFrame, *, ax=None):
    """Show which probability each network gives each class for one image.

    Args:
        answers: probabilities, 0 to 1; one row per class, one column per network.

    Example:
        >>> ax = probabilities(pd.DataFrame({"a guess": 10 * [0.1]}, index=CLASS_NAMES))
    """
    ax = new_axes(ax, (COLUMN_WIDTH, 0.7 + 0.28 * len(answers)))
    (100 * answers).plot.barh(ax=ax, width=0.8)
    ax.invert_yaxis()
    ax.set(xlabel="probability (%)", ylabel="", xlim=(0, 100))
    ax.legend(frameon=False, loc="lower right")
    return ax


def channel_histogram(counts: pd.DataFrame, *, ax=None):
    """Show how often each value from 0 to 255 occurs in each channel.

    Args:
        counts: one row per value (256), columns `red`, `green`, `blue`.

    Example:
        >>> ax = channel_histogram(pd.DataFrame(1, index=range(256), columns=["red", "green", "blue"]))
    """
    ax = new_axes(ax)
    styles = {"red": (PALETTE[3], "-"), "green": (PALETTE[2], "--"), "blue": (PALETTE[0], ":")}
    for name, (colour, line) in styles.items():
        ax.plot(100 * counts[name] / counts[name].sum(), label=name, color=colour, linestyle=line)
    ax.set(xlabel="pixel value", ylabel="share of pixels (%)", xlim=(0, 255), ylim=(0, None))
    ax.legend(title="channel", frameon=False)
    return ax


def losses(history, *, title: str = "", ax=None):
    """Show training and validation loss per epoch, and mark the epoch whose weights were kept.

    Args:
        history: `loss` and `val_loss` of each epoch: `history.table()`, or `history.history` as in Keras.

    Example:
        >>> ax = losses({"loss": [2.1, 1.5, 1.2], "val_loss": [1.9, 1.6, 1.7]})
    """
    ax = new_axes(ax)
    history = _by_epoch(history)
    best = history["val_loss"].idxmin()
    ax.plot(history["loss"], "o-", color=PALETTE[0], markersize=4, label="training")
    ax.plot(history["val_loss"], "s-", color=PALETTE[1], markersize=4, label="validation")
    ax.axvline(best, color="0.6", linewidth=1, linestyle=":", zorder=0)
    mark = {"markersize": 10, "markerfacecolor": "none", "markeredgecolor": "black", "linestyle": "none"}
    ax.plot(best, history["val_loss"][best], "s", label=f"kept: epoch {best}", **mark)
    return _label_losses(ax, title)


def compare_losses(histories: dict, *, ax=None):
    """Show training loss (dashed) and validation loss (solid) of several runs, one colour per run.

    Args:
        histories: as for `losses`, by the name of the run.

    Example:
        >>> ax = compare_losses({"a run": {"loss": [2.1, 1.5, 1.2], "val_loss": [1.9, 1.6, 1.7]}})
    """
    ax = new_axes(ax)
    for (name, history), colour, marker in zip(histories.items(), cycle(PALETTE), cycle("os^Dv")):
        history, style = _by_epoch(history), f"{marker}-"
        ax.plot(history["val_loss"], style, color=colour, markersize=4, label=f"{name}: validation")
        hollow = {"markersize": 4, "markerfacecolor": "none", "label": f"{name}: training"}
        ax.plot(history["loss"], f"{marker}--", color=colour, **hollow)
    return _label_losses(ax)


def _by_epoch(history):
    table = pd.DataFrame(history)
    return table.set_axis(range(1, len(table) + 1))


def _label_losses(ax, title=""):
    count_epochs(ax)
    ax.set(xlabel="epoch", ylabel="cross-entropy loss (nats per image)", title=title)
    ax.legend(frameon=False)
    return ax


def confusion_matrix(matrix, *, ax=None):
    """Show which classes each class is taken for, in per cent, with vehicles and animals framed.

    Args:
        matrix: counts, int, (10, 10); rows are true classes, columns predicted ones, in the official order.

    Example:
        >>> ax = confusion_matrix(np.eye(10, dtype=int))
    """
    import seaborn as sns  # here, since it takes over a second to load

    ordered = np.asarray(matrix)[np.ix_(GROUPED, GROUPED)]
    shares = 100 * ordered / np.maximum(ordered.sum(axis=1, keepdims=True), 1)
    names = [CLASS_NAMES[label] for label in GROUPED]
    ax = new_axes(ax, (COLUMN_WIDTH, COLUMN_WIDTH))
    text = {"annot": True, "fmt": ".0f", "annot_kws": {"fontsize": 8}}
    colours = {"cmap": "Blues", "vmin": 0, "vmax": 100, "cbar": False, "linewidths": 0.5}
    sns.heatmap(shares, square=True, xticklabels=names, yticklabels=names, ax=ax, **text, **colours)
    for start, size in ((0, len(VEHICLES)), (len(VEHICLES), len(ANIMALS))):
        ax.add_patch(plt.Rectangle((start, start), size, size, fill=False, edgecolor="black", linewidth=1.5))
    ax.tick_params(length=0)
    plt.setp(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class", title="Answers in % of the true class")
    return ax


def class_accuracy(table: pd.DataFrame, *, ax=None):
    """Show the accuracy of each class with its interval, the best class on top.

    Args:
        table: columns `class`, `accuracy`, `low`, `high` (0 to 1), as from `Evaluation.per_class`.

    Example:
        >>> table = pd.DataFrame({"class": CLASS_NAMES, "accuracy": 0.6, "low": 0.5, "high": 0.7})
        >>> ax = class_accuracy(table)
    """
    ax = new_axes(ax, (COLUMN_WIDTH, 2.9))
    table = table.sort_values("accuracy").assign(y=range(len(table)))
    is_vehicle = table["class"].isin([CLASS_NAMES[label] for label in VEHICLES])
    groups = (("vehicle", "s", PALETTE[0], is_vehicle), ("animal", "o", PALETTE[2], ~is_vehicle))
    for name, marker, colour, chosen in groups:
        rows = table[chosen]
        reach = 100 * np.array([rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]])
        dot = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 2.5, "label": name}
        ax.errorbar(100 * rows["accuracy"], rows["y"], xerr=reach, **dot)
    ax.set_yticks(range(len(table)), table["class"])
    ax.grid(axis="x", color="0.9")
    ax.legend(edgecolor="none", framealpha=1)
    ax.set(xlabel="test accuracy (%), 95 % interval", ylabel="")
    return ax


def sweep(table: pd.DataFrame, x: str, others: list[str], *, ax=None):
    """Show test accuracy against a parameter: a dot for each run, and lines through the means.

    Args:
        table: a row for each run: its parameters by name, and `test accuracy`, 0 to 1.
        x: the parameter on the axis.
        others: columns that the lines differ by; those with one value are left out.
    """
    ax = new_axes(ax)
    differing = [name for name in others if len(table[name].unique()) > 1]
    groups = table.groupby(differing, sort=True) if differing else [((), table)]
    for (values, runs), color, marker in zip(groups, cycle(PALETTE), cycle("os^Dv"), strict=False):
        label = ", ".join(f"{name} = {value}" for name, value in zip(differing, values, strict=True))
        ax.plot(runs[x], 100 * runs["test accuracy"], marker, color=color, alpha=0.6, markersize=5, label=label)
        means = 100 * runs.groupby(x)["test accuracy"].mean()
        ax.plot(means.index, means, "-", color=color, linewidth=1.2)
    ticks = sorted(table[x].unique().tolist())
    if all(isinstance(tick, int | float) and tick > 0 for tick in ticks) and ticks[-1] > 20 * ticks[0]:
        ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:,}" if isinstance(tick, int) else f"{tick}" for tick in ticks], minor=False)
    ax.set(xlabel=x, ylabel="test accuracy (%)")
    ax.grid(axis="y", color="0.9")
    if differing:
        ax.legend(frameon=False)
    return ax


def count_epochs(ax):
    """Put whole numbers on the axis of epochs, so that it shows the last of 10 or 20."""
    ax.xaxis.set_major_locator(plt.MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def new_axes(ax, size=None):
    """Return `ax`, or if it is None the Axes of a new figure of this size in inches."""
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
