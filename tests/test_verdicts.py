"""Verdicts from records made up so that each rule is reached, with SciPy as the reference."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from made_up import around, claim, confusion, found, rates, runs, runs_dir, verdict, write  # noqa: F401

from labhelpers import cli
from labhelpers.errors import LabError
from labhelpers.study import records, verdicts
from labhelpers.study.claims import BASE, CLAIMS, DEEPER, IMPROVED, LARGER, SHORTER
from labhelpers.study.experiments import experiment
from labhelpers.study.verdicts import DIRECTION, EDGE, NOT_TESTABLE, REFUTED, REPRODUCED, UNDECIDED

# Numbers. Of 10 runs, one more is 1.3830 * sqrt(1.1) = 1.4505 standard deviations above the mean with a probability of
# 10 %, and 2.2622 * sqrt(1.1) = 2.3726 with 2.5 %.


@pytest.mark.parametrize(
    "id, mean, expected",
    [
        ("B3 accuracy", 0.60, REPRODUCED),
        ("B3 accuracy", 0.6194, REPRODUCED),  # 1.4505 points lower is 0.6049, which just rounds to 0.60
        ("B3 accuracy", 0.6196, EDGE),
        ("B3 accuracy", 0.6286, EDGE),  # 2.3726 points lower is 0.6049
        ("B3 accuracy", 0.6288, UNDECIDED),
        ("B3 accuracy", 0.6385, UNDECIDED),  # 0.6148: by less than the margin above 0.605
        ("B3 accuracy", 0.6390, REFUTED),
        ("B3 accuracy", 0.5610, REFUTED),
        ("B3 loss", 1.14, UNDECIDED),  # its margin is 0.03
        ("B3 loss", 1.12, REFUTED),
    ],
)
def test_a_number_is_judged_by_the_probability_that_one_more_run_reaches_it(id, mean, expected):
    values, (low, high) = around(mean, 0.01, 10), claim(id).interval
    it = verdict(id, runs(BASE, values) if id == "B3 accuracy" else runs(BASE, [0.6] * 10, loss=values))
    assert it.outcome == expected
    assert it.evidence.estimate.value == pytest.approx(mean)
    assert it.evidence.prediction == pytest.approx((mean - 0.023726, mean + 0.023726), abs=1e-6)
    assert it.evidence.runs == {BASE: 10} and it.evidence.measured[BASE].tolist() == values
    assert it.p is None and it.evidence.difference is None and it.evidence.pairs is None
    assert it.evidence.shown is it.claim.measure
    one_more = scipy.stats.t(9, mean, 0.01 * np.sqrt(1.1))
    above = claim(id).number > mean or mean == 0.60
    assert it.evidence.q == pytest.approx(one_more.sf(low) if above else one_more.cdf(high), abs=1e-9)
    assert it.evidence.reached == sum(value >= low if above else value <= high for value in values)


@pytest.mark.parametrize("larger, expected", [(0.65, REPRODUCED), (0.63, DIRECTION), (0.60, REFUTED), (0.57, REFUTED)])
def test_a_number_that_is_missed_leaves_the_direction(larger, expected):
    first, second = around(larger, 0.004, 10), around(0.60, 0.005, 10)
    it = verdict("L1", runs(LARGER, first), runs(BASE, second))
    truth = scipy.stats.ttest_ind(first, second, equal_var=False)
    assert it.outcome == expected
    expected_difference = (larger - 0.60, *truth.confidence_interval(), truth.pvalue)
    difference = it.evidence.difference
    assert (*difference[:3], difference.p()) == pytest.approx(expected_difference, abs=1e-9)
    assert it.evidence.null == 0 and it.evidence.share_better == scipy.stats.mannwhitneyu(first, second).statistic / 100
    assert it.evidence.estimate.value == pytest.approx(larger) and it.evidence.pairs is None


def test_no_spread_at_all_is_no_error():
    flat = runs(BASE, [0.6] * 10), runs(LARGER, [0.63] * 10)
    assert [verdict(id, *flat).outcome for id in ("B3 accuracy", "L1")] == [REPRODUCED, DIRECTION]


def test_claims_are_judged_by_fresh_runs_and_the_first_ones_are_beside_them():
    it = verdict("B3 accuracy", runs(BASE, around(0.70, 0.004, 10), first=True), runs(BASE, around(0.60, 0.004, 6)))
    assert it.outcome == REPRODUCED and it.evidence.runs == {BASE: 6}
    assert it.first.runs == {BASE: 10} and it.first.estimate.value == pytest.approx(0.70)
    only_first = verdict("B3 accuracy", runs(BASE, around(0.60, 0.004, 10), first=True))
    assert only_first.outcome == UNDECIDED and only_first.evidence.missing == (BASE,)


# Differences without a number


def epochs(gain, deviation=0.003):
    """Runs whose differences have this mean and twice this deviation: the interval reaches 1.4307 deviations."""
    return runs(DEEPER, around(0.61 + gain, deviation, 10)), runs(SHORTER, around(0.61, deviation, 10)[::-1])


@pytest.mark.parametrize(
    "gain, expected, null",
    [
        (0.02, REPRODUCED, 0),
        (0.0058, REPRODUCED, 0),  # 0.0015 to 0.0101
        (0.005, REFUTED, 0.01),  # 0.0007 to 0.0093: certainly not 0, and certainly too small to matter
        (0.002, REFUTED, 0.01),
        (-0.005, REFUTED, -0.01),
        (-0.009, UNDECIDED, 0),
        (-0.02, REFUTED, -0.01),
    ],
)
def test_a_difference_must_be_above_0_and_not_too_small_to_matter(gain, expected, null):
    it = verdict("A1 epochs", *epochs(gain))
    assert (it.outcome, it.evidence.null) == (expected, null)
    assert it.evidence.estimate is it.evidence.difference and it.evidence.prediction is None
    t = (gain - null) / (0.006 / np.sqrt(10))
    assert it.p == pytest.approx(2 * scipy.stats.t.sf(abs(t), 9)), "of the test that decides"


@pytest.mark.parametrize("gain", [0.0, 0.004, -0.004, -0.012])
def test_undecided_claims_say_how_many_runs_would_decide(gain):
    it = verdict("A1 epochs", *epochs(gain, deviation=0.01))
    reach, n = max(gain, 0.01 - abs(gain), -0.01 - gain), it.evidence.needed
    assert it.outcome == UNDECIDED
    enough, too_few = (scipy.stats.t.ppf(0.975, n - 1) * 0.02 / np.sqrt(n) for n in (n, n - 1))
    assert enough <= reach < too_few


def test_runs_that_begin_alike_are_compared_seed_by_seed():
    longer, shorter = around(0.62, 0.004, 10), np.random.default_rng(0).normal(0.61, 0.004, 7).tolist()
    missing = runs(SHORTER, [0, *shorter])[1:]  # the first of the shorter ones is missing
    it = verdict("A1 epochs", runs(DEEPER, longer), missing)
    truth = scipy.stats.ttest_rel(longer[1:8], shorter)
    assert it.evidence.pairs is not None and it.evidence.difference.p() == pytest.approx(truth.pvalue)
    pairs = zip(longer[1:8], shorter, strict=True)
    assert it.evidence.share_better == np.mean([first > second for first, second in pairs])
    assert it.evidence.difference[1:3] == pytest.approx(truth.confidence_interval())


def test_runs_without_a_common_seed_can_t_be_compared(tells):
    later = runs(SHORTER, [0.61] * 10)[5:]
    with tells(LabError, f"A1 epochs needs runs with the same seeds: run lab study --experiments {DEEPER} {SHORTER}"):
        verdict("A1 epochs", runs(DEEPER, [0.62] * 5), later)
    later = runs(IMPROVED, [0.85] * 10)[5:]
    with tells(LabError, "A3b needs runs with the same seeds"):
        verdict("A3b", runs(DEEPER, [0.65] * 5), later, runs(f"{DEEPER}-16-pixels", [0.62] * 5))


def test_equal_runs_are_evidence_against_a_difference():
    same = around(0.62, 0.004, 10)
    it = verdict("A1 epochs", runs(DEEPER, same), runs(SHORTER, same))
    assert it.outcome == REFUTED and it.evidence.difference[:3] == (0, 0, 0) and it.evidence.share_better == 0.5


def test_a_difference_counts_only_after_holm_s_adjustment():
    # A gain whose p is about 0.03: enough for one claim, not for one of four.
    alone = verdict("A1 epochs", *epochs(0.0052))
    assert alone.p == pytest.approx(alone.evidence.difference.p(0.01)) and alone.p < 0.05
    assert alone.outcome == REFUTED
    unclear = runs(BASE, around(0.6, 0.01, 10), confusion_matrix=confusion(within=0.52))
    among = verdict("A1 epochs", *epochs(0.0052), unclear)
    assert among.evidence.difference == alone.evidence.difference
    assert among.p >= 0.05 and among.outcome == UNDECIDED


# Classes. Ten runs that agree leave the uncertainty that comes from the choice of the test images.


@pytest.mark.parametrize(
    "id, shares, value, image_variance, expected",
    [
        ("B4 animals", {"within": 0.85}, 0.85 - 5 / 9, 0.85 * 0.15 / 2_400, REPRODUCED),
        ("B4 animals", {"within": 0.56}, 0.56 - 5 / 9, 0.56 * 0.44 / 2_400, REFUTED),  # too small to matter
        ("B4 animals", {"within": 0.515}, 0.515 - 5 / 9, 0.515 * 0.485 / 2_400, UNDECIDED),
        ("B4 animals", {"within": 0.4}, 0.4 - 5 / 9, 0.24 / 2_400, REFUTED),
        ("B4 vehicles", {"vehicles": 0.7}, 0.1, 0.21 / 4_000 + 0.24 / 6_000, REPRODUCED),
        ("B4 vehicles", {"vehicles": 0.61}, 0.01, 0.61 * 0.39 / 4_000 + 0.24 / 6_000, UNDECIDED),
        ("B4 cars", {"cars": 0.8, "vehicles": 0.7}, 0.1, (0.16 + 0.21) / 1_000, REPRODUCED),
        ("B4 cars", {"cars": 0.72, "vehicles": 0.7}, 0.02, (0.72 * 0.28 + 0.21) / 1_000, UNDECIDED),
    ],
)
def test_a_difference_between_classes_is_to_hold_for_new_images(id, shares, value, image_variance, expected):
    it = verdict(id, runs(BASE, around(0.6, 0.01, 10), confusion_matrix=confusion(**shares)))
    reach = scipy.stats.norm.ppf(0.975) * np.sqrt(image_variance)
    assert it.outcome == expected and it.evidence.estimate is it.evidence.difference
    assert it.evidence.pairs is None and it.evidence.shown.unit == "points"
    assert it.evidence.estimate[:3] == pytest.approx((value, value - reach, value + reach), rel=1e-4)
    # Runs that agree in all classes leave nothing to gain by more runs.
    assert it.evidence.needed == (np.inf if expected == UNDECIDED else 0) and it.evidence.share_better is None


# Nothing better


def better(id, gain, val_loss):
    """The first experiment has a validation loss of 1.0, the last this one and a gain; the others have no gain."""
    main, *others, best = claim(id).experiments
    losses = {main: 1.0} | dict.fromkeys(others, val_loss + 1) | {best: val_loss}
    first = [runs(one, [0.65] * 5, first=True, val_loss=loss) for one, loss in losses.items()]
    if not experiment(best).fresh:
        first.pop()
    gained = runs(best, around(0.65 + gain, 0.003, 5), val_loss=val_loss)
    # The validation loss of the judged runs chooses nothing.
    return verdict(id, *first, runs(main, around(0.65, 0.004, 10), val_loss=0.0), gained)


@pytest.mark.parametrize("id", ["A3a", "A4"])
@pytest.mark.parametrize(
    "gain, expected", [(0.03, REFUTED), (0.01, UNDECIDED), (0.002, REPRODUCED), (-0.02, REPRODUCED)]
)
def test_what_is_better_must_gain_the_margin(id, gain, expected):
    it, (main, *others, best) = better(id, gain, val_loss=0.9), claim(id).experiments
    moved, values = around(0.65 + gain - 0.01, 0.003, 5), around(0.65, 0.004, 10)
    truth = scipy.stats.ttest_ind(moved, values, equal_var=False)
    assert it.p == pytest.approx(truth.pvalue), "tested against the margin, not against 0"
    assert it.outcome == expected and it.evidence.best == best
    assert it.evidence.difference.value == pytest.approx(gain)
    assert it.evidence.val_losses == pytest.approx({main: 1.0} | dict.fromkeys(others, 1.9) | {best: 0.9})


def test_the_best_is_chosen_on_validation_images_not_on_test_images():
    it = better("A4", gain=0.05, val_loss=1.1)
    assert it.outcome == REPRODUCED and it.p is None
    assert it.evidence.best == DEEPER and it.evidence.estimate is None


@pytest.mark.parametrize("lost, expected", [(0.05, REFUTED), (0.19, REFUTED), (0.199, UNDECIDED), (0.3, UNDECIDED)])
def test_quality_is_not_the_limit_if_a_better_network_gains_more_than_fewer_pixels_lose(lost, expected):
    original, better = around(0.65, 0.004, 10), around(0.85, 0.003, 10)
    lowered = [value - lost + step for value, step in zip(original[:5], around(0, 0.005, 5), strict=True)]
    it = verdict("A3b", runs(DEEPER, original), runs(IMPROVED, better), runs(f"{DEEPER}-16-pixels", lowered))
    gains, losses = np.subtract(better, original)[:5], np.subtract(original[:5], lowered)
    truth = scipy.stats.ttest_rel(gains, losses)
    assert it.outcome == expected and it.evidence.difference.value == pytest.approx((gains - losses).mean())
    assert it.evidence.difference[1:3] == pytest.approx(truth.confidence_interval(0.95))
    assert it.evidence.shown.axis == "gain minus loss (points)"
    assert it.p == pytest.approx(truth.pvalue) and it.evidence.pairs is not None and it.evidence.null == 0
    assert it.evidence.runs == {DEEPER: 10, IMPROVED: 10, f"{DEEPER}-16-pixels": 5}


# Facts and descriptions


@pytest.mark.parametrize(
    "id, fields, value, expected",
    [
        ("D1", {}, 10, REPRODUCED),
        ("D2", {}, 32, REFUTED),
        ("D2", {"image_shape": [30, 30, 3]}, 30, REPRODUCED),
        ("D2", {"image_shape": [30, 32, 3]}, 30, REFUTED),
        ("D3", {}, 50_000, REPRODUCED),
        ("D1", {"train_images_per_class": [5_000] * 9}, 9, REFUTED),
        ("D3", {"train_images_per_class": [5_001, 4_999] + [5_000] * 8}, 50_000, REFUTED),
        ("D3", {"train_images_per_class": [4_000] * 10}, 40_000, REFUTED),
    ],
)
def test_facts_about_the_data_come_from_one_record(id, fields, value, expected):
    it = verdict(id, runs(BASE, [0.6], **{name: [held] for name, held in fields.items()}))
    assert it.outcome == expected and it.evidence.estimate[:3] == (value,) * 3 and it.p is None


@pytest.mark.parametrize("parameters, expected", [(296_130, REFUTED), (296_131, REPRODUCED)])
def test_complexity_is_a_matter_of_parameters(parameters, expected):
    it = verdict("A1 complexity", runs(DEEPER, [0.65], parameters=parameters), runs(LARGER, [0.63]))
    assert it.outcome == expected and it.evidence.estimate.value == parameters / 296_130


# Missing records


def test_without_records_nothing_is_decided_and_descriptions_are_not_testable(runs_dir):  # noqa: F811
    judged, faults = verdicts.verdicts()
    assert not faults
    for it in judged:
        assert it.evidence.runs == dict.fromkeys(it.claim.experiments, 0) and it.evidence.estimate is None
        assert it.outcome == (NOT_TESTABLE if it.claim.id in ("B1", "B2") else UNDECIDED)
        assert it.evidence.missing == (it.claim.experiments if it.outcome == UNDECIDED else ())


@pytest.mark.parametrize("n, missing, outcome", [(4, (BASE,), UNDECIDED), (5, (), REPRODUCED)])
def test_too_few_runs_decide_nothing(n, missing, outcome):
    it = verdict("L1", runs(BASE, [0.6] * n), runs(LARGER, [0.65] * 10))
    assert it.evidence.runs == {LARGER: 10, BASE: n} and (it.evidence.missing, it.outcome) == (missing, outcome)


def test_a_record_that_cannot_be_used_is_reported_and_left_out(runs_dir, capsys):  # noqa: F811
    write(runs(BASE, [0.6, 0.61, 0.62, 0.63, 0.64, 0.65]))
    path = records.path_of(experiment(BASE), 10)
    path.write_bytes(path.read_bytes()[:1_000])
    assert cli.main(["verdicts"]) == 2
    out, err = capsys.readouterr()
    first, last = err.splitlines()
    assert first.startswith(f"WARNING: data/runs/{path.name} is damaged") and "5 of 20" in out
    assert last == "lab: 1 of the records could not be used, see above: run lab study"
    judged, _ = verdicts.verdicts()
    it = next(it for it in judged if it.claim.id == "B3 accuracy")
    assert it.evidence.runs == {BASE: 5} and it.evidence.estimate.value == pytest.approx(0.63)


def test_verdicts_start_nothing_slow_and_are_printed_whatever_the_code_page():
    code = (
        "import sys; from labhelpers.cli import main; main(['verdicts']);"
        "print({'tensorflow', 'keras', 'labhelpers.backend', 'matplotlib', 'joblib'} & set(sys.modules))"
    )
    of_windows = os.environ | {"PYTHONIOENCODING": "cp1252"}  # which has no true minus sign
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=of_windows)
    assert done.returncode == 0, done.stderr
    assert "(−" in done.stdout and done.stdout.splitlines()[-1] == "set()"


# Strip charts


def test_a_difference_that_is_too_small_is_shown_between_the_margins():
    it = verdict("A1 epochs", runs(DEEPER, around(0.651, 0.004, 5)), runs(SHORTER, around(0.65, 0.004, 5)))
    [strip] = verdicts.strips([it])
    assert it.outcome == REFUTED and strip.lines == [-1, 1] and strip.span == (-1, 1)


@pytest.fixture(scope="module")
def strips():
    """The strip of each claim that has one, by id."""
    main = runs(BASE, around(0.6, 0.004, 10)), runs(LARGER, around(0.63, 0.004, 10))
    judged = verdicts.judge(found(*main, runs(SHORTER, around(0.62, 0.003, 5)), *rates(0.005, val_loss=0.9)))
    return {strip.verdict.claim.id: strip for strip in verdicts.strips(judged)}


def test_only_verdicts_that_rest_on_runs_have_a_strip(strips):
    without = {"D1", "D2", "D3", "B1", "B2", "A1 complexity", "A3a", "A3b"}  # A3 has no runs, the others need none
    assert list(strips) == [claim.id for claim in CLAIMS if claim.id not in without]
    assert verdicts.strips([better("A4", gain=0, val_loss=1.1)]) == [], "none is better"


@pytest.mark.parametrize(
    "id, scale, dots, line, axis",
    [
        ("A2", 100, 10, 67, "test accuracy (%)"),
        ("B3 loss", 1, 10, 1.18, "test loss (nats per image)"),
        ("B4 vehicles", 100, 10, 0, "accuracy on vehicles minus animals (points)"),
        ("A4", 100, 0, 1, "difference in test accuracy (points)"),  # no dot could be a difference of two means
    ],
)
def test_a_strip_has_the_numbers_of_its_verdict(strips, id, scale, dots, line, axis):
    strip, evidence = strips[id], strips[id].verdict.evidence
    assert (strip.axis, strip.lines) == (axis, pytest.approx([line]))
    assert strip.dots == pytest.approx(dict(scale * evidence.measured[claim(id).experiments[0]][:dots]))
    assert (strip.mean, *strip.interval) == pytest.approx(scale * np.array(evidence.estimate[:3]))
    ends = (evidence.prediction, claim(id).interval) if claim(id).number else ((), ())
    assert strip.band == pytest.approx(scale * np.array(ends[0]))
    assert strip.rounded == pytest.approx(scale * np.array(ends[1]))
    shown = [*strip.dots.values(), *strip.interval, *strip.band, *strip.rounded, *strip.lines]
    assert strip.span == (min(shown), max(shown))


def test_a_comparison_seed_by_seed_has_a_dot_for_each_seed(strips):
    strip, (longer, shorter) = strips["A1 epochs"], strips["A1 epochs"].verdict.evidence.measured.values()
    assert strip.dots == pytest.approx({seed: 100 * (longer[seed] - shorter[seed]) for seed in shorter.index})
    assert len(strip.dots) == 5 and strip.mean == pytest.approx(np.mean([*strip.dots.values()]))
