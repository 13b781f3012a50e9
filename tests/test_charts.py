"""The study's charts show every run, every mean and the original's number."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from labhelpers.study import charts, claims, people
from labhelpers.study.statistics import Estimate, Interval

RUNS = pd.DataFrame(
    {
        "arm": ["one"] * 3 + ["two"] * 2,
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
NUMBER, DIFFERENCE = (next(c for c in claims.CLAIMS if c.name == name) for name in ("A2", "B4 vehicles"))
VERDICTS = [
    claims.Verdict(
        NUMBER,
        {},
        {name: np.array([0.65, 0.66]) for name in NUMBER.arms},
        Estimate(0.655, 0.60, 0.70, 0.1),
        Interval(0.62, 0.69),
        verdict="reproduced",
    ),
    claims.Verdict(
        DIFFERENCE,
        {},
        {DIFFERENCE.arms[0]: np.array([0.10, 0.12])},
        Estimate(0.11, 0.08, 0.14, 0.01),
        difference=Estimate(0.11, 0.08, 0.14, 0.01),
        verdict="refuted",
    ),
    claims.Verdict(claims.CLAIMS[0], {}, verdict="undecided"),
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def points(ax):
    """The places of all dots that stand for a run, in the order of x."""
    dots = [
        line
        for line in ax.lines
        if line.get_color() in (charts.RUN, *[c for _, c in charts.MARKERS.values()])
    ]
    dots = [line for line in dots if line.get_linestyle() == "None" and line.get_marker() != "D"]
    return sorted(float(x) for line in dots for x in line.get_xdata())


def verticals(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]


def test_among_runs_shows_all_runs_today_and_the_original():
    ax = charts.among_runs(RUNS["accuracy"], today=0.57, original=0.60)
    assert points(ax) == pytest.approx([50, 52, 54, 61, 63])
    assert verticals(ax) == pytest.approx([60])
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["5 recorded runs", "today's run", "original: 60 %"]
    today = ax.lines[labels.index("today's run") + 1]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"] == pytest.approx([57]), (
        today
    )


def test_runs_by_arm_has_a_row_an_arm_from_the_top():
    ax = charts.runs_by_arm(RUNS, original=0.67)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first is on top"
    assert points(ax) == pytest.approx([50, 52, 54, 61, 63])
    means = [bar[0].get_xdata()[0] for bar in ax.containers]
    assert means == pytest.approx([52, 62])


def test_learning_curve_is_at_the_numbers_of_images():
    ax = charts.learning_curve(RUNS, original={40_000: 0.65})
    assert points(ax) == [5_000] * 3 + [40_000] * 2
    mean = next(line for line in ax.lines if line.get_label() == "mean")
    assert mean.get_ydata().tolist() == pytest.approx([52, 62])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5k", "40k"]


def test_learning_rates_tells_the_optimizers_apart():
    ax = charts.learning_rates(RUNS)
    assert points(ax) == [1e-3] * 3 + [1e-1] * 2 and ax.get_xscale() == "log"
    assert {"Adam", "SGD with momentum 0.9"} <= set(ax.get_legend_handles_labels()[1])


def test_learning_rates_show_today_s_run():
    ax = charts.learning_rates(RUNS, today=(2e-3, 0.6))
    places = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "D"]
    assert places == [[[2e-3, pytest.approx(60)]]]


def test_losses_by_rate_have_a_line_each_in_order():
    ax = charts.losses_by_rate(CURVES)
    assert ax.get_legend_handles_labels()[1] == ["0.001", "0.01"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2.0, 1.5], [1.8, 1.9]]


def test_verdicts_have_a_chart_for_each_claim_that_rests_on_runs():
    number, difference = charts.verdicts(VERDICTS).axes
    assert points(number) == pytest.approx([65, 66]) and verticals(number) == pytest.approx([67])
    assert points(difference) == pytest.approx([10, 12]) and verticals(difference) == [0]
    for ax, word in ((number, "reproduced"), (difference, "refuted")):
        assert word in ax.get_title(loc="left") and ax.get_xlabel()


def test_what_is_not_better_is_held_against_the_margin():
    claim = claims.CLAIMS[-1]
    gain = Estimate(0.004, 0.001, 0.007, 0.01)
    measured = {name: np.array([0.6, 0.7]) for name in claim.arms}
    it = replace(
        VERDICTS[1], claim=claim, measured=measured, estimate=gain, difference=gain, best=claim.arms[1]
    )
    ax = charts.verdict(it)
    assert verticals(ax) == pytest.approx([100 * claim.margin]) and points(ax) == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.among_runs(NONE["accuracy"], today=0.5),
        lambda: charts.runs_by_arm(NONE),
        lambda: charts.learning_curve(NONE),
        lambda: charts.learning_rates(NONE),
        lambda: charts.ladder(RUNGS[:0], people=0.95, original=0.67),
        lambda: charts.losses_by_rate(CURVES[:0]),
    ],
    ids=["among_runs", "runs_by_arm", "learning_curve", "learning_rates", "ladder", "losses_by_rate"],
)
def test_without_records_the_charts_say_so(draw):
    """As on stand-in images, with which no record may be compared."""
    ax = draw()
    ax.figure.canvas.draw()
    assert not points(ax) and [text.get_text() for text in ax.texts] == [
        "no runs on these images are recorded"
    ]


def test_without_runs_there_is_no_chart_of_a_verdict():
    fig = charts.verdicts(VERDICTS[2:])
    fig.canvas.draw()
    assert not points(fig.axes[0])


RUNGS = pd.DataFrame(
    {
        "rung": [0, 1, 2],
        "change": ["the first", "a change", "another"],
        "accuracy": [0.65, 0.86, 0.865],
        "low": [0.64, 0.85, np.nan],
        "high": [0.66, 0.87, np.nan],
        "minutes": [2.0, 3.0, 30.0],
    }
)


def test_ladder_names_each_rung_with_its_accuracy_and_draws_people_and_the_original():
    ax = charts.ladder(RUNGS, people=0.9524, original=0.67)
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["1  the first: 65.0 %", "2  + a change: 86.0 %", "3  + another: 86.5 %"]
    places = [text.get_position()[1] for text in ax.texts]
    assert places == sorted(places) and min(np.diff(places)) > 0.1
    assert [text.xy for text in ax.texts] == [(2, 65), (3, 86), (30, 86.5)]
    assert ax.get_xscale() == "log"
    labels = ax.get_legend_handles_labels()[1]
    assert {"one person: 95.24 %", "original: 67 %"} <= set(labels)


def test_ladder_names_do_not_overlap():
    rungs = pd.concat([RUNGS.assign(accuracy=0.86 + place / 1_000) for place in range(4)], ignore_index=True)
    ax = charts.ladder(rungs[:11], people=0.9524, original=0.67)
    ax.figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without its line to the point
    assert not any(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[:at])


def test_mistakes_has_a_square_for_each_with_an_empty_diagonal():
    shares = people.mistakes({"people": people.CONFUSION_MATRIX, "ours": people.CONFUSION_MATRIX.T})
    fig = charts.mistakes(shares)
    squares = [ax for ax in fig.axes if ax.get_title()]
    assert [ax.get_title() for ax in squares] == ["people", "ours"]
    for ax in squares:
        cells = ax.collections[0].get_array()
        assert np.ma.getmaskarray(cells).reshape(10, 10).diagonal().all()
        assert cells.sum() == pytest.approx(100)
    assert [label.get_text() for label in squares[0].get_yticklabels()][:2] == ["airplane", "automobile"]
