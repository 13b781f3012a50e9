"""A verdict on each claim, by stated rules: evidence is numbers from the records, a verdict adds an outcome.

The rules, committed before the first record was made, for a claim of

- a number: *reproduced* if, with its rounding, it is in the 95 % prediction interval of one run; else *direction
  reproduced* if the 95 % interval of the difference that the claim makes is above 0; else *refuted* if the number
  is further from the prediction interval than the margin;
- something being larger: *reproduced* if the 95 % interval of the difference is above 0, *refuted* if it is below
  minus the margin;
- nothing being better: *reproduced* if the 95 % interval of what the best alternative gains is below the margin,
  *refuted* if it is above;
- how things were done: *not testable*. Any other claim, or one with too few runs, is *undecided*.

Two experiments are compared by Welch's test. An interval of a difference counts only if its test, with Holm's
adjustment for all the claims tested, has p < 0.05. Two rules came after records: we raised the minimum from three to
five runs per experiment after the first fifteen records (`statistics.FEWEST`), and compare seed by seed where one
experiment only trains for longer, since five of five pairs of such runs turned out equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from labhelpers.errors import LabError, check_choice
from labhelpers.study import records, statistics
from labhelpers.study.claims import CLAIMS, Claim
from labhelpers.study.experiments import experiment
from labhelpers.study.measures import Measure, Measured
from labhelpers.study.records import Record
from labhelpers.study.statistics import Estimate, Interval

OUTCOMES = ("reproduced", "direction reproduced", "refuted", "undecided", "not testable")
REPRODUCED, DIRECTION, REFUTED, UNDECIDED, NOT_TESTABLE = OUTCOMES


@dataclass(frozen=True, eq=False)
class Evidence:
    """The numbers that a verdict rests on."""

    claim: Claim
    runs: dict[str, int]  # number of records, by the id of each of its experiments
    missing: tuple[str, ...] = ()  # ids of the experiments that have too few; then there is nothing else
    measured: dict[str, pd.Series] = field(default_factory=dict)  # of each run, by experiment; the index is the seed
    estimate: Estimate | None = None  # our side of the claim; both ends equal its value where that is a fact
    shown: Measure | None = None  # how it is written: the claim's measure, or the difference or ratio of it
    prediction: Interval | None = None  # where one further run falls, for a claim with a number
    missed_by: float = 0.0  # how far the original's number, as rounded, lies from that
    difference: Estimate | None = None  # tested against 0, or against the margin if nothing should be better
    paired: bool = False  # whether the difference is taken seed by seed
    best: str = ""  # if nothing should be better: the experiment with the smallest mean validation loss
    val_losses: dict[str, float] = field(default_factory=dict)  # these means, by experiment
    fact: Measured | None = None  # what an exact measure gives for the first experiment


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the records say about a claim."""

    claim: Claim
    evidence: Evidence
    p: float | None  # of the test of `evidence.difference`, with Holm's adjustment; None if nothing is tested
    outcome: str  # one of `OUTCOMES`
    records: dict[str, list[Record]]  # of every experiment, by id, for remarks


def verdicts() -> tuple[list[Verdict], list[str]]:
    """Return a verdict on each claim from the committed records, and a line for each record that can't be used."""
    usable, faults = records.read_study()
    return judge(usable), faults


def judge(records: dict[str, list[Record]], claims=CLAIMS) -> list[Verdict]:
    """Return a verdict on each claim, from the records of each experiment, by id."""
    collected = [_collect(claim, records) for claim in claims]
    adjusted = iter(statistics.holm([evidence.difference.p for evidence in collected if evidence.difference]))
    judged = []
    for evidence in collected:
        p = float(next(adjusted)) if evidence.difference else None
        judged.append(Verdict(evidence.claim, evidence, p, _decide(evidence, p), records))
    return judged


def _collect(claim, records) -> Evidence:
    for id in claim.experiments:
        check_choice(f"{claim.id}: experiment", id, records)
    runs = {id: len(records[id]) for id in claim.experiments}
    if claim.measure is None:
        return Evidence(claim, runs)
    fewest = 1 if claim.measure.exact else statistics.FEWEST
    if missing := tuple(id for id, n in runs.items() if n < fewest):
        return Evidence(claim, runs, missing)
    of_runs = {id: {record.seed: claim.measure.of(record) for record in records[id]} for id in claim.experiments}
    measured = {id: pd.Series({seed: run.value for seed, run in of_id.items()}) for id, of_id in of_runs.items()}
    of_first = list(of_runs[claim.experiments[0]].values())
    if claim.measure.exact:
        numbers = _fact(claim, measured) | {"fact": of_first[0]}
    elif claim.nothing_better:
        numbers = _best_other(claim, measured, records)
    else:
        numbers = _number_and_difference(claim, measured, np.mean([run.image_variance for run in of_first]))
    return Evidence(claim, runs, measured=measured, **numbers)


def _fact(claim, measured) -> dict:
    """Give a number that the original states, or by how much the first of two experiments exceeds the second."""
    first, *others = (float(values.iloc[0]) for values in measured.values())
    value = first / others[0] if others else first
    shown = claim.measure.ratio if others else claim.measure
    return {"estimate": Estimate(value, value, value, np.nan), "shown": shown}


def _best_other(claim, measured, records) -> dict:
    """Choose by validation loss: the test images, on which the gain is measured, must not choose."""
    losses = {id: float(np.mean([record.val_loss for record in records[id]])) for id in claim.experiments}
    reference, best = claim.experiments[0], min(losses, key=lambda id: losses[id])
    chosen = {"best": best, "val_losses": losses}
    if best == reference:
        return chosen
    gain = statistics.difference(measured[best], measured[reference], null=claim.margin)
    return chosen | {"estimate": gain, "shown": claim.measure.difference, "difference": gain}


def _number_and_difference(claim, measured, image_variance) -> dict:
    ids, (values, *others) = claim.experiments, measured.values()
    mean = statistics.mean(values, image_variance)
    paired = bool(others) and experiment(ids[0]).continues(experiment(ids[1]))
    difference = None
    if paired:
        by_seed = (values - others[0]).dropna()
        if len(by_seed) < 2:
            again = f"run lab study --experiments {' '.join(ids)}"
            raise LabError(f"{claim.id} needs runs with the same seeds: {again}")
        difference = statistics.mean(by_seed)
    elif others:
        difference = statistics.difference(values, others[0])
    if claim.number is None:  # with one experiment the measure is itself a difference, between classes
        difference = difference or mean
        numbers = {"estimate": difference, "shown": claim.measure.difference}
    else:
        prediction = statistics.prediction_interval(values)
        missed_by = statistics.distance(prediction, claim.interval)
        numbers = {"estimate": mean, "shown": claim.measure, "prediction": prediction, "missed_by": missed_by}
    return numbers | {"difference": difference, "paired": paired}


def _decide(evidence, p) -> str:
    """Return the outcome, by the rules above."""
    claim = evidence.claim
    if claim.measure is None:
        return NOT_TESTABLE
    if evidence.missing:
        return UNDECIDED
    if claim.measure.exact:
        value = evidence.estimate.value
        holds = value > 1 if claim.number is None else value == claim.number and evidence.fact.holds
        return REPRODUCED if holds else REFUTED
    low, high = -np.inf, np.inf
    if evidence.difference and p < statistics.LEVEL:
        _, low, high, _ = evidence.difference
    if claim.nothing_better:
        if evidence.best == claim.experiments[0]:
            return REPRODUCED
        return REFUTED if low > claim.margin else REPRODUCED if high < claim.margin else UNDECIDED
    if claim.number is None:
        return REPRODUCED if low > 0 else REFUTED if high < -claim.margin else UNDECIDED
    if evidence.missed_by == 0:
        return REPRODUCED
    if low > 0:
        return DIRECTION
    return REFUTED if evidence.missed_by > claim.margin else UNDECIDED


@dataclass(frozen=True, eq=False)
class Strip:
    """What the strip chart of a verdict shows, in the unit of its axis."""

    verdict: Verdict
    axis: str  # title of the axis, with its unit
    experiment: str  # id of the experiment whose runs are the dots
    dots: Sequence[float]  # one for each run; none where two experiments are compared by their means
    mean: float  # our estimate
    interval: Sequence[float]  # 95 % interval of it
    band: Sequence[float]  # where one further run falls; empty for a claim without a number
    rounded: Sequence[float]  # the numbers that round to the original's; empty as well
    line: float  # the original's number, or what a difference is compared with

    @property
    def span(self) -> Interval:
        """From the smallest to the largest number that is shown."""
        shown = [*self.dots, self.mean, *self.interval, *self.band, *self.rounded, self.line]
        return Interval(min(shown), max(shown))


def strips(verdicts: list[Verdict]) -> list[Strip]:
    """Return a strip chart for each verdict that rests on runs."""
    return [_strip(verdict) for verdict in verdicts if verdict.evidence.estimate and not verdict.evidence.fact]


def _strip(verdict):
    claim, evidence = verdict.claim, verdict.evidence
    numbered, id, scale = claim.number is not None, claim.experiments[0], claim.measure.scale
    mean, *interval = (scale * number for number in evidence.estimate[:3])
    return Strip(
        verdict,
        axis=evidence.shown.axis,
        experiment=id,
        dots=[scale * value for value in evidence.measured[id]] if numbered or len(claim.experiments) == 1 else [],
        mean=mean,
        interval=interval,
        band=[scale * end for end in evidence.prediction or ()],
        rounded=[scale * end for end in claim.interval] if numbered else [],
        line=scale * (claim.number if numbered else claim.margin if evidence.best else 0),
    )
