"""The claims have the original's numbers and the margins committed before the first record; one row adds another."""

from dataclasses import replace

import pytest
from scipy.stats import ttest_1samp

from labhelpers.errors import LabError
from labhelpers.evaluation import typeset
from labhelpers.reporting.interactive import strip_chart
from labhelpers.study import plots, records, statistics, tables, verdicts
from labhelpers.study.claims import BASE, CLAIMS, DEEPER, IMPROVED, LARGER, RATES, SHORTER, Claim, original
from labhelpers.study.experiments import experiment
from labhelpers.study.measures import Measure, Measured, easier

# By id: unit of the measure, experiments, the original's number, its rounding, margin, whether nothing is better.
# To change one after records were made would change what the verdicts mean.
COMMITTED = {
    "D1": ("", (BASE,), 10, 0, 0, False),
    "D2": ("", (BASE,), 30, 0, 0, False),
    "D3": ("", (BASE,), 50_000, 0, 0, False),
    "B1": (None, (BASE,), None, 0, 0, False),
    "B2": (None, (BASE,), None, 0, 0, False),
    "B3 accuracy": ("%", (BASE,), 0.60, 0.005, 0.01, False),
    "B3 loss": ("nats per image", (BASE,), 1.18, 0.005, 0.03, False),
    "B4 animals": ("points", (BASE,), None, 0, 0.05, False),
    "B4 vehicles": ("points", (BASE,), None, 0, 0.01, False),
    "B4 cars": ("points", (BASE,), None, 0, 0.01, False),
    "L1": ("%", (LARGER, BASE), 0.65, 0.005, 0.01, False),
    "A1 complexity": ("", (DEEPER, LARGER), None, 0, 0, False),
    "A1 epochs": ("%", (DEEPER, SHORTER), None, 0, 0.01, False),
    "A2": ("%", (DEEPER, LARGER), 0.67, 0.005, 0.01, False),
    "A3a": ("%", (DEEPER, IMPROVED), None, 0, 0.01, True),
    "A3b": ("%", (DEEPER, IMPROVED, f"{DEEPER}-16-pixels"), None, 0, 0, False),
    "A4": ("%", (DEEPER, *RATES), None, 0, 0.01, True),
}


def test_claims_are_as_committed_and_can_be_tested():
    pinned = "a claim is pinned before its first run: write its row into COMMITTED above"
    assert [claim.id for claim in CLAIMS] == list(COMMITTED), pinned
    for claim in CLAIMS:
        unit = claim.measure.unit if claim.measure else None
        row = (unit, claim.experiments, claim.number, claim.rounding, claim.margin, claim.nothing_better)
        assert row == COMMITTED[claim.id], pinned
        assert all(len(experiment(id).judged_seeds) >= statistics.FEWEST for id in claim.experiments)
    assert [claim.factors for claim in CLAIMS if claim.factors] == [(-2, 1, 1)]
    rates = [(one.optimizer, one.learning_rate) for one in map(experiment, RATES)]
    assert rates == [("adam", rate) for rate in (1e-4, 3e-4, 3e-3, 1e-2)]


def test_numbers_and_experiments_are_looked_up_by_id(tells):
    assert (original("B3 loss"), original("A2")) == (1.18, 0.67)
    with tells(LabError, "the claim is 'A3a'", "'D1', 'D2', 'D3', 'B3 accuracy', 'B3 loss', 'L1', 'A2'"):
        original("A3a")
    with tells(LabError, "X1: experiment is 'nonsense': choose from 'baseline-20000'"):
        verdicts.judge(records.read_study()[0], claims=[replace(ROW, experiments=(BASE, "nonsense"))])


# A further claim


def _gap(record):
    ship, truck = record.confusion_matrix.diagonal()[8:] / 1_000
    return Measured(ship - truck)


EASIER = Measure("difference", _gap, "points", scale=100, digits=1, words="ships are recognised more often")
ROW = Claim("X1", "ships are easier than trucks", EASIER, (BASE,), margin=0.01)


def test_classes_are_compared_by_name():
    record = records.read_study()[0][BASE][0]
    assert easier("ship", "truck").of(record).value == pytest.approx(_gap(record).value)


def test_one_row_adds_a_claim_everywhere():
    found = records.read_study()[0]
    found[BASE] = [replace(record, seed=record.seed + 10) for record in found[BASE][:10]]
    judged = verdicts.judge(found, claims=(*CLAIMS, ROW))
    added, gaps = judged[-1], [_gap(record).value for record in found[BASE]]
    truth = ttest_1samp(gaps, 0)
    low, high = truth.confidence_interval()
    assert added.evidence.estimate[:3] == pytest.approx((sum(gaps) / 10, low, high))
    assert added.evidence.null == 0 and added.evidence.estimate.p() == pytest.approx(truth.pvalue)
    assert added.outcome == verdicts.UNDECIDED and added.p >= truth.pvalue, "after Holm"
    ours = typeset(f"{10 * sum(gaps):.1f} points ({100 * low:.1f} to {100 * high:.1f})")
    row = tables.table(judged).iloc[-1]
    assert (row["claim"], row["ours (95 % interval)"], row["margin"]) == ("X1", ours, "1 point")
    assert row["why"].startswith(f"In {sum(gap > 0 for gap in gaps)} of 10 runs ships are recognised more often; ")
    for printed in (tables.as_markdown(judged), tables.as_text(judged)):
        assert ours in printed and ROW.statement in printed
    strip, ax = verdicts.strips(judged)[-1], plots.verdicts(judged).axes[-1]
    chart = strip_chart(strip)
    assert strip.verdict is added and [*strip.dots.values()] == pytest.approx([100 * gap for gap in gaps])
    assert (chart["claim"], chart["ours"], len(chart["runs"])) == ("X1", ours, 10)
    assert ROW.statement in ax.get_title(loc="left") and ax.get_xlabel() == chart["unit"] == strip.axis
