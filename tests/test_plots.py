"""Figures show what their numbers say, can be read, and are the same whatever a user's settings are."""

import hashlib
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from nbclient import NotebookClient

from labhelpers import plots
from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.errors import LabError
from labhelpers.style import PALETTE, STYLE

VEHICLES = {"airplane", "automobile", "ship", "truck"}
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (200, 32, 32, 3), np.uint8)
LABELS = RNG.permutation(np.repeat(np.arange(10), 20))
HISTORY = pd.DataFrame({"epoch": [1, 2, 3, 4, 5], "loss": [2, 1.5, 1.2, 1, 0.8], "val_loss": [1.9, 1.6, 1.4, 1.5, 1.7]})
SHORTER = HISTORY[:3] * [1, 0.5, 0.5]
MATRIX = RNG.integers(0, 200, (10, 10))
ACCURACIES = pd.DataFrame({"class": CLASS_NAMES, "accuracy": RNG.permutation(np.linspace(0.3, 0.8, 10))})
ACCURACIES = ACCURACIES.assign(low=ACCURACIES["accuracy"] - 0.03, high=ACCURACIES["accuracy"] + 0.02)

ANSWERS = pd.DataFrame(RNG.dirichlet(np.ones(10), 2).T, index=CLASS_NAMES, columns=["one", "two"])
COUNTS = pd.DataFrame({name: RNG.integers(1, 99, 256) for name in ("red", "green", "blue")})

FIGURES = {
    "class_grid": lambda ax=None: plots.class_grid(IMAGES, LABELS, per_class=4, ax=ax),
    "image_rows": lambda ax=None: plots.image_rows({"upper": IMAGES[:3], "lower": IMAGES[3:6]}, ["a", "b", "c"], ax=ax),
    "channel_histogram": lambda ax=None: plots.channel_histogram(COUNTS, ax=ax),
    "losses": lambda ax=None: plots.losses(HISTORY, ax=ax),
    "compare_losses": lambda ax=None: plots.compare_losses({"long": HISTORY, "short": SHORTER}, ax=ax),
    "confusion_matrix": lambda ax=None: plots.confusion_matrix(MATRIX, ax=ax),
    "class_accuracy": lambda ax=None: plots.class_accuracy(ACCURACIES, ax=ax),
    "probabilities": lambda ax=None: plots.probabilities(ANSWERS, ax=ax),
}
figures = pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)


@pytest.fixture(autouse=True)
def nothing_is_shown(monkeypatch):
    for module in (plt, Figure):
        monkeypatch.setattr(module, "show", lambda *_, **__: pytest.fail("a figure was shown"))


def _texts(labels):
    return [label.get_text() for label in labels]


def _legend(ax):
    return _texts(ax.get_legend().get_texts())


def _line(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return line


@figures
def test_figure_is_drawn_on_the_axes_given_or_on_its_own_at_column_width(draw):
    _, axes = plt.subplots(1, 2)
    assert draw(ax=axes[1]) is axes[1]
    assert axes[1].has_data() and not axes[0].has_data()
    assert len(plt.get_fignums()) == 1
    ax = draw()
    assert ax.has_data() and len(plt.get_fignums()) == 2
    assert ax.figure.get_figwidth() == pytest.approx(plots.COLUMN_WIDTH)


@figures
def test_tick_labels_are_large_enough_and_do_not_overlap(draw):
    ax = draw()
    ax.figure.canvas.draw()
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        shown = [label for label in labels if label.get_text()]
        assert all(label.get_fontsize() >= 8 for label in shown)
        if any(label.get_rotation() for label in shown):
            continue  # boxes around slanted labels overlap though the labels do not
        boxes = [label.get_window_extent() for label in shown]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


LABELS_OF_AXES = {
    "channel_histogram": ("pixel value", "share of pixels (%)"),
    "losses": ("epoch", "cross-entropy loss (nats per image)"),
    "compare_losses": ("epoch", "cross-entropy loss (nats per image)"),
    "confusion_matrix": ("predicted class", "true class"),
    "class_accuracy": ("test accuracy (%), 95 % interval", ""),
    "probabilities": ("probability (%)", ""),
}


@pytest.mark.parametrize("name", LABELS_OF_AXES)
def test_axes_are_labelled_with_their_units(name):
    ax = FIGURES[name]()
    assert (ax.get_xlabel(), ax.get_ylabel()) == LABELS_OF_AXES[name]


# Settings of a user

SETTINGS = "font.size: 30\nsavefig.dpi: 20\nfigure.facecolor: red\nfigure.max_open_warning: 1\nno_such_setting: 3\n"
CELLS = (
    """
import hashlib, io
from labhelpers import plots

def digest(ax):
    png = io.BytesIO()
    ax.figure.savefig(png, format="png")
    return hashlib.sha256(png.getvalue()).hexdigest()
""",
    """
history = {"loss": [2.1, 1.5, 1.2], "val_loss": [1.9, 1.6, 1.7]}
print(digest(plots.losses(history)), digest(plots.losses(history)))
""",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "before, chosen", [("", "no_such_backend"), ("import matplotlib.pyplot as plt; plt.style.use('ggplot')", "Agg")]
)
def test_a_users_settings_change_no_figure_in_a_notebook(before, chosen, monkeypatch, tmp_path):
    """They are shown below their cells, with nothing else, whatever matplotlibrc and MPLBACKEND say."""
    (tmp_path / "matplotlibrc").write_text(SETTINGS)
    monkeypatch.setenv("MPLBACKEND", chosen)
    cells = [nbformat.v4.new_code_cell(code) for code in (before, *CELLS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    _, nothing, outputs = (cell.outputs for cell in notebook.cells)
    assert nothing == [] and [output.output_type for output in outputs] == ["stream", *2 * ["display_data"]]
    assert all("image/png" in output.data for output in outputs[1:])
    png = io.BytesIO()
    plots.losses({"loss": [2.1, 1.5, 1.2], "val_loss": [1.9, 1.6, 1.7]}).figure.savefig(png, format="png")
    assert outputs[0].text.split() == 2 * [hashlib.sha256(png.getvalue()).hexdigest()]


def test_the_style_is_that_of_seaborn():
    ours = dict(matplotlib.rcParams)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        sns.set_theme(style="ticks", palette="colorblind", rc=STYLE)
        other = {name for name, value in matplotlib.rcParams.items() if value != ours[name]}
    assert other == {"axes.prop_cycle", "image.cmap"}
    assert sns.color_palette("colorblind").as_hex() == PALETTE == ours["axes.prop_cycle"].by_key()["color"]


def test_start_up_files_of_ipython_change_no_table(tmp_path):
    start_up = tmp_path / "profile_default/startup/00.py"
    start_up.parent.mkdir(parents=True)
    start_up.write_text("import pandas\npandas.set_option('display.precision', 2, 'display.max_rows', 4)\n")
    options = [pd.get_option(f"display.{name}") for name in ("precision", "max_rows")]
    said = "print(*map(pandas.get_option, ('display.precision', 'display.max_rows')))"
    command = [sys.executable, "-m", "IPython", "-c", f"import pandas; {said}; from labhelpers import plots; {said}"]
    variables = os.environ | {"IPYTHONDIR": str(tmp_path)}
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["2 4", "{} {}".format(*options)]


@pytest.mark.parametrize(
    "settings, backend, words", [(b"font.size: \xff\xfe", "Agg", "decode"), (b"", "no_such_backend", "no_such_backend")]
)
def test_settings_that_matplotlib_cannot_read_end_in_one_line(settings, backend, words, monkeypatch, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    monkeypatch.setenv("MPLBACKEND", backend)
    monkeypatch.chdir(tmp_path)
    run = subprocess.run([sys.executable, "-c", "from labhelpers import plots"], capture_output=True, text=True)
    line = run.stderr.splitlines()[-1]
    assert line.startswith("labhelpers.errors.LabError: matplotlib can't read its settings: ") and words in line
    assert line.endswith("correct MPLBACKEND or matplotlibrc")


def _shown_at(ax, column, row, side):
    """The pixels of the image whose centre the ticks give."""
    picture, half = np.asarray(ax.images[0].get_array()), (side - 1) / 2
    top, left = int(row - half), int(column - half)
    return picture[top : top + side, left : left + side]


def test_class_grid_shows_the_first_images_of_each_class_in_its_row(tells):
    ax = FIGURES["class_grid"]()
    assert tuple(_texts(ax.get_yticklabels())) == CLASS_NAMES
    for label, row in enumerate(ax.get_yticks()):
        for number, image in enumerate(IMAGES[np.equal(LABELS, label)][:4]):
            np.testing.assert_array_equal(_shown_at(ax, 15.5 + 34 * number, row, 32), image)
    assert np.asarray(ax.images[0].get_array()).shape == (10 * 34 - 2, 4 * 34 - 2, 3)
    with tells(LabError, "per_class is 21", "20"):
        plots.class_grid(IMAGES, LABELS, per_class=21)


@pytest.mark.parametrize("side", [32, 16])
def test_image_rows_are_named_and_captioned(side):
    rows = {"upper": IMAGES[:3, :side, :side], "lower": IMAGES[3:6, :side, :side]}
    ax = plots.image_rows(rows, ["a", "b\nc", "d"])
    assert _texts(ax.get_yticklabels()) == ["upper", "lower"]
    assert _texts(ax.get_xticklabels()) == ["a", "b\nc", "d"]
    for images, row in zip(rows.values(), ax.get_yticks(), strict=True):
        for image, column in zip(images, ax.get_xticks(), strict=True):
            np.testing.assert_array_equal(_shown_at(ax, column, row, side), image)


def test_captioned_images_are_above_their_captions():
    n = 7
    captions = [f"image {at}\nlabel" for at in range(n)]
    fig = plots.captioned_images(IMAGES[:n], captions, columns=4)
    shown = [ax for ax in fig.axes if ax.images]
    assert all((ax.images[0].get_array() == image).all() for ax, image in zip(shown, IMAGES[:n], strict=True))
    assert [ax.texts[0].get_text() for ax in shown] == captions
    fig.canvas.draw()
    boxes = [box for ax in shown for box in (ax.get_window_extent(), ax.texts[0].get_window_extent())]
    assert not any(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[:at])
    assert all(fig.bbox.xmin <= box.xmin and box.xmax <= fig.bbox.xmax for box in boxes)
    assert all(fig.bbox.ymin <= box.ymin and box.ymax <= fig.bbox.ymax for box in boxes)


def test_images_of_numbers_are_grey_from_their_smallest_to_their_largest():
    fig = plots.captioned_images([np.array([[-3.0, 0], [1, 5]])], ["numbers"])
    [image] = fig.axes[0].images
    assert image.get_cmap().name == "gray" and image.get_clim() == (-3, 5)
    fig = plots.captioned_images([np.array([[-3.0, 0], [1, 5]])], ["numbers"], limits=(0, 10))
    assert fig.axes[0].images[0].get_clim() == (0, 10)


def test_network_has_a_box_for_each_shape():
    def layer(*shape):
        return SimpleNamespace(output=SimpleNamespace(shape=(None, *shape)))

    model = SimpleNamespace(input_shape=(None, 32, 32, 3), layers=[layer(16, 16, 18), layer(4608), layer(10)])
    ax = plots.network(model)
    image, pooled, flat, logits = ax.patches
    assert image.get_height() == 2 * pooled.get_height() and pooled.get_width() > 3 * image.get_width()
    assert flat.get_height() > logits.get_height() and flat.get_width() == pytest.approx(logits.get_width())
    names = ["32×32×3", "image", "16×16×18", "SimpleNamespace", "4608", "SimpleNamespace", "10", "SimpleNamespace"]
    assert [text.get_text() for text in ax.texts] == names


def test_probabilities_are_bars_in_per_cent_of_each_network():
    ax = plots.probabilities(ANSWERS)
    widths = [[bar.get_width() for bar in bars] for bars in ax.containers]
    np.testing.assert_allclose(widths, 100 * ANSWERS.to_numpy().T)
    assert _legend(ax) == ["one", "two"] and _texts(ax.get_yticklabels()) == list(CLASS_NAMES)


def test_channel_histogram_gives_each_value_s_share_in_per_cent():
    ax = FIGURES["channel_histogram"]()
    assert _legend(ax) == list(COUNTS)
    for name, counts in COUNTS.items():
        line = _line(ax, name)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(256))
        np.testing.assert_allclose(line.get_ydata(), [100 * count / sum(counts) for count in counts])
        assert to_rgb(line.get_color())[list(COUNTS).index(name)] == max(to_rgb(line.get_color()))


def test_losses_are_those_of_the_history_with_the_epoch_kept_marked():
    ax = FIGURES["losses"]()
    for label, column in (("training", "loss"), ("validation", "val_loss")):
        line = _line(ax, label)
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
        assert line.get_ydata().tolist() == HISTORY[column].tolist()
    assert _legend(ax) == ["training", "validation", "kept: epoch 3"]
    mark = _line(ax, "kept: epoch 3")
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([3], [1.4])
    assert [3, 3] in [list(line.get_xdata()) for line in ax.get_lines()]  # a line from top to bottom
    assert plots.losses(HISTORY, title="Baseline").get_title() == "Baseline"


@pytest.mark.parametrize("draw", [plots.losses, lambda history: plots.compare_losses({"one": history})])
def test_losses_may_be_a_dictionary_and_epochs_are_whole_numbers(draw):
    history = {name: HISTORY[name].tolist() for name in ("loss", "val_loss")}
    for ours, theirs in zip(draw(history).get_lines(), draw(HISTORY).get_lines(), strict=True):
        np.testing.assert_array_equal(ours.get_xydata(), theirs.get_xydata())
    for n in (1, 5, 30):
        ax = draw({"loss": n * [1.0], "val_loss": n * [1.0]})
        ax.figure.canvas.draw()
        assert all(float(text.replace("−", "-")).is_integer() for text in _texts(ax.get_xticklabels()))


def test_compared_losses_share_a_colour_a_run():
    ax = FIGURES["compare_losses"]()
    for name, history in (("long", HISTORY), ("short", SHORTER)):
        validation, training = _line(ax, f"{name}: validation"), _line(ax, f"{name}: training")
        assert validation.get_ydata().tolist() == history["val_loss"].tolist()
        assert training.get_ydata().tolist() == history["loss"].tolist()
        assert validation.get_color() == training.get_color()
        assert (validation.get_linestyle(), training.get_linestyle()) == ("-", "--")
    assert _line(ax, "long: training").get_color() != _line(ax, "short: training").get_color()
    ax = plots.compare_losses({f"run {number}": HISTORY for number in range(12)})
    assert len(_legend(ax)) == 24  # more than there are colours


def test_confusion_matrix_shows_percentages_of_its_rows_with_both_groups_framed():
    ax = FIGURES["confusion_matrix"]()
    names = _texts(ax.get_yticklabels())
    assert _texts(ax.get_xticklabels()) == names
    assert set(names[:4]) == VEHICLES and set(names) == set(CLASS_NAMES)
    assert ax.yaxis_inverted()  # the first row is the uppermost: right answers run down the diagonal
    frames = [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in ax.patches]
    assert frames == [(0, 0, 4, 4), (4, 4, 6, 6)]
    shown = {}
    for text in ax.texts:
        column, row = text.get_position()
        shown[names[int(row)], names[int(column)]] = text.get_text()
    assert shown == {
        (true, predicted): f"{100 * MATRIX[i, j] / MATRIX[i].sum():.0f}"
        for i, true in enumerate(CLASS_NAMES)
        for j, predicted in enumerate(CLASS_NAMES)
    }
    mesh = ax.collections[0]
    np.testing.assert_allclose(mesh.get_array().sum(axis=1), 100)
    assert mesh.get_clim() == (0, 100)  # so that two matrices can be compared


def test_confusion_matrix_shows_zeros_for_a_class_without_images():
    ax = plots.confusion_matrix(np.diag([5, *9 * [0]]))
    assert sorted(_texts(ax.texts)) == [*99 * ["0"], "100"]


def test_classes_are_in_order_with_their_intervals_and_groups_differ_in_colour_and_marker():
    ax = FIGURES["class_accuracy"]()
    names = dict(zip(ax.get_yticks(), _texts(ax.get_yticklabels()), strict=True))
    best_first = ACCURACIES.sort_values("accuracy", ascending=False)["class"].tolist()
    assert [names[y] for y in sorted(names, reverse=True)] == best_first
    shown, groups, styles = {}, {}, []
    for container in ax.containers:
        dots, _, (bars,) = container.lines
        for x, y, ((low, _), (high, _)) in zip(*dots.get_data(), bars.get_segments(), strict=True):
            shown[names[y]] = x, low, high
        groups[container.get_label()] = {names[y] for y in dots.get_ydata()}
        styles.append((to_rgb(dots.get_color()), dots.get_marker()))
    for row in ACCURACIES.to_dict("records"):
        expected = 100 * row["accuracy"], 100 * row["low"], 100 * row["high"]
        assert shown[row["class"]] == pytest.approx(expected)
    assert groups == {"vehicle": VEHICLES, "animal": set(CLASS_NAMES) - VEHICLES}
    assert set(_legend(ax)) == set(groups)
    (colour, marker), (other_colour, other_marker) = styles
    assert colour != other_colour and marker != other_marker
