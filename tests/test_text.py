"""Every sentence has the numbers of its verdict, in the unit of its measure."""

from collections import Counter

import pandas as pd
import pytest
from made_up import around, claim, confusion, found, rates, runs, verdict

from labhelpers.evaluation import percent, typeset
from labhelpers.study import human_labels, improvements, tables, text, verdicts
from labhelpers.study.claims import BASE, CLAIMS, DEEPER, LARGER, SHORTER, Claim
from labhelpers.study.measures import Measure, Measured
from labhelpers.study.verdicts import Evidence, Verdict


def baseline(mean=0.6, **fields):
    return runs(BASE, around(mean, 0.004, 10), **fields)


def epochs(longer, shorter, deviation=0.002):
    """Runs of the longer training and, from the last seed to the first, of the shorter one, with these means."""
    values = around(longer, deviation, 10), around(shorter, deviation, 10)[::-1]
    return runs(DEEPER, values[0]), runs(SHORTER, values[1])


# The parts of a verdict


def test_what_is_quoted_has_the_original_s_number():
    quoted = [one for one in CLAIMS if one.measure and one.number and "“" in one.statement and one.id != "D3"]
    assert len(quoted) >= 5
    for one in quoted:
        assert one.number_text.replace("\u00a0", "") in one.statement


@pytest.mark.parametrize("id, margin", [("D1", ""), ("L1", "1 point"), ("B3 loss", "0.03"), ("B4 animals", "5 points")])
def test_the_margin_has_its_unit(id, margin):
    assert text.margin(claim(id)) == margin


def test_ours_has_an_interval_where_there_is_one():
    pair = baseline(), runs(LARGER, around(0.63, 0.004, 9))
    said = {one.claim.id: text.ours(one.evidence) for one in verdicts.judge(found(*pair))}
    assert said["L1"] == "63.0\u00a0% (62.7 to 63.3)"
    assert said["B3 loss"] == "1.200", "of ten equal losses"
    assert said["D3"] == "50,000" and said["A2"] == ""
    unclear = runs(DEEPER, [0.62, 0.63, 0.64, 0.62, 0.63]), runs(SHORTER, [0.62] * 5)
    assert text.ours(verdict("A1 epochs", *unclear).evidence) == "0.8 points (−0.2 to 1.8)"


def test_runs_are_counted_where_they_decide():
    larger = verdict("L1", baseline(), runs(LARGER, around(0.63, 0.004, 20)))
    counted = "baseline, 40,000 images (20 runs); baseline, 20,000 images (10 of 20 runs)"
    assert (text.experiments(larger), text.number_of_runs(larger)) == (counted, "20, 10 of 20")
    assert text.one_run(larger.evidence) == "62.1 to 63.9\u00a0%" and text.one_run(verdict("B4 cars").evidence) == ""
    for id in ("D1", "B1"):
        fact = verdict(id, baseline())
        assert (text.experiments(fact), text.number_of_runs(fact)) == ("baseline, 20,000 images", "")


def test_what_ours_is_compared_with():
    assert text.compared_with(verdict("B3 accuracy", baseline())) == "the original's 60\u00a0%"
    assert text.compared_with(verdict("B4 cars", baseline())) == "0 points"
    assert text.compared_with(verdict("A4", *rates(0.03, val_loss=0.9))) == "1 point"
    assert text.compared_with(verdict("A1 epochs", *epochs(0.61, 0.63))) == "−1 point"


@pytest.mark.parametrize(
    "q, p, expected",
    [
        (None, None, ""),
        (None, 0.0009, "p < 0.001"),
        (None, 0.0304, "p = 0.030"),
        (0.0861, None, "q = 0.086"),
        (0.0251, 0.5, "q = 0.025"),
        (0.0249, 0.01, "p = 0.010"),
        (0.0001, None, "q < 0.001"),
    ],
)
def test_what_decides_is_q_of_a_number_or_else_p(q, p, expected):
    evidence = Evidence(None, {}, q=q)
    assert text.decided_by(Verdict(None, evidence, p, "", {}, evidence)) == expected


# The reason

FEW = runs(DEEPER, [0.65]), runs(LARGER, [0.63]), runs(BASE, [0.6] * 3)
CARS = [confusion(0.6, cars=cars, vehicles=0.7) for cars in (0.8, 0.75, 0.7, 0.65, 0.72)]
MEASURED = "the parameters of baseline, and that is how complexity is measured here."
GAIN = " There is a gain in {} % of pairs of runs (a tie counts as half)."
REASONS = [
    ("D2", FEW, "The images have 32x32 pixels."),
    ("B1", FEW, "It describes a set-up, which our experiment follows: there is nothing to test."),
    ("A1 complexity", FEW, f"It has 15 % of {MEASURED}"),
    ("A1 complexity", [runs(DEEPER, [0.65], parameters=592_260), FEW[1]], f"It has 2.0 times {MEASURED}"),
    (
        "L1",
        FEW,
        f"Too few runs of baseline, 40,000 images, baseline, 20,000 images: run lab study --experiments {LARGER} {BASE}",
    ),
    (
        "L1",
        [baseline(), runs(LARGER, around(0.63, 0.004, 10))],
        "One more run rounds to 65 %, or is further from our mean on the same side, with probability q = 0.003; 0 of 10 "
        "runs are that far. The 95 % prediction interval for one run is 62.1 to 63.9 %: the number is outside, by less than "
        "the margin. The gain over baseline, 20,000 images is 3.0 points (2.6 to 3.4), from 60.0 % to 63.0 %: the "
        f"interval is above 0.{GAIN.format(100)}",
    ),
    (
        "B4 cars",
        [runs(BASE, around(0.6, 0.01, 5), confusion_matrix=CARS)],
        "In 3 of 5 runs cars are recognised more often than any other class; the mean difference is 2.4 points (-4.7 to "
        "9.5): the interval includes 0. No number of runs would decide it: the choice of the test images "
        "alone makes the interval too wide.",
    ),
    (
        "A4",
        rates(0.03, val_loss=1.25),
        "No other experiment has a smaller validation loss than deeper, 40,000 images (1.000); the next smallest is that "
        "of deeper, 40,000 images, Adam at 0.0001 (1.250).",
    ),
]
for mean, q, reached, where in (
    (0.6, "= 0.868", 9, "59.1 to 60.9 %."),
    (0.62, "= 0.003", 0, "61.1 to 62.9 %: the number is outside, by less than the margin."),
    (0.63, "< 0.001", 0, "62.1 to 63.9 %: the number is outside, by more than the margin."),
    (0.58, "= 0.003", 0, "57.1 to 58.9 %: the number is outside, by less than the margin."),
):
    why = (
        f"One more run rounds to 60 %, or is further from our mean on the same side, with probability q {q}; {reached} of "
        f"10 runs are that far. The 95 % prediction interval for one run is {where}"
    )
    REASONS.append(("B3 accuracy", [baseline(mean)], why))
UNCLEAR = baseline(confusion_matrix=confusion(within=0.52))  # another claim that is tested
for recorded, where in (
    (epochs(0.63, 0.61), f"2.0 points (1.7 to 2.3), from 61.0 % to 63.0 %: the interval is above 0.{GAIN.format(100)}"),
    (
        epochs(0.61, 0.63),
        f"-2.0 points (-2.3 to -1.7), from 63.0 % to 61.0 %: the interval is below minus the margin.{GAIN.format(0)}",
    ),
    (
        epochs(0.61, 0.61),
        "0.0 points (-0.3 to 0.3), from 61.0 % to 61.0 %: the "
        "interval is entirely within plus or minus the margin of 1 point, "
        f"which is too small to matter.{GAIN.format(50)}",
    ),
    (
        [runs(id, [0.61] * 5) for id in (DEEPER, SHORTER)],
        "0.0 points in each of 5 pairs of runs, from 61.0 % to 61.0 %: the "
        "interval is entirely within plus or minus the margin of 1 point, "
        "which is too small to matter.",
    ),
    (
        epochs(0.615, 0.61, 0.01),
        f"0.5 points (-0.9 to 1.9), from 61.0 % to 61.5 %: the interval includes 0.{GAIN.format(60)} With this "
        "mean and spread, about 64 runs of each experiment would decide it.",
    ),
    (
        [*epochs(0.6152, 0.61, 0.003), UNCLEAR],
        "0.5 points (0.1 to 0.9), from 61.0 % to 61.5 %: the "
        "interval is entirely within plus or minus the margin of 1 point, "
        f"which is too small to matter, but p {{p}} after Holm's adjustment is too large.{GAIN.format(80)}",
    ),
):
    why = "Compared seed by seed, because the shorter run is the beginning of the longer one, the gain over deeper, 40,000 "
    REASONS.append(("A1 epochs", recorded, f"{why}images, 10 epochs is {where}"))
for gain, size, where in (
    (0.03, "3.0 points (2.6 to 3.4), from 65.0 % to 68.0 %", f"is above the margin.{GAIN.format(100)}"),
    (-0.03, "-3.0 points (-3.4 to -2.6), from 65.0 % to 62.0 %", f"is below the margin.{GAIN.format(0)}"),
):
    why = "Of the alternatives, deeper, 40,000 images, Adam at 0.0001 has the smallest validation loss in the first runs; "
    why += f"its gain over deeper, 40,000 images is {size}: the interval {where}"
    REASONS.append(("A4", rates(gain, val_loss=0.9), why))


@pytest.mark.parametrize("id, recorded, why", REASONS)
def test_the_reason_gives_the_numbers_and_where_they_lie(id, recorded, why):
    it = verdict(id, *recorded)
    p = "" if it.p is None else text.probability(it.p)  # it depends on how many claims there are
    assert text.why(it) == typeset(why.replace("{p}", p))


def test_a_measure_of_another_unit_is_written_in_it_everywhere():
    bits = Measure("code length", lambda record: Measured(record.loss), "bits", digits=3)
    number = Claim("X1", "an image takes so much", bits, (BASE,), 0.62, 0.005, 0.01)
    gain = Claim("X2", "fewer images take more", bits, (BASE, LARGER), margin=1)
    missed = Claim("X3", "an image takes more", bits, (BASE,), 0.9, 0.005, 0.01)
    larger = runs(LARGER, [0.6] * 5, loss=around(0.5, 0.01, 5))
    recorded = found(runs(BASE, [0.6] * 10, loss=around(0.621, 0.0056, 10)), larger)
    first, second, third = judged = verdicts.judge(recorded, claims=(number, gain, missed))
    assert (text.margin(number), text.margin(gain), text.compared_with(second)) == ("0.01 bits", "1 bit", "1 bit")
    size = "0.121 bits (0.109 to 0.133)"
    assert (text.ours(first.evidence), text.ours(second.evidence)) == ("0.621 bits (0.617 to 0.625)", size)
    assert text.why(first).endswith("0.608 to 0.634 bits.")
    assert (
        f"is {size}, from 0.500 bits to 0.621 bits: the interval is entirely within plus or minus the margin of 1 bit, "
        in text.why(second)
    )
    assert text.remark(third).startswith("One run can give 0.90 bits")
    assert [strip.axis for strip in verdicts.strips(judged)][:2] == [
        "code length (bits)",
        "difference in code length (bits)",
    ]
    assert "rounds to 0.62 bits" in tables.as_text(judged) and "point" not in tables.as_text(judged)


def test_a_remark_explains_a_missed_number_or_is_the_claim_s_own():
    missed, own = (text.remark(verdict("B3 accuracy", baseline(0.63))), text.remark(verdict("B4 cars", baseline())))
    assert missed.startswith("One run can give 60\u00a0%") and own.startswith("Easiest of 10 runs")
    for id in ("B1", "B3 accuracy", "B4 vehicles", "L1"):  # a description, as claimed, no number, no runs
        assert text.remark(verdict(id, baseline())) == ""
    of_two = baseline(processor=["one"] * 9 + ["another"])
    assert text.remark(verdict("B4 vehicles", of_two)).startswith("These runs come from several kinds of processor")


# The first screen of the page


def test_the_first_screen_is_of_the_records():
    judged, _ = verdicts.verdicts()
    steps = improvements.summary(improvements.runs())
    counts = Counter(it.outcome for it in judged)
    said = text.headline(judged, steps).replace("\u00a0", " ")
    assert "reached 67 %" in said and f"the {len(judged) - counts['not testable']} claims that can be tested: " in said
    listed = ", ".join(f"{counts[one]} {one}" for one in verdicts.OUTCOMES[:-1] if counts[one])
    assert f"tested: {listed}. They blamed the images, but the network limited them more" in said
    best, human = (
        percent(share).replace("\u00a0", " ") for share in (steps["accuracy"].iloc[-1], human_labels.ONE_HUMAN)
    )
    trained = f"improved networks reach {best} (trained on 50,000 images), and single humans {human} on average."
    assert said.endswith(f": on the same test images, {trained}")
    rows = {row["network"]: row for row in text.accuracies(judged)}
    for id, label in (("B3 accuracy", "baseline, 20,000 images"), ("L1", "baseline, 40,000 images")):
        it = next(it for it in judged if it.claim.id == id)
        row = {"original": it.claim.number_text, "ours": text.ours(it.evidence).split(" (")[0], "verdict": it.outcome}
        assert rows[label] == row | {"network": label}
    tested = {id: n for it in judged for id, n in it.evidence.runs.items()}
    assert len(rows) == 3 and f"count: {sum(tested.values())} of them" in text.method(judged)


@pytest.mark.parametrize("steps, mentioned", [(1, False), (2, True)])
def test_the_first_screen_has_what_has_runs(steps, mentioned):
    rows = [(step, "change", 0.8, 1.0) for step in range(steps)]
    table = pd.DataFrame(rows, columns=["step", "change", "accuracy", "minutes"])
    judged = verdicts.judge(found(runs(BASE, [0.6] * 10)))
    said = text.headline(judged, improvements.summary(table)).replace("\u00a0", " ")
    assert ("are the limit is open: on the same test images, improved networks reach 80.0 %" in said) == mentioned
    ours = [row["ours"].replace("\u00a0", " ") for row in text.accuracies(judged)]
    assert ours == ["60.0 %", "too few runs", "too few runs"]
