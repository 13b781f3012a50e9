"""A verdict on each claim, by stated rules: evidence is numbers from the records, a verdict adds an outcome.

The rules, committed before the first record was made:

- *reproduced*: the original's number, with its rounding, lies in the 95 % prediction interval of one run; a claim
  without a number, that something is larger: the 95 % interval of the difference lies above 0; a claim that nothing
  is better: the interval of what the best alternative gains lies below the margin;
- *direction reproduced*: the number does not, but the interval of the difference that the claim makes lies above 0;
- *refuted*: the interval excludes the claim by more than the margin: the prediction interval a number, the interval
  of a difference every value above 0; a gain that a claim denies lies above the margin;
- *undecided*: neither, or too few runs of an experiment; *not testable*: a description that the experiments follow.

Two experiments are compared by Welch's test; seed by seed where one only trains for longer, since its runs begin as
those of the other do. An interval of a difference counts only if its test, with Holm's adjustment for all the claims
tested, has p < 0.05.

Two rules came after records: we raised the minimum from three to five runs per experiment after the first fifteen
records (`statistics.FEWEST`), and compare seed by seed since five of five pairs of runs turned out equal, which
Welch's test would count as ten runs.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from labhelpers.study import records, remarks, statistics
from labhelpers.study.claims import CLAIMS, Claim
from labhelpers.study.experiments import experiment
from labhelpers.study.measures import Measure
from labhelpers.study.records import Record
from labhelpers.study.statistics import Estimate, Interval

REPRODUCED, DIRECTION, REFUTED, UNDECIDED, NOT_TESTABLE = OUTCOMES = (
    "reproduced",
    "direction reproduced",
    "refuted",
    "undecided",
    "not testable",
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The numbers that a verdict rests on.

    Attributes:
        claim: that it is for.
        runs: number of records, by the id of each of its experiments.
        missing: ids of the experiments that have too few; then there is nothing else.
        measured: the measure of each run, float64, by experiment; empty for a description.
        estimate: what our side of the claim is, written by `shown`; both ends equal its value where that is a fact.
        shown: the claim's measure, or the difference or ratio of it.
        prediction: where one further run falls, for a claim with a number.
        missed_by: how far the original's number, as rounded, lies from that.
        difference: what is tested, where something is: whether it is 0, or the margin where the claim is that nothing
            is better. It is the estimate itself for a claim without a number.
        paired: whether the difference is taken seed by seed.
        best: id of the best of the others by validation loss, where the claim is that nothing is better; of the first
            experiment itself if none has a smaller loss.
        val_losses: mean validation losses then, by experiment.
        holds: whether a fact is as the claim says.
        details: of an exact measure.
    """

    claim: Claim
    runs: dict[str, int]
    missing: tuple[str, ...] = ()
    measured: dict[str, np.ndarray] = field(default_factory=dict)
    estimate: Estimate | None = None
    shown: Measure | None = None
    prediction: Interval | None = None
    missed_by: float = 0.0
    difference: Estimate | None = None
    paired: bool = False
    best: str = ""
    val_losses: dict[str, float] = field(default_factory=dict)
    holds: bool = False
    details: dict | None = None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the records say of a claim.

    Attributes:
        claim: the claim.
        evidence: the numbers.
        p: of the test of `evidence.difference`, with Holm's adjustment; None where nothing is tested.
        outcome: one of `OUTCOMES`.
        remark: further numbers by name, as the functions of `remarks` give them, or None.
    """

    claim: Claim
    evidence: Evidence
    p: float | None
    outcome: str
    remark: dict | None = None


def verdicts() -> tuple[list[Verdict], list[str]]:
    """Return a verdict on each claim, from the records there are, and a line for each that can't be used."""
    found, faults = records.read_study()
    return judge(found), faults


def judge(found: dict[str, list[Record]], claims=CLAIMS) -> list[Verdict]:
    """Return a verdict on each claim, from the records of each experiment, by id."""
    collected = [collect(claim, found) for claim in claims]
    tested = [it for it in collected if it.difference]
    adjusted = statistics.holm([it.difference.p for it in tested])
    p = {it.claim.id: float(value) for it, value in zip(tested, adjusted, strict=True)}
    judged = []
    for it in collected:
        outcome = decide(it, p.get(it.claim.id))
        judged.append(Verdict(it.claim, it, p.get(it.claim.id), outcome, _remark(it, outcome, found)))
    return judged


def collect(claim: Claim, found: dict[str, list[Record]]) -> Evidence:
    """Return what the records say of a claim."""
    runs = {id: len(found[id]) for id in claim.experiments}
    if claim.measure is None:
        return Evidence(claim, runs)
    fewest = 1 if claim.measure.exact else statistics.FEWEST
    missing = tuple(id for id, n in runs.items() if n < fewest)
    if missing:
        return Evidence(claim, runs, missing)
    of_runs = {id: [claim.measure.of(record) for record in found[id]] for id in claim.experiments}
    measured = {id: np.array([one.value for one in some]) for id, some in of_runs.items()}
    evidence = partial(Evidence, claim, runs, measured=measured)
    if claim.measure.exact:
        return evidence(**_fact(claim, [some[0] for some in of_runs.values()]))
    if claim.nothing_better:
        return evidence(**_best_other(claim, measured, found))
    first, *others = claim.experiments
    image_variance = np.mean([one.image_variance for one in of_runs[first]])
    of_first = statistics.mean(measured[first], image_variance)
    paired, difference = _compare(claim, measured, found) if others else (False, None)
    if claim.number is None:  # with one experiment the measure is itself a difference, between classes
        difference = difference or of_first
        shown = claim.measure.difference
        return evidence(estimate=difference, shown=shown, difference=difference, paired=paired)
    prediction = statistics.prediction_interval(measured[first])
    missed_by = statistics.distance(prediction, claim.interval)
    return evidence(
        estimate=of_first,
        shown=claim.measure,
        prediction=prediction,
        missed_by=missed_by,
        difference=difference,
        paired=paired,
    )


def _fact(claim, measured) -> dict:
    """A number that the original states, or that the first of two experiments exceeds the second."""
    first, *others = measured
    value = first.value / others[0].value if others else first.value
    return {
        "estimate": Estimate(value, value, value, np.nan),
        "shown": claim.measure.ratio if others else claim.measure,
        "holds": value > 1 if others else value == claim.number and first.holds,
        "details": first.details,
    }


def _best_other(claim, measured, found) -> dict:
    """Choose by validation loss, so that the test images, on which the gain is measured, have chosen nothing."""
    losses = {id: float(np.mean([record.val_loss for record in found[id]])) for id in claim.experiments}
    reference, best = claim.experiments[0], min(losses, key=losses.get)
    chosen = {"best": best, "val_losses": losses}
    if best == reference:
        return chosen
    gain = statistics.difference(measured[best], measured[reference], null=claim.margin)
    return chosen | {"estimate": gain, "shown": claim.measure.difference, "difference": gain}


def _compare(claim, measured, found) -> tuple[bool, Estimate]:
    """Compare two experiments, seed by seed where the runs of one are those of the other, trained further."""
    first, second = claim.experiments
    if not experiment(first).continues(experiment(second)):
        return False, statistics.difference(measured[first], measured[second])
    of_seed = [
        {record.seed: value for record, value in zip(found[id], measured[id], strict=True)}
        for id in (first, second)
    ]
    pairs = [[some[seed] for some in of_seed] for seed in of_seed[0] if seed in of_seed[1]]
    return True, statistics.paired_difference(*zip(*pairs, strict=True))


def decide(it: Evidence, p: float | None) -> str:
    """Return the outcome, by the rules above; `p` is that of the difference, adjusted for all claims."""
    claim = it.claim
    if claim.measure is None:
        return NOT_TESTABLE
    if it.missing:
        return UNDECIDED
    if claim.measure.exact:
        return REPRODUCED if it.holds else REFUTED
    low, high = -np.inf, np.inf
    if it.difference and p < statistics.LEVEL:
        _, low, high, _ = it.difference
    if claim.nothing_better:
        if it.best == claim.experiments[0]:
            return REPRODUCED
        return REFUTED if low > claim.margin else REPRODUCED if high < claim.margin else UNDECIDED
    if claim.number is None:
        return REPRODUCED if low > 0 else REFUTED if high < -claim.margin else UNDECIDED
    if it.missed_by == 0:
        return REPRODUCED
    if low > 0:
        return DIRECTION
    return REFUTED if it.missed_by > claim.margin else UNDECIDED


def _remark(it, outcome, found):
    if it.claim.measure is None or it.missing:
        return None
    if it.claim.remark:
        return it.claim.remark(it.claim, found)
    return remarks.explanations(it.claim, found) if it.prediction and outcome != REPRODUCED else None
