"""A strip chart is numbers in the unit of its axis, as its verdict has them."""

import numpy as np
import pytest
from made_up import SHORTER, around, found, runs

from labhelpers.study.claims import BASE, CLAIMS, DEEPER, LARGER, RATES
from labhelpers.study.strips import Strip, strips
from labhelpers.study.verdicts import judge


@pytest.fixture(scope="module")
def shown():
    """The strip of each claim that has one, by id."""
    rates = [runs(rate, around(0.655, 0.003, 5), val_loss=0.9) for rate in RATES]
    main = runs(BASE, around(0.6, 0.004, 10)), runs(LARGER, around(0.63, 0.004, 10))
    deeper = runs(DEEPER, around(0.65, 0.003, 10)), runs(SHORTER, around(0.64, 0.003, 5))
    return {it.verdict.claim.id: it for it in strips(judge(found(*main, *deeper, *rates)))}


def test_only_verdicts_that_rest_on_runs_have_a_strip(shown):
    without = {"D1", "D2", "D3", "B1", "B2", "A1 complexity", "A3"}  # A3 has no runs, the others need none
    assert list(shown) == [claim.id for claim in CLAIMS if claim.id not in without]
    worse = [runs(rate, [0.6] * 5, val_loss=2) for rate in RATES]
    assert strips(judge(found(runs(DEEPER, around(0.65, 0.003, 10)), *worse))) == []


@pytest.mark.parametrize(
    "id, scale, dots, line, axis",
    [
        ("A2", 100, 10, 67, "test accuracy (%)"),
        ("B3 loss", 1, 10, 1.18, "test loss (nats per image)"),
        ("B4 vehicles", 100, 10, 0, "difference (points)"),
        ("A1 epochs", 100, 0, 0, "difference (points)"),  # no dot could be a difference of two runs
        ("A4", 100, 0, 1, "difference (points)"),  # the margin
    ],
)
def test_a_strip_has_the_numbers_of_its_verdict(shown, id, scale, dots, line, axis):
    it, claim, evidence = shown[id], shown[id].verdict.claim, shown[id].verdict.evidence
    assert (it.axis, it.experiment, it.line) == (axis, claim.experiments[0], pytest.approx(line))
    assert it.dots == pytest.approx(scale * evidence.measured[it.experiment][:dots])
    assert (it.mean, *it.interval) == pytest.approx(scale * np.array(evidence.estimate[:3]))
    if claim.number is None:
        assert it.band is None and it.rounded is None
    else:
        assert it.band == pytest.approx(scale * np.array(evidence.prediction))
        assert it.rounded == pytest.approx(scale * np.array(claim.interval))


@pytest.mark.parametrize(
    "part",
    [{"dots": np.array([5, 1, 9])}, {"mean": 1, "line": 9}, {"mean": 9, "line": 1}]
    + [{name: (1, 9)} for name in ("interval", "band", "rounded")],
    ids=str,
)
def test_the_span_holds_everything_shown(part):
    narrow = {"dots": np.array([]), "mean": 5, "interval": (5, 5), "band": None, "rounded": None, "line": 5}
    assert Strip(None, "", "", **narrow).span == (5, 5)
    assert Strip(None, "", "", **narrow | part).span == (1, 9)
