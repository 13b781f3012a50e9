"""The study's figures show every run, every mean and the original's number."""

import numpy as np
import pandas as pd
import pytest
from made_up import around, found, runs

from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.evaluation import typeset
from labhelpers.study import plots
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
GAINS = pd.DataFrame({10: np.linspace(0.05, -0.04, 10), 11: np.linspace(0.09, -0.02, 10)}, index=CLASS_NAMES)
SHARES = pd.DataFrame({"people": [0.3, 0.1], "ours": [0.2, 0.15]}, index=["cat and dog", "deer and horse"])


def points(ax):
    """Return the places of all dots that stand for a run, in the order of x."""
    colours = (plots.RUN, plots.OPTIMIZERS["sgd"][1]["color"])
    dots = [line for line in ax.lines if line.get_color() in colours and line.get_linestyle() == "None"]
    return sorted(float(x) for line in dots if line.get_marker() != "D" for x in line.get_xdata())


def today(ax):
    return [line.get_xydata()[0].tolist() for line in ax.lines if line.get_marker() == "D"]


def rows(ax):
    """Return the names of the rows, from the top."""
    assert ax.yaxis_inverted() and ax.get_yticks().tolist() == list(range(len(ax.get_yticks())))
    return [label.get_text() for label in ax.get_yticklabels()]


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
    assert verticals(ax) == pytest.approx([60]) and today(ax) == [[pytest.approx(57), 3]]
    of_runs = [
        "5 recorded runs",
        "their mean, 95 % interval",
        "95 % prediction interval",
        "today's run",
        "original: 60 %",
    ]
    assert rows(ax) == list(map(typeset, of_runs))
    [band], ends = ax.patches, pytest.approx(100 * np.array(prediction_interval(RUNS["accuracy"])))
    assert (band.get_x(), band.get_x() + band.get_width()) == ends
    [bar] = [line for line in ax.lines if line.get_linewidth() == 5]
    assert bar.get_xdata() == ends and list(bar.get_ydata()) == [2, 2]
    [original] = [line for line in ax.lines if line.get_marker() == "X"]
    assert original.get_xydata().tolist() == [[60, 4]]
    alone = plots.among_runs([0.5])
    assert rows(alone) == ["1 recorded run"] and not alone.patches


def test_class_gain_has_the_largest_mean_on_top_every_pair_and_today_s():
    ax = plots.class_gain(GAINS[::-1], today=GAINS[10])
    assert rows(ax) == list(CLASS_NAMES) and points(ax) == pytest.approx(sorted(100 * GAINS.to_numpy().ravel()))
    means = [bar[0].get_xdata()[0] for bar in ax.containers]
    assert means == pytest.approx(100 * GAINS.mean(axis=1).to_numpy())
    assert bars(ax)[3] == pytest.approx(100 * np.array(mean(GAINS.iloc[3])[1:3]))
    [[gains, _]] = [line.get_data() for line in ax.lines if line.get_marker() == "D"]
    assert gains.tolist() == pytest.approx(100 * GAINS[10].to_numpy())
    assert [0, 0] in [list(line.get_xdata()) for line in ax.lines], "no gain is marked"
    labels = ["a pair of runs", "today's pair", typeset("mean, 95 % interval")]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == labels


def test_a_row_for_each_experiment_from_the_top():
    ax = plots.runs_by_experiment(RUNS, original=0.67)
    assert rows(ax) == ["one", "two"]
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


def test_learning_rates_have_a_row_each_adam_first_and_numbers_for_runs_far_below():
    far = pd.DataFrame({"optimizer": ["adam"] * 2, "learning_rate": [1e-2] * 2, "accuracy": [0.48, 0.10]})
    runs = pd.concat([far, RUNS.assign(accuracy=RUNS["accuracy"] + ([0.10] * 3 + [0] * 2))])
    ax = plots.learning_rates(runs, today=(2e-3, 0.6))
    assert rows(ax) == ["Adam at 0.001", "Adam at 0.002", "Adam at 0.01", "SGD at 0.1"]
    assert [text.get_text().strip() for text in ax.texts if text.get_position()[0] == 54] == ["← 10.0, 48.0"]
    numbers = [text.get_text() for text in ax.texts if text.get_ha() == "right"]
    assert numbers == ["62.0", "today's", "29.0", "62.0", "mean (%)"]
    assert ax.get_xlim() == pytest.approx((54, 66)) and today(ax) == [[pytest.approx(60), pytest.approx(1.14)]]
    assert points(ax) == pytest.approx([10, 48, 60, 61, 62, 63, 64]) and len(ax.containers) == 2
    assert [2.5, 2.5] in [list(line.get_ydata()) for line in ax.lines], "a line separates the optimizers"
    assert not today(plots.learning_rates(runs))
    low = plots.learning_rates(runs, today=(1e-2, 0.2))
    assert "← 10.0, 48.0, today's 20.0" in [text.get_text().strip() for text in low.texts]


def test_losses_by_rate_have_a_line_each_in_order():
    ax = plots.losses_by_rate(CURVES)
    assert ax.get_legend_handles_labels()[1] == ["0.001", "0.01"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2.0, 1.5], [1.8, 1.9]]


def test_verdicts_have_a_chart_for_each_claim_that_rests_on_runs():
    judged = judge(found(runs(BASE, around(0.6, 0.004, 10)), runs(LARGER, around(0.65, 0.004, 10))))
    shown, axes = strips(judged), plots.verdicts(judged).axes
    assert len(axes) == len(shown) > 5
    for ax, it in zip(axes, shown, strict=True):
        assert points(ax) == pytest.approx(sorted(it.dots.values())) and verticals(ax) == pytest.approx(it.lines)
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
        ("class_gain", GAINS[[]], {}),
        ("improvements", STEPS[:0], {"humans": 0.95, "original": 0.67}),
    ],
)
def test_without_records_a_chart_says_so(name, nothing, options):
    """As on stand-in images, with which no record may be compared."""
    ax = getattr(plots, name)(nothing, **options)
    ax.figure.canvas.draw()
    assert [note.get_text() for note in ax.texts] == ["no runs on these images are recorded"]
    assert not points(ax)


def test_improvements_name_each_step_with_its_numbers_and_draw_humans_and_the_original():
    ax = plots.improvements(STEPS, humans=0.9524, original=0.67)
    assert rows(ax) == ["the first", "+ a change", "+ another"]
    numbers = [text.get_text() for text in ax.texts if text.get_ha() == "right"]
    assert numbers == ["65.0", "86.0", "86.5", "accuracy\n(%)", "2.0", "3.0", "30.0", "minutes on\ntwo cores"]
    lines = [text.get_text() for text in ax.texts if text.get_ha() == "center"]
    assert lines == [typeset("original\n67 %"), typeset("one human\n95.2 %")]
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() in (":", "--")]
    assert drawn == pytest.approx([67, 95.24])
    assert ax.containers[0][0].get_xydata().tolist() == [[65, 0], [86, 1], [86.5, 2]]
    first, second, _ = ax.containers[0][2][0].get_segments()
    assert first[:, 0] == pytest.approx([64, 66]) and second[:, 0] == pytest.approx([85, 87])


def test_mistakes_have_a_row_for_each_pair_and_a_mark_for_each_who_made_them():
    ax = plots.mistakes(SHARES)
    assert rows(ax) == ["cat and dog", "deer and horse"] and ax.get_xlabel() == "share of all mistakes (%)"
    people, ours = ax.lines
    assert people.get_xdata().tolist() == [30, 10] and ours.get_xdata().tolist() == [20, 15]
    assert people.get_marker() != ours.get_marker() and people.get_color() != ours.get_color()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["people", "ours"]


NETWORKS = pd.DataFrame(
    {"parameters": [296_130, 5_000], "seconds": [54.4, 9.6], "val_accuracy": [0.65, 0.7]}, index=["baseline", "mine"]
)


def test_networks_are_in_order_of_accuracy_and_mine_has_another_mark():
    ax = plots.networks(NETWORKS, yours="mine", goal=0.72)
    assert rows(ax) == ["mine", "baseline"]
    mine, other, goal = ax.lines
    assert (mine.get_xdata(), other.get_xdata(), goal.get_xdata()[0]) == pytest.approx((70, 65, 72))
    assert mine.get_marker() != other.get_marker()
    numbers = [text.get_text() for text in ax.texts if text.get_ha() == "right"]
    assert numbers == ["5,000", "296,130", "parameters", "10", "54", "seconds"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.among_runs(RUNS["accuracy"], today=0.57, original=0.60),
        lambda: plots.class_gain(GAINS, today=GAINS[10]),
        lambda: plots.learning_rates(RUNS, today=(1e-3, 0.1)),
        lambda: plots.improvements(pd.concat([STEPS] * 4, ignore_index=True), humans=0.9524, original=0.67),
        lambda: plots.mistakes(SHARES),
        lambda: plots.networks(NETWORKS, yours="mine", goal=0.72),
    ],
)
def test_texts_can_be_read_and_do_not_overlap(draw):
    ax = draw()
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_texts() if ax.get_legend() else []
    texts = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, *legend]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert not any(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[:at])
    column = 5.5 / ax.figure.get_figwidth()  # inches; a wider figure is made smaller
    assert all(text.get_fontsize() * min(column, 1) >= 7 for text in texts)


def test_accuracy_at_each_quality_is_below_its_sample():
    samples = {
        name: np.full((32, 32, 3), shade, np.uint8) for shade, name in enumerate(["32 pixels", "8 pixels", "grey"])
    }
    accuracies = {"small": (0.6, 0.4, 0.5), "large": (0.9, 0.7, 0.8)}
    rows = [
        {"network": network, "quality": quality, "accuracy": accuracy + off}
        for network, of in accuracies.items()
        for quality, accuracy in zip(samples, of, strict=True)
        for off in ((-0.01, 0, 0.01) if quality == "8 pixels" else (-0.01, 0.01))
    ]
    above, ax = plots.quality(pd.DataFrame(rows), samples).axes
    assert [image.get_array()[0, 0, 0] for image in above.images] == [0, 1, 2]
    for place, image in enumerate(above.images):
        assert np.mean(image.get_extent()[:2]) == ax.get_xticks()[place]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["32\npixels", "8\npixels", "grey"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["small", "large"]
    for bars, of in zip(ax.containers, accuracies.values(), strict=True):
        assert bars.lines[0].get_ydata() == pytest.approx(100 * np.array(of))
        segments = [
            segment for segment in bars.lines[2][0].get_segments() if np.isfinite(segment).all() and len(segment)
        ]
        (low, high), *others = (segment[:, 1] for segment in segments)
        assert (low, high) == pytest.approx(mean(100 * of[1] + np.array([-1, 0, 1]))[1:3])
        assert not others, "two runs have no interval"
    joined = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "-"]
    assert [len(line) for line in joined] == [2, 2], "grey is not on the scale of pixels"


def test_calibration_is_drawn_beside_the_diagonal():
    table = pd.DataFrame({"answers": [1, 3], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]})
    ax = plots.calibration({"one": table, "other": table[:1]})
    diagonal, one, other = ax.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 100]
    assert one.get_xydata() == pytest.approx(np.array([[40, 50], [90, 80]])) and len(other.get_xydata()) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["calibrated", "one", "other"]
