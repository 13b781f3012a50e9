"""Save figures and tables from a notebook, with the numbers and words that belong to them."""

import base64
import io
from contextlib import contextmanager

import numpy as np
import pandas as pd

from labhelpers import data, usage
from labhelpers.paths import atomic_write, figures_dir, results_dir
from labhelpers.style import PALETTE, plt

PER_CELL = 12  # images for each cell of the confusion matrix
saved: dict[str, bool] = {}  # whether the numbers depend on training, by name of what this process has saved
STAMP = "stand-in images drawn by a program, not CIFAR-10"


def save_figure(fig, name: str, numbers, *, caption: str = "", alt: str = "", trained: bool = False) -> None:
    """Save a figure as `name.png`, with its numbers as `name.csv`, and show it below the cell.

    Both files go to the `figures` folder in `paths.results_dir`, complete or not at all. The PNG also holds the
    numbers, the caption and the alternative text; the output of the cell holds the name, by which the page finds the
    file. A figure made after stand-in images were loaded is stamped.

    Args:
        fig: a matplotlib figure.
        name: of the files, without ending.
        numbers: what the figure shows: a DataFrame, or what makes one. An index with a name becomes a column.
        caption: what the figure shows, in a sentence; by default its name.
        alt: a description for readers who can't see it; by default the caption.
        trained: whether the numbers depend on a network that this notebook trains, so that another run gives others.

    Raises:
        LabError: the folder can't be written, or the disk is full.

    Example:
        >>> ax = plots.losses(history.table())
        >>> save_figure(ax.figure, "my_losses", history.table(), caption="Loss per epoch.")
    """
    caption = caption or f"{name.replace('_', ' ').capitalize()}."
    words = {"caption": caption, "alt": alt or caption}
    if data.loaded_names - {"CIFAR-10"}:
        box = {"facecolor": PALETTE[3], "edgecolor": "none", "pad": 3}
        top = max(1, fig.get_tightbbox().y1 / fig.get_figheight()) + 0.1 / fig.get_figheight()
        style = {"ha": "center", "va": "bottom", "fontsize": 9, "color": "white"}
        fig.text(0.5, top, STAMP, bbox=box, gid="stand-in", **style)
    csv, png = (figures_dir() / f"{name}.{ending}" for ending in ("csv", "png"))
    with _table_file(numbers, csv) as text, atomic_write(png) as path:
        fig.savefig(path, bbox_inches="tight", metadata={"Software": None, "numbers": text} | words)
    saved[name] = trained
    _show(fig, name, **words)


def save_table(name: str, numbers, *, trained: bool = False) -> None:
    """Save numbers as `name.csv` beside the figures; arguments as for `save_figure`."""
    with _table_file(numbers, figures_dir() / f"{name}.csv"):
        saved[name] = trained


def save_examples(name: str, images, labels, probabilities) -> None:
    """Save the first `PER_CELL` images of each cell of the confusion matrix in figure `name`, for the page.

    `name.csv` in the `examples` folder beside the figures has a row for each: `true`, `predicted` (0 to 9), its position as
    `image`, the `probability` of the predicted class, and the picture as `webp`, in base64.

    Args:
        name: of the figure, without ending.
        images: uint8, (N, 32, 32, 3).
        labels: true classes, int, (N,), 0 to 9.
        probabilities: float, (N, 10).
    """
    table = pd.DataFrame({"true": labels, "predicted": probabilities.argmax(axis=1)})
    table["image"], table["probability"] = np.arange(len(table)), probabilities.max(axis=1)
    table = table.groupby(["true", "predicted"]).head(PER_CELL).sort_values(["true", "predicted", "image"])
    table["webp"] = [_as_text(images[position]) for position in table["image"]]
    with _table_file(table, results_dir() / "examples" / f"{name}.csv"):
        pass


@contextmanager
def _table_file(numbers, path):
    """Write a CSV and give its text; it appears only if the block succeeds, so that it agrees with what that writes."""
    table = pd.DataFrame(numbers)
    named = any(name is not None for name in table.index.names)
    text = table.to_csv(index=named, float_format="%.6g", lineterminator="\n")
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        yield text


def _show(fig, name, caption, alt):
    """Show the figure and its caption in a notebook, under whatever backend; the cell's outputs carry its name."""
    if getattr(usage.shell(), "kernel", None):
        from IPython.display import Image, Markdown, display

        png = io.BytesIO()
        fig.savefig(png, format="png", bbox_inches="tight", dpi=fig.dpi)
        display(Image(png.getvalue(), alt=alt), metadata={"labhelpers": {"figure": name}})
        display(Markdown(f"*{caption}*"), metadata={"labhelpers": {"caption_of": name}})
        plt.close(fig)  # else Jupyter would show it a second time at the end of the cell


def _as_text(image):
    encoded = io.BytesIO()
    plt.imsave(encoded, image, format="webp", pil_kwargs={"quality": 96, "method": 6})
    return base64.b64encode(encoded.getvalue()).decode()
