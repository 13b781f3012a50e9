"""Every sentence has the numbers of its verdict, in the unit of its measure."""

from collections import Counter

import pandas as pd
import pytest
from made_up import around, claim, confusion, found, runs, verdict

from labhelpers.evaluation import percent, typeset
from labhelpers.study import human_labels, improvements, tables, text, verdicts
from labhelpers.study.claims import BASE, DEEPER, LARGER, RATES, SHORTER, Claim
from labhelpers.study.measures import Measure, Measured
from labhelpers.study.verdicts import Verdict


def baseline(mean=0.6, **fields):
    return runs(BASE, around(mean, 0.004, 10), **fields)


def epochs(longer, shorter, deviation=0.002):
    """Runs of the longer training and, from the last seed to the first, of the shorter one, with these means."""
    values = around(longer, deviation, 10), around(shorter, deviation, 10)[::-1]
    return runs(DEEPER, values[0]), runs(SHORTER, values[1])


def rates(gain, val_loss):
    main = runs(DEEPER, around(0.65, 0.003, 10), val_loss=1.0)
    values = around(0.65 + gain, 0.003, 5)
    return main, *(runs(rate, values, val_loss=val_loss + number) for number, rate in enumerate(RATES))


# The parts of a verdict


@pytest.mark.parametrize(
    "id, statement, margin",
    [
        ("D1", "there are ten classes", ""),
        ("D2", "the images have 30x30 pixels", ""),
        ("D3", "there are 50,000 training images, all classes of the same size", ""),
        ("B3 accuracy", "the baseline reaches 60 %", "1 point"),
        ("B3 loss", "the baseline's test loss is 1.18", "0.03"),
        ("B4 animals", "animals are mistaken for one another", "5 points"),
    ],
)
def test_the_original_s_number_has_its_own_digits_and_the_margin_its_unit(id, statement, margin):
    assert (text.statement(claim(id)), text.margin(claim(id))) == (typeset(statement), margin)


def test_ours_has_an_interval_where_there_is_one():
    pair = baseline(), runs(LARGER, around(0.63, 0.004, 9))
    assert text.ours(verdict("L1", *pair)) == "63.0\u00a0% (62.7 to 63.3)"
    assert text.ours(verdict("B3 loss", *pair)) == "1.200", "of ten equal losses"
    assert text.ours(verdict("D3", *pair)) == "50,000" and text.ours(verdict("A2", *pair)) == ""
    counted = "baseline, 40,000 images (9 of 10 runs); baseline, 20,000 images (10 runs)"
    assert text.experiments(verdict("L1", *pair)) == counted
    unclear = runs(DEEPER, [0.62, 0.63, 0.64, 0.62, 0.63]), runs(SHORTER, [0.62] * 5)
    assert text.ours(verdict("A1 epochs", *unclear)) == "0.8 points (−0.2 to 1.8)"


def test_what_ours_is_compared_with():
    assert text.compared_with(verdict("B3 accuracy", baseline())) == "the original's 60\u00a0%"
    assert text.compared_with(verdict("B4 cars", baseline())) == "0 points"
    assert text.compared_with(verdict("A4", *rates(0.03, val_loss=0.9))) == "1 point"


@pytest.mark.parametrize("p, expected", [(None, ""), (0.0009, "< 0.001"), (0.001, "0.001"), (0.0304, "0.030")])
def test_p_has_three_decimals(p, expected):
    assert text.p_value(Verdict(None, None, p, "", {})) == expected


# The reason

FEW = runs(DEEPER, [0.65]), runs(LARGER, [0.63]), runs(BASE, [0.6] * 3)
CARS = [confusion(0.6, cars=cars, vehicles=0.7) for cars in (0.8, 0.75, 0.7, 0.65, 0.72)]
REASONS = [
    ("D2", FEW, "The images have 32x32 pixels."),
    ("B1", FEW, "It describes a set-up, which our experiment follows: there is nothing to test."),
    ("A1 complexity", FEW, "It has 6.6 times fewer parameters, and that is how complexity is measured here."),
    (
        "A1 complexity",
        [runs(DEEPER, [0.65], parameters=592_260), FEW[1]],
        "It has 2.0 times the parameters, and that is how complexity is measured here.",
    ),
    (
        "L1",
        FEW,
        f"Too few runs of baseline, 40,000 images, baseline, 20,000 images: run lab study --experiments {LARGER} {BASE}",
    ),
    (
        "L1",
        [baseline(), runs(LARGER, around(0.63, 0.004, 10))],
        "The 95 % prediction interval for one more run is 62.1 % to 63.9 %: 65 % is above it, by less than the margin. The "
        "gain over the second experiment (baseline, 20,000 images) is 3.0 points (2.6 to 3.4): the interval is above 0.",
    ),
    (
        "B4 cars",
        [runs(BASE, around(0.6, 0.01, 5), confusion_matrix=CARS)],
        "In 3 of 5 runs cars are recognised more often than any other class; the mean difference is 2.4 points (-4.7 to "
        "9.5): the interval includes 0.",
    ),
    (
        "A4",
        rates(0.03, val_loss=1.25),
        "No other experiment has a smaller validation loss than deeper, 40,000 images (1.000); the next smallest is that "
        "of deeper, 40,000 images, Adam at 0.0001 (1.250).",
    ),
]
for mean, where in (
    (0.6, "59.1 % to 60.9 %: it includes 60 %."),
    (0.6125, "60.3 % to 62.2 %: it includes numbers that round to 60 % (59.5 % to 60.5 %)."),
    (0.62, "61.1 % to 62.9 %: 60 % is below it, by less than the margin."),
    (0.63, "62.1 % to 63.9 %: 60 % is below it, by more than the margin."),
    (0.58, "57.1 % to 58.9 %: 60 % is above it, by less than the margin."),
):
    why = f"The 95 % prediction interval for one more run is {where}"
    REASONS.append(("B3 accuracy", [baseline(mean)], why))
UNCLEAR = baseline(confusion_matrix=confusion(within=0.55))  # another claim that is tested
for recorded, where in (
    (epochs(0.63, 0.61), "2.0 points (1.7 to 2.3): the interval is above 0."),
    (epochs(0.61, 0.63), "-2.0 points (-2.3 to -1.7): the interval is below 0."),
    (
        epochs(0.61, 0.61),
        "0.0 points (-0.3 to 0.3): the interval includes 0, and excludes a difference as large as the margin.",
    ),
    (epochs(0.615, 0.61, 0.01), "0.5 points (-0.9 to 1.9): the interval includes 0."),
    (epochs(0.605, 0.61, 0.01), "-0.5 points (-1.9 to 0.9): the interval includes 0."),
    (
        [*epochs(0.615, 0.61, 0.003), UNCLEAR],
        "0.5 points (0.1 to 0.9): the interval is above 0, but not for certain among so many claims (p = 0.109 after "
        "Holm), and excludes a difference as large as the margin.",
    ),
):
    why = (
        "Compared seed by seed, because both start alike, the gain over the second experiment (deeper, 40,000 images, "
    )
    REASONS.append(("A1 epochs", recorded, f"{why}10 epochs) is {where}"))
for gain, size, where in (
    (0.03, "3.0 points (2.6 to 3.4)", "is above"),
    (0.01, "1.0 points (0.6 to 1.4)", "includes"),
    (0.001, "0.1 points (-0.3 to 0.5)", "is below"),
):
    why = f"The best of the others by validation loss (deeper, 40,000 images, Adam at 0.0001) gains {size} over the first "
    why += f"experiment (deeper, 40,000 images): the interval {where} the margin."
    REASONS.append(("A4", rates(gain, val_loss=0.9), why))


@pytest.mark.parametrize("id, recorded, why", REASONS)
def test_the_reason_gives_the_numbers_and_where_they_lie(id, recorded, why):
    assert text.why(verdict(id, *recorded)) == typeset(why)


def test_a_measure_of_another_unit_is_written_in_it_everywhere():
    bits = Measure("code length", lambda record: Measured(record.loss), "bits", digits=3)
    number = Claim("X1", "an image takes {number}", bits, (BASE,), 0.62, 0.005, 0.01)
    gain = Claim("X2", "fewer images take more", bits, (BASE, LARGER), margin=1)
    missed = Claim("X3", "an image takes {number}", bits, (BASE,), 0.9, 0.005, 0.01)
    larger = runs(LARGER, [0.6] * 5, loss=around(0.5, 0.01, 5))
    recorded = found(runs(BASE, [0.6] * 10, loss=around(0.621, 0.0056, 10)), larger)
    first, second, third = judged = verdicts.judge(recorded, claims=(number, gain, missed))
    assert (text.margin(number), text.margin(gain), text.compared_with(second)) == ("0.01 bits", "1 bit", "0 bits")
    assert (text.ours(first), text.ours(second)) == ("0.621 bits (0.617 to 0.625)", "0.121 bits (0.109 to 0.133)")
    assert text.why(first).endswith("0.608 bits to 0.634 bits: it includes 0.62 bits.")
    assert f"is {text.ours(second)}: the interval is above 0, " in text.why(second)
    assert text.remark(third).startswith("One run can give 0.90 bits")
    assert [strip.axis for strip in verdicts.strips(judged)][:2] == ["code length (bits)", "difference (bits)"]
    assert "an image takes 0.62 bits" in tables.as_text(judged) and "point" not in tables.as_text(judged)


def test_a_remark_explains_a_missed_number_or_is_the_claim_s_own():
    missed, own = (text.remark(verdict("B3 accuracy", baseline(0.63))), text.remark(verdict("B4 cars", baseline())))
    assert missed.startswith("One run can give 60\u00a0%") and own.startswith("Easiest of 10 runs")
    for id in ("B1", "B3 accuracy", "B4 vehicles", "L1"):  # a description, as claimed, no number, no runs
        assert text.remark(verdict(id, baseline())) == ""


# The abstract


def test_the_abstract_is_of_the_records():
    judged, _ = verdicts.verdicts()
    said = " ".join(text.abstract(judged, improvements.summary(improvements.runs())))
    assert said.count("where the original has") == 3, "its three accuracies"
    counts = Counter(it.outcome for it in judged)
    assert text.listed([f"{counts[one]} {one}" for one in verdicts.OUTCOMES if counts[one]]) in said
    for id, size, passes in (("B3 accuracy", "20,000", 10), ("L1", "40,000", 10), ("A2", "40,000", 20)):
        it = next(it for it in judged if it.claim.id == id)
        value, interval = text.ours(it)[:-1].split(" (")
        reached = typeset(f"{value} (95 % interval {interval}; {it.evidence.runs[it.claim.experiments[0]]} runs)")
        assert f"{size} images for {passes} epochs, reaches {reached}, where the original has " in said
    tested = {id: n for it in judged for id, n in it.evidence.runs.items()}
    assert f"tested on {sum(tested.values())} recorded runs" in said
    last = improvements.summary(improvements.runs()).iloc[-1]
    assert f"reaches {percent(last['accuracy'])} on the same test images ({last['runs']} runs)" in said
    assert f"human annotator {percent(human_labels.ONE_HUMAN)}." in said


@pytest.mark.parametrize("steps, mentioned", [(1, False), (2, True)])
def test_the_abstract_mentions_improvements_that_have_runs(steps, mentioned):
    rows = [(step, "change", 0.8, 1.0) for step in range(steps)]
    table = pd.DataFrame(rows, columns=["step", "change", "accuracy", "minutes"])
    judged = verdicts.judge(found(runs(BASE, [0.6] * 10)))
    said = " ".join(text.abstract(judged, improvements.summary(table))).replace("\u00a0", " ")
    assert ("reaches 80.0 % on the same test images (one run)" in said) == mentioned
    assert "reaches 60.0 % (10 runs), where the original has 60 %" in said, "runs that agree have no interval"
    assert "too few recorded runs to be compared with the original's 65 %" in said


def test_words_are_joined_as_in_a_sentence():
    assert [text.listed(list(parts)) for parts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
