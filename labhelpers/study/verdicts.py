"""Judge each claim of the original from the recorded runs, by stated rules: evidence is numbers, a verdict an outcome.

The rules. Only fresh runs count (`experiments.FIRST_FRESH`) where an experiment has some, at least `statistics.FEWEST`.

- A number. Let q be the probability, by the t prediction distribution of our runs, that one more run is at least as far
  from our mean as the original's number, on the same side; a run that rounds to it counts. With q of at least 0.10, the
  number is *reproduced*. With at least 0.025, it is *at the edge*. Below, it is *direction reproduced* if the 95 %
  interval of the difference that the claim makes is above 0, else *refuted* if the number, as rounded, is further from
  the 95 % prediction interval than the margin. If the original were one more run of ours, at most 20 % of such claims
  would miss *reproduced*, and at most 5 % *at the edge* as well: q is small on either side of the mean.
- A difference. If its 95 % interval is entirely within plus or minus the margin, it is too small to matter
  (equivalence: Lakens 2017, doi 10.1177/1948550617697177): a claim of a difference is *refuted*, a claim that nothing
  is better *reproduced*. Otherwise a claim of a difference is *reproduced* if the interval is above 0, and *refuted* if
  it is below minus the margin; a claim that nothing is better is *reproduced* if the interval of what the best
  alternative gains is below the margin, *refuted* if it is above. The alternative is the one with the smallest mean
  validation loss in the first runs; if none has a smaller one than the claim's own experiment, the claim is *reproduced*
  without a test. If a true difference is 0, it is reproduced in at most 2.5 % of cases; if it equals the margin, it is
  refuted in at most 2.5 %, and a claim that nothing is better is decided in at most 5 %.
- That image quality is the limit (A3b): *refuted* if, seed by seed, a better network gains more than the original's
  network loses on images averaged to 16x16 pixels (95 % interval of the difference above 0). It can't be reproduced,
  since larger images could not be tested.
- A fact: *reproduced* or *refuted*. How things were done: *not testable*. All other claims are *undecided*.

Two experiments are compared by Welch's test, or seed by seed where one only trains for longer. An interval of a
difference counts only if p < 0.05 after Holm's adjustment, for which each claim of a difference has one p: of the test
that decides it, against 0, the margin or minus the margin.

History. The margins, and rules like these, were committed before the first record was made. The minimum of five runs
and the comparison seed by seed came after the first fifteen and ten records. On 27 November 2026, before the first
fresh run but with all first runs known, we changed four things, which notebook 07 lists with the reasons. Later that
day, when some fresh runs had been made and seen, but none of an alternative, one slip was corrected: the p of a claim
that nothing is better is always against the margin, never against minus the margin. Still later, before any run on
images of lower quality, A3 became A3a, and A3b was added; what the better network gains was known by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import copysign

import numpy as np
import pandas as pd

from labhelpers.errors import LabError, check_choice
from labhelpers.study import records, statistics
from labhelpers.study.claims import CLAIMS, Claim
from labhelpers.study.experiments import FIRST_FRESH, Experiment, experiment
from labhelpers.study.measures import Measure, Measured
from labhelpers.study.records import Record
from labhelpers.study.statistics import Estimate, Interval

OUTCOMES = ("reproduced", "at the edge", "direction reproduced", "refuted", "undecided", "not testable")
REPRODUCED, EDGE, DIRECTION, REFUTED, UNDECIDED, NOT_TESTABLE = OUTCOMES
USUAL, RARE = 0.10, 0.025  # the smallest q of a number that is reproduced, and of one at the edge


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
    q: float | None = None  # the probability that it reaches the original's number, as rounded
    reached: int = 0  # how many of our runs do
    missed_by: float = 0.0  # how far the original's number, as rounded, lies from the prediction interval
    difference: Estimate | None = None  # of the first experiment and the second, or of the best one and the first
    pairs: pd.Series | None = None  # the difference of each seed, where runs are compared seed by seed
    share_better: float | None = None  # share of pairs of runs of two experiments in which the difference is above 0
    null: float = 0.0  # what the difference is tested against
    needed: float = 0  # if the interval decides nothing: how many runs of each experiment would; infinite if none would
    best: str = ""  # if nothing should be better: the experiment with the smallest mean validation loss
    val_losses: dict[str, float] = field(default_factory=dict)  # these means, by experiment
    fact: Measured | None = None  # what an exact measure gives for the first experiment

    @property
    def too_small(self) -> bool:
        """Whether the interval of the difference lies entirely within plus or minus the margin."""
        return self.difference is not None and _within(self.difference, self.claim.margin)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the records say about a claim."""

    claim: Claim
    evidence: Evidence
    p: float | None  # of the difference being `evidence.null`, with Holm's adjustment; None if nothing is tested
    outcome: str  # one of `OUTCOMES`
    records: dict[str, list[Record]]  # the judged ones of every experiment, by id, for remarks
    first: Evidence  # the same from the first runs, which confirm nothing


def verdicts() -> tuple[list[Verdict], list[str]]:
    """Return a verdict on each claim from the committed records, and a line for each record that can't be used."""
    usable, faults = records.read_study()
    return judge(usable), faults


def judge(records: dict[str, list[Record]], claims=CLAIMS) -> list[Verdict]:
    """Return a verdict on each claim; `records` are those of each experiment, by its id."""
    first = {id: [record for record in runs if record.seed < FIRST_FRESH] for id, runs in records.items()}
    judged = {id: [one for one in runs if one.seed in experiment(id).judged_seeds] for id, runs in records.items()}
    collected = [_collect(claim, judged, first) for claim in claims]
    adjusted = iter(statistics.holm([one.difference.p(one.null) for one in collected if one.difference]))
    of_claims = []
    for evidence in collected:
        p = float(next(adjusted)) if evidence.difference else None
        earlier = _collect(evidence.claim, first, first)
        of_claims.append(Verdict(evidence.claim, evidence, p, _decide(evidence, p), judged, earlier))
    return of_claims


def _collect(claim, records, first_runs) -> Evidence:
    """Compute what a claim rests on from these records; the first runs only choose among alternatives."""
    for id in claim.experiments:
        check_choice(f"{claim.id}: experiment", id, records)
    ids = claim.experiments
    chosen = {}
    if claim.nothing_better:
        if none := tuple(id for id in ids if not first_runs[id]):
            return Evidence(claim, {id: len(records[id]) for id in ids}, none)
        # By validation loss, and in the first runs: neither the test images nor the runs that measure the gain choose.
        losses = {id: float(np.mean([record.val_loss for record in first_runs[id]])) for id in ids}
        best = min(losses, key=lambda id: losses[id])
        chosen = {"best": best, "val_losses": losses}
        ids = tuple(dict.fromkeys((ids[0], best)))
    runs = {id: len(records[id]) for id in ids}
    if claim.measure is None:
        return Evidence(claim, runs)
    fewest = 1 if claim.measure.exact else statistics.FEWEST
    if missing := tuple(id for id, n in runs.items() if n < fewest):
        return Evidence(claim, runs, missing)
    of_runs = {id: {record.seed: claim.measure.of(record) for record in records[id]} for id in ids}
    measured = {id: pd.Series({seed: run.value for seed, run in of_id.items()}) for id, of_id in of_runs.items()}
    of_main = list(of_runs[ids[0]].values())
    if claim.measure.exact:
        numbers = _fact(claim, measured) | {"fact": of_main[0]}
    else:
        gaining = dict(reversed(measured.items())) if claim.nothing_better else measured
        # Two experiments answer the same images.
        image_variance = np.mean([run.image_variance for run in of_main]) if len(ids) == 1 else 0.0
        numbers = _difference(claim, gaining, image_variance)
        if claim.number is not None:
            numbers |= _number(claim, measured[ids[0]])
    return Evidence(claim, runs, measured=measured, **chosen, **numbers)


def _fact(claim, measured) -> dict:
    """Give a number that the original states, or by how much the first of two experiments exceeds the second."""
    first, *others = (float(values.iloc[0]) for values in measured.values())
    value = first / others[0] if others else first
    return {"estimate": Estimate(value, value, value), "shown": claim.measure.ratio if others else claim.measure}


def _number(claim, values) -> dict:
    prediction = statistics.prediction_interval(values)
    low, high = claim.interval
    return {
        "estimate": statistics.mean(values),
        "shown": claim.measure,
        "prediction": prediction,
        "q": statistics.chance_of_reaching(values, low, high),
        "reached": int((values >= low if claim.number >= values.mean() else values <= high).sum()),
        "missed_by": statistics.distance(prediction, claim.interval),
    }


def _difference(claim, measured, image_variance) -> dict:
    samples, factors, pairs, share = list(measured.values()), claim.factors, None, None
    if len(samples) == 1 and (claim.number is not None or claim.nothing_better):
        return {}  # there is nothing to compare with
    if not factors and len(samples) == 2 and Experiment.continues(*map(experiment, measured)):
        factors = (1, -1)
    if factors:
        pairs = pd.concat(samples, axis=1, join="inner") @ factors
        samples = [pairs]
        if len(pairs) < 2:
            again = f"run lab study --experiments {' '.join(measured)}"
            raise LabError(f"{claim.id} needs runs with the same seeds: {again}")
    if len(measured) == 2:
        share = statistics.share_better(*samples)
    difference = statistics.difference(*samples) if len(samples) == 2 else statistics.mean(samples[0], image_variance)
    needed = 0.0
    if claim.number is None and _of_difference(claim, difference) == UNDECIDED:
        needed = statistics.runs_needed(samples, _reach(claim, difference.value), image_variance)
    return {
        "estimate": difference,
        "shown": replace(claim.measure.difference, name="gain minus loss")
        if claim.factors
        else claim.measure.difference,
        "difference": difference,
        "pairs": pairs,
        "share_better": share,
        "null": _null(claim, difference),
        "needed": needed,
    }


def _within(difference, margin):
    return -margin < difference.low and difference.high < margin


def _null(claim, difference):
    """Return the value that the test which decides compares a difference with."""
    if claim.nothing_better:
        return claim.margin
    if claim.number is None and _within(difference, claim.margin):
        return copysign(claim.margin, difference.value)
    below = difference.high < -claim.margin and claim.number is None and not claim.factors
    return -claim.margin if below else 0.0


def _reach(claim, value):
    """Return the largest half-width of the interval around a difference with which it would still decide."""
    if claim.nothing_better:
        return abs(value - claim.margin)
    if claim.factors:
        return max(value, 0)
    return max(value, claim.margin - abs(value), -claim.margin - value)


def _of_difference(claim, difference) -> str:
    """Return the outcome by the interval of a difference alone."""
    _, low, high, *_ = difference
    if claim.number is not None:
        return DIRECTION if low > 0 else UNDECIDED
    if claim.factors:
        return REFUTED if low > 0 else UNDECIDED
    if claim.nothing_better:
        return REFUTED if low > claim.margin else REPRODUCED if high < claim.margin else UNDECIDED
    if _within(difference, claim.margin):
        return REFUTED
    return REPRODUCED if low > 0 else REFUTED if high < -claim.margin else UNDECIDED


def _decide(evidence, p) -> str:
    claim, difference = evidence.claim, evidence.difference
    if claim.measure is None:
        return NOT_TESTABLE
    if evidence.missing:
        return UNDECIDED
    if claim.measure.exact:
        value = evidence.estimate.value
        holds = value > 1 if claim.number is None else value == claim.number and evidence.fact.holds
        return REPRODUCED if holds else REFUTED
    if evidence.q is not None and evidence.q >= RARE:
        return REPRODUCED if evidence.q >= USUAL else EDGE
    if claim.nothing_better and difference is None:  # no alternative has a smaller validation loss
        return REPRODUCED
    outcome = _of_difference(claim, difference) if difference and p < statistics.LEVEL else UNDECIDED
    missed = claim.number is not None and evidence.missed_by > claim.margin
    return REFUTED if outcome == UNDECIDED and missed else outcome


@dataclass(frozen=True, eq=False)
class Strip:
    """What the strip chart of a verdict shows, in the unit of its axis."""

    verdict: Verdict
    axis: str  # title of the axis, with its unit
    dots: dict[
        int, float
    ]  # by seed, of each run or pair of runs; none where two experiments are compared by their means
    mean: float  # our estimate
    interval: Sequence[float]  # 95 % interval of it
    band: Sequence[float]  # where one further run falls; empty for a claim without a number
    rounded: Sequence[float]  # the numbers that round to the original's; empty as well
    lines: Sequence[float]  # the original's number, or what a difference is compared with: one number, or the margins

    @property
    def span(self) -> Interval:
        """From the smallest to the largest number that is shown."""
        shown = [*self.dots.values(), self.mean, *self.interval, *self.band, *self.rounded, *self.lines]
        return Interval(min(shown), max(shown))


def strips(verdicts: list[Verdict]) -> list[Strip]:
    """Return a strip chart for each verdict that rests on runs."""
    return [_strip(verdict) for verdict in verdicts if verdict.evidence.estimate and not verdict.evidence.fact]


def _strip(verdict):
    claim, evidence = verdict.claim, verdict.evidence
    numbered, scale = claim.number is not None, claim.measure.scale
    mean, *interval = (scale * number for number in evidence.estimate[:3])
    first, *others = evidence.measured.values()
    dots = first if numbered or not others else evidence.pairs
    margins = (-claim.margin, claim.margin)  # if the interval is between them, a difference is too small to matter
    equal = evidence.too_small and not claim.nothing_better
    lines = (claim.number,) if numbered else margins if equal else (evidence.null,)
    return Strip(
        verdict,
        axis=evidence.shown.axis,
        dots={} if dots is None else dict(scale * dots),
        mean=mean,
        interval=interval,
        band=[scale * end for end in evidence.prediction or ()],
        rounded=[scale * end for end in claim.interval] if numbered else [],
        lines=[scale * line for line in lines],
    )
