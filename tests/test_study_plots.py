"""The study's figures show every run, every mean and the original's number."""

import numpy as np
import pandas as pd
import pytest
from made_up import around, found, runs
from matplotlib.text import Text

from labhelpers.evaluation import typeset
from labhelpers.study import human_labels, plots
from labhelpers.study.claims import BASE, LARGER
from labhelpers.study.statistics import mean, prediction_interval
from labhelpers.study.verdicts import judge, strips

RUNS = pd.DataFrame(
    {
        "experiment": ["one"] * 3 + ["two"] * 2,
        "n_train": [5_000] * 3 + [40_000] * 2,
        "optimizer": ["adam"] * 3 + ["sgd"] * 2,
        "learning_rate": [1e-3] * 3 + [1e-1] * 2,
        "accuracy": [0.50, 0.52, 0.54, 0.61, 0.63],
    }
)
NONE = RUNS[:0]
CURVES = pd.DataFrame(
    {"learning_rate": [1e-3, 1e-3, 1e-2, 1e-2], "epoch": [1, 2, 1, 2], "val_loss": [2.0, 1.5, 1.8, 1.9]}
)
STEPS = pd.DataFrame(
    [
        (0, "the first", 0.65, 0.64, 0.66, 2.0),
        (1, "a change", 0.86, 0.85, 0.87, 3.0),
        (2, "another", 0.865, np.nan, np.nan, 30.0),
    ],
    columns=["step", "change", "accuracy", "low", "high", "minutes"],
)


def points(ax):
    """Return the places of all dots that stand for a run, in the order of x."""
    colours = (plots.RUN, *[colour for *_, colour in plots.OPTIMIZERS.values()])
    dots = [line for line in ax.lines if line.get_color() in colours and line.get_linestyle() == "None"]
    return sorted(float(x) for line in dots if line.get_marker() != "D" for x in line.get_xdata())


def today(ax):
    return [line.get_xydata()[0].tolist() for line in ax.lines if line.get_marker() == "D"]


def verticals(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]


def bars(ax):
    """Return the ends of all horizontal error bars, from below."""
    ends = [bar.get_segments()[0] for container in ax.containers for bar in container[2]]
    return [tuple(segment[:, 0]) for segment in ends]


def test_among_runs_shows_all_runs_today_and_the_original():
    ax = plots.among_runs(RUNS["accuracy"], today=0.57, original=0.60)
    assert points(ax) == pytest.approx([50, 52, 54, 61, 63])
    assert bars(ax)[0] == pytest.approx(100 * np.array(mean(RUNS["accuracy"])[1:3]))
    assert verticals(ax) == pytest.approx([60]) and today(ax)[0][0] == pytest.approx(57)
    labels = ax.get_legend_handles_labels()[1]
    of_runs = ["one more run, 95 %", "5 recorded runs", "today's run", "original: 60 %", "their mean, 95 % interval"]
    assert labels == list(map(typeset, of_runs)) and ax.get_legend()
    [band] = ax.patches
    ends = band.get_x(), band.get_x() + band.get_width()
    assert ends == pytest.approx(100 * np.array(prediction_interval(RUNS["accuracy"])))
    alone = plots.among_runs([0.5])
    assert "1 recorded run" in alone.get_legend_handles_labels()[1] and not alone.patches


def test_a_row_for_each_experiment_from_the_top():
    ax = plots.runs_by_experiment(RUNS, original=0.67)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first is on top"
    assert points(ax) == pytest.approx([50, 52, 54, 61, 63]) and verticals(ax) == pytest.approx([67])
    assert [bar[0].get_xdata()[0] for bar in ax.containers] == pytest.approx([52, 62])
    one, two = (RUNS["accuracy"][RUNS["experiment"] == name] for name in ("one", "two"))
    assert bars(ax) == [pytest.approx(100 * np.array(mean(values)[1:3])) for values in (one, two)]
    assert ax.get_legend() and not plots.runs_by_experiment(RUNS).get_legend()
    single = plots.runs_by_experiment(RUNS[:1])
    assert points(single) == [50] and not bars(single), "one run has no interval"


def test_the_learning_curve_is_at_the_numbers_of_images():
    ax = plots.learning_curve(RUNS, original={40_000: 0.65})
    assert points(ax) == [5_000] * 3 + [40_000] * 2
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines["mean"] == [[5_000, pytest.approx(52)], [40_000, pytest.approx(62)]]
    assert lines["original"] == [[40_000, pytest.approx(65)]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5k", "40k"]


def test_learning_rates_tell_the_optimizers_apart_and_show_today_s_run():
    ax = plots.learning_rates(RUNS, today=(2e-3, 0.6))
    assert points(ax) == [1e-3] * 3 + [1e-1] * 2 and ax.get_xscale() == "log" and ax.get_ylim()[0] == 0
    assert {"Adam", "SGD with momentum 0.9"} <= set(ax.get_legend_handles_labels()[1])
    assert today(ax) == [[2e-3, pytest.approx(60)]] and not today(plots.learning_rates(RUNS))
    means = [line.get_xydata().tolist() for line in ax.lines if line.get_zorder() == 0]
    assert means == [[[1e-3, pytest.approx(52)]], [[1e-1, pytest.approx(62)]]]


def test_losses_by_rate_have_a_line_each_in_order():
    ax = plots.losses_by_rate(CURVES)
    assert ax.get_legend_handles_labels()[1] == ["0.001", "0.01"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2.0, 1.5], [1.8, 1.9]]


def test_verdicts_have_a_chart_for_each_claim_that_rests_on_runs():
    judged = judge(found(runs(BASE, around(0.6, 0.004, 10)), runs(LARGER, around(0.65, 0.004, 10))))
    shown, axes = strips(judged), plots.verdicts(judged).axes
    assert len(axes) == len(shown) > 5
    for ax, it in zip(axes, shown, strict=True):
        assert points(ax) == pytest.approx(sorted(it.dots)) and verticals(ax) == pytest.approx([it.line])
        assert ax.containers[0][0].get_xdata()[0] == pytest.approx(it.mean)
        assert bars(ax)[0] == pytest.approx(it.interval) and ax.get_xlabel() == it.axis
        claim = it.verdict.claim
        assert ax.get_title(loc="left") == f"{claim.id}: {claim.statement}\n{it.verdict.outcome}"
        areas = [(area.get_x(), area.get_x() + area.get_width()) for area in ax.patches]
        assert areas == ([pytest.approx(it.band), pytest.approx(it.rounded)] if it.band else [])
    assert not plots.verdicts(judge(found())).axes, "without runs there is no chart"


@pytest.mark.parametrize(
    "name, nothing, options",
    [
        ("among_runs", NONE["accuracy"], {"today": 0.5}),
        ("runs_by_experiment", NONE, {}),
        ("learning_curve", NONE, {}),
        ("learning_rates", NONE, {}),
        ("losses_by_rate", CURVES[:0], {}),
        ("improvements", STEPS[:0], {"humans": 0.95, "original": 0.67}),
    ],
)
def test_without_records_a_chart_says_so(name, nothing, options):
    """As on stand-in images, with which no record may be compared."""
    ax = getattr(plots, name)(nothing, **options)
    ax.figure.canvas.draw()
    assert [note.get_text() for note in ax.texts] == ["no runs on these images are recorded"]
    assert not points(ax)


def test_improvements_name_each_step_with_its_accuracy_and_draw_humans_and_the_original():
    ax = plots.improvements(STEPS, humans=0.9524, original=0.67)
    named = ["1  the first: 65.0 %", "2  + a change: 86.0 %", "3  + another: 86.5 %"]
    assert [text.get_text() for text in ax.texts] == list(map(typeset, named))
    assert [text.xy for text in ax.texts] == [(2, 65), (3, 86), (30, 86.5)]
    assert ax.get_xscale() == "log" and ax.get_ylim() == (62, 100)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "5", "10", "20", "50"]
    labels = ax.get_legend_handles_labels()[1]
    assert labels[:2] == [typeset("one human: 95.24 %"), typeset("original: 67 %")]
    heights = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() in (":", "--")]
    assert heights == pytest.approx([95.24, 67])
    first, second, _ = ax.containers[0][2][0].get_segments()
    assert first[:, 1] == pytest.approx([64, 66]) and second[:, 1] == pytest.approx([85, 87])


def test_names_of_improvements_do_not_overlap():
    ax = plots.improvements(pd.concat([STEPS.assign(accuracy=0.86)] * 4), humans=0.9524, original=0.67)
    ax.figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without its line to the point
    assert not any(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[:at])


def test_mistakes_have_a_square_for_each_with_an_empty_diagonal():
    matrix = human_labels.CONFUSION_MATRIX
    shares = human_labels.mistakes({"humans": matrix, "ours": matrix.T})
    squares = [ax for ax in plots.mistakes(shares).axes if ax.get_title()]
    assert [ax.get_title() for ax in squares] == ["humans", "ours"]
    for ax in squares:
        cells = ax.collections[0].get_array()
        assert np.ma.getmaskarray(cells).reshape(10, 10).diagonal().all()
        assert cells.sum() == pytest.approx(100)
        assert ax.collections[0].get_clim() == (0, pytest.approx(100 * shares["share"].max()))
    assert [label.get_text() for label in squares[0].get_yticklabels()][:2] == ["airplane", "automobile"]
    assert not squares[1].get_yticklabels() and squares[0].get_ylabel() and not squares[1].get_ylabel()
