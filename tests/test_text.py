"""Every sentence has the numbers of its verdict, in the unit of its measure."""

import re
from collections import Counter

import pandas as pd
import pytest
from made_up import around, claim, confusion, found, runs, verdict

from labhelpers.evaluation import percent
from labhelpers.study import human_labels, improvements, tables, text, verdicts
from labhelpers.study.claims import BASE, DEEPER, LARGER, RATES, SHORTER, Claim
from labhelpers.study.measures import Measure, Measured
from labhelpers.study.verdicts import Verdict


def numbers(said):
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", said)]


def baseline(mean=0.6, **fields):
    return runs(BASE, around(mean, 0.004, 10), **fields)


def epochs(longer, shorter, *others):
    return verdict("A1 epochs", runs(DEEPER, longer), runs(SHORTER, shorter), *others)


def rates(gain, val_loss):
    main = runs(DEEPER, around(0.65, 0.003, 10), val_loss=1.0)
    values = around(0.65 + gain, 0.003, 5)
    others = [runs(rate, values, val_loss=val_loss + number) for number, rate in enumerate(RATES)]
    return verdict("A4", main, *others)


# The parts of a verdict


@pytest.mark.parametrize(
    "id, number, margin",
    [
        ("D2", "30", ""),
        ("D3", "50,000", ""),
        ("B3 accuracy", "60 %", "1 point"),
        ("B3 loss", "1.18", "0.03"),
        ("B4 animals", "", "5 points"),
    ],
)
def test_the_original_s_number_has_its_own_digits_and_the_margin_its_unit(id, number, margin):
    assert (claim(id).number_text, text.margin(claim(id))) == (number, margin)
    assert number in text.statement(claim(id)) and "{" not in text.statement(claim(id))


def test_ours_has_an_interval_where_there_is_one():
    pair = baseline(), runs(LARGER, around(0.63, 0.004, 9))
    assert text.ours(verdict("L1", *pair)) == "63.0 % (62.7 to 63.3)"
    assert text.ours(verdict("B3 loss", *pair)) == "1.200", "of ten equal losses"
    assert text.ours(verdict("D3", *pair)) == "50,000" and text.ours(verdict("A2", *pair)) == ""
    counted = "baseline, 40,000 images (9 of 10 runs); baseline, 20,000 images (10 runs)"
    assert text.experiments(verdict("L1", *pair)) == counted
    assert text.ours(epochs([0.62, 0.63, 0.64, 0.62, 0.63], [0.62] * 5)) == "0.8 points (-0.2 to 1.8)"


def test_what_ours_is_compared_with():
    assert text.compared_with(verdict("B3 accuracy", baseline())) == "the original's 60 %"
    assert text.compared_with(verdict("B4 cars", baseline())) == "0 points"
    assert text.compared_with(rates(0.03, val_loss=0.9)) == "1 point"


@pytest.mark.parametrize("p, expected", [(None, ""), (0.0009, "< 0.001"), (0.001, "0.001"), (0.0304, "0.030")])
def test_p_has_three_decimals(p, expected):
    assert text.p_value(Verdict(None, None, p, "", {})) == expected


# The reason


@pytest.mark.parametrize(
    "mean, expected, words",
    [
        (0.6, [59.1, 60.9, 60], "it includes 60 %"),
        (0.6125, [60.3, 62.2, 60, 59.5, 60.5], "that round to 60 % ("),
        (0.62, [61.1, 62.9, 60], "below it, by less than the margin"),
        (0.63, [62.1, 63.9, 60], "below it, by more than the margin"),
        (0.58, [57.1, 58.9, 60], "above it, by less than the margin"),
    ],
)
def test_a_number_is_placed_by_the_prediction_interval(mean, expected, words):
    why = text.why(verdict("B3 accuracy", baseline(mean)))
    assert numbers(why) == [95, *expected] and words in why


def test_a_number_and_a_difference_have_a_sentence_each():
    number, gain = text.why(verdict("L1", baseline(), runs(LARGER, around(0.63, 0.004, 10)))).split(". ")
    assert numbers(number) == [95, 62.1, 63.9, 65] and numbers(gain) == [20_000, 3.0, 2.6, 3.4, 0]
    assert gain.startswith("The gain over the second experiment (baseline, 20,000 images) is")
    assert gain.endswith("the interval is above 0.")


def test_a_difference_says_where_its_interval_lies():
    low, high = around(0.61, 0.002, 10), around(0.62, 0.002, 10)
    above, below = text.why(epochs(high, low)), text.why(epochs(low, high))
    assert above.startswith("Compared seed by seed")
    assert "(deeper, 40,000 images, 10 epochs) is 1.0 points (1.0 to 1.0)" in above
    assert above.endswith("the interval is above 0.") and below.endswith("the interval is below 0.")
    reason = text.why(epochs(low, low[::-1]))
    assert reason.endswith("includes 0, and excludes a difference as large as the margin.")
    for mean in (0.625, 0.595):  # the interval reaches beyond the margin, on either side
        reason = text.why(epochs(around(mean, 0.03, 10), around(0.61, 0.03, 10)[::-1]))
        assert reason.endswith("the interval includes 0.")


def test_a_difference_that_holm_s_adjustment_takes_away_says_so():
    unclear = baseline(confusion_matrix=confusion(within=0.55))
    it = epochs(around(0.615, 0.003, 10), around(0.610, 0.003, 10)[::-1], unclear)
    reason = f"above 0, but not for certain among so many claims (p = {it.p:.3f} after Holm)"
    assert it.p >= 0.05 and reason in text.why(it)


def test_classes_say_in_how_many_runs():
    matrices = [confusion(0.6, cars=cars, vehicles=0.7) for cars in (0.8, 0.75, 0.7, 0.65, 0.72)]
    why = text.why(verdict("B4 cars", runs(BASE, around(0.6, 0.01, 5), confusion_matrix=matrices)))
    assert why.startswith("In 3 of 5 runs cars are recognised more often than any other class; ")


def test_the_best_of_the_others_is_named_or_there_is_none():
    gains = "Adam at 0.0001) gains 3.0 points (2.6 to 3.4) over the first experiment (deeper, 40,000 images)"
    assert gains in text.why(rates(0.03, val_loss=0.9))
    for gain, words in ((0.03, "is above"), (0.001, "is below"), (0.01, "includes")):
        assert text.why(rates(gain, val_loss=0.9)).endswith(f": the interval {words} the margin.")
    none = text.why(rates(0.03, val_loss=1.25))
    assert none.startswith("No other experiment has a smaller validation loss than deeper, 40,000 images (1")
    assert numbers(none) == [40_000, 1.0, 40_000, 0.0001, 1.25], "the reference, and the next"


def test_facts_descriptions_and_missing_runs_have_their_reasons():
    few = runs(DEEPER, [0.65]), runs(LARGER, [0.63]), runs(BASE, [0.6] * 3)
    more = runs(DEEPER, [0.65], parameters=592_260), few[1]
    assert text.why(verdict("D2", *few)) == "The images have 32x32 pixels."
    assert text.why(verdict("A1 complexity", *few)).startswith("It has 6.6 times fewer parameters, and ")
    assert text.why(verdict("A1 complexity", *more)).startswith("It has 2.0 times the parameters, and ")
    assert "there is nothing to test" in text.why(verdict("B1", *few))
    labels = "baseline, 40,000 images, baseline, 20,000 images"
    too_few = f"Too few runs of {labels}: run lab study --experiments {LARGER} {BASE}"
    assert text.why(verdict("L1", *few)) == too_few


# A measure in a unit of its own


def test_a_measure_of_another_unit_is_written_in_it_everywhere():
    bits = Measure("code length", lambda record: Measured(record.loss), "bits", digits=3)
    number = Claim("X1", "an image takes {number}", bits, (BASE,), 0.62, 0.005, 0.01)
    gain = Claim("X2", "fewer images take more", bits, (BASE, LARGER), margin=1)
    missed = Claim("X3", "an image takes {number}", bits, (BASE,), 0.9, 0.005, 0.01)
    larger = runs(LARGER, [0.6] * 5, loss=around(0.5, 0.01, 5))
    recorded = found(runs(BASE, [0.6] * 10, loss=around(0.621, 0.0056, 10)), larger)
    first, second, third = judged = verdicts.judge(recorded, claims=(number, gain, missed))
    assert text.statement(number) == "an image takes 0.62 bits"
    assert (text.margin(number), text.margin(gain)) == ("0.01 bits", "1 bit")
    assert text.ours(first) == "0.621 bits (0.617 to 0.625)"
    assert "0.608 bits to 0.634 bits: it includes 0.62 bits" in text.why(first)
    assert text.ours(second) == "0.121 bits (0.109 to 0.133)" and text.compared_with(second) == "0 bits"
    assert f"is {text.ours(second)}: the interval is above 0" in text.why(second)
    assert text.remark(third).startswith("One run can give 0.90 bits")
    assert [strip.axis for strip in verdicts.strips(judged)][:2] == ["code length (bits)", "difference (bits)"]
    for printed in (tables.as_text(judged), tables.as_markdown(judged), tables.table(judged).to_csv()):
        assert text.ours(first) in printed and text.ours(second) in printed and "point" not in printed


def test_a_remark_explains_a_missed_number_or_is_the_claim_s_own():
    missed, own = (text.remark(verdict("B3 accuracy", baseline(0.63))), text.remark(verdict("B4 cars", baseline())))
    assert missed.startswith("One run can give 60 %") and own.startswith("Easiest of 10 runs")
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
        reached = f"{value} (95 % interval {interval}; {it.evidence.runs[it.claim.experiments[0]]} runs)"
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
    said = " ".join(text.abstract(judged, improvements.summary(table)))
    assert ("reaches 80.0 % on the same test images (one run)" in said) == mentioned
    assert "reaches 60.0 % (10 runs), where the original has 60 %" in said, "runs that agree have no interval"
    assert "too few recorded runs to be compared with the original's 65 %" in said


def test_words_are_joined_as_in_a_sentence():
    assert [text.listed(list(parts)) for parts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
