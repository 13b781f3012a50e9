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

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from labhelpers.errors import LabError, check_choice
from labhelpers.study import records, statistics
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
    """The numbers that a verdict rests on."""

    claim: Claim
    runs: dict[str, int]  # number of records, by the id of each of its experiments
    missing: tuple[str, ...] = ()  # ids of the experiments that have too few; then there is nothing else
    measured: dict[str, np.ndarray] = field(default_factory=dict)  # of each run, by experiment
    estimate: Estimate | None = None  # our side of the claim; both ends equal its value where that is a fact
    shown: Measure | None = None  # how it is written: the claim's measure, or the difference or ratio of it
    prediction: Interval | None = None  # where one further run falls, for a claim with a number
    missed_by: float = 0.0  # how far the original's number, as rounded, lies from that
    difference: Estimate | None = None  # tested against 0, or against the margin if nothing should be better
    paired: bool = False  # whether the difference is taken seed by seed
    best: str = ""  # if nothing should be better: the experiment with the smallest mean validation loss
    val_losses: dict[str, float] = field(default_factory=dict)  # these means, by experiment
    holds: bool = False  # whether a fact is as the claim says
    details: dict | None = None  # of an exact measure


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
    collected = [collect(claim, records) for claim in claims]
    tested = [evidence for evidence in collected if evidence.difference]
    adjusted = statistics.holm([evidence.difference.p for evidence in tested if evidence.difference])
    p = {evidence.claim.id: float(value) for evidence, value in zip(tested, adjusted, strict=True)}
    return [
        Verdict(evidence.claim, evidence, p.get(evidence.claim.id), decide(evidence, p), records)
        for evidence in collected
    ]


def collect(claim: Claim, records: dict[str, list[Record]]) -> Evidence:
    """Return what the records say about a claim."""
    for id in claim.experiments:
        check_choice(f"{claim.id}: experiment", id, records)
    runs = {id: len(records[id]) for id in claim.experiments}
    if claim.measure is None:
        return Evidence(claim, runs)
    fewest = 1 if claim.measure.exact else statistics.FEWEST
    missing = tuple(id for id, n in runs.items() if n < fewest)
    if missing:
        return Evidence(claim, runs, missing)
    of_runs = {id: [claim.measure.of(record) for record in records[id]] for id in claim.experiments}
    measured = {id: np.array([run.value for run in of_id]) for id, of_id in of_runs.items()}
    if claim.measure.exact:
        numbers = _fact(claim, [of_id[0] for of_id in of_runs.values()])
    elif claim.nothing_better:
        numbers = _best_other(claim, measured, records)
    else:
        image_variance = np.mean([run.image_variance for run in of_runs[claim.experiments[0]]])
        numbers = _number_and_difference(claim, measured, image_variance, records)
    return Evidence(claim, runs, measured=measured, **numbers)


def _fact(claim, measured) -> dict:
    """Give a number that the original states, or by how much the first of two experiments exceeds the second."""
    first, *others = measured
    value = first.value / others[0].value if others else first.value
    return {
        "estimate": Estimate(value, value, value, np.nan),
        "shown": claim.measure.ratio if others else claim.measure,
        "holds": value > 1 if others else value == claim.number and first.holds,
        "details": first.details,
    }


def _best_other(claim, measured, records) -> dict:
    """Choose by validation loss: the test images, on which the gain is measured, must not choose."""
    losses = {id: float(np.mean([record.val_loss for record in records[id]])) for id in claim.experiments}
    reference, best = claim.experiments[0], min(losses, key=lambda id: losses[id])
    chosen = {"best": best, "val_losses": losses}
    if best == reference:
        return chosen
    gain = statistics.difference(measured[best], measured[reference], null=claim.margin)
    return chosen | {"estimate": gain, "shown": claim.measure.difference, "difference": gain}


def _number_and_difference(claim, measured, image_variance, records) -> dict:
    first, *others = claim.experiments
    mean = statistics.mean(measured[first], image_variance)
    paired = bool(others) and experiment(first).continues(experiment(others[0]))
    difference = None
    if paired:
        difference = _paired_difference(claim, measured, records)
    elif others:
        difference = statistics.difference(measured[first], measured[others[0]])
    if claim.number is None:  # with one experiment the measure is itself a difference, between classes
        difference = difference or mean
        numbers = {"estimate": difference, "shown": claim.measure.difference}
    else:
        prediction = statistics.prediction_interval(measured[first])
        missed_by = statistics.distance(prediction, claim.interval)
        numbers = {"estimate": mean, "shown": claim.measure, "prediction": prediction, "missed_by": missed_by}
    return numbers | {"difference": difference, "paired": paired}


def _paired_difference(claim, measured, records) -> Estimate:
    first, second = (
        {record.seed: value for record, value in zip(records[id], measured[id], strict=True)}
        for id in claim.experiments
    )
    seeds = [seed for seed in first if seed in second]
    if len(seeds) < 2:
        ids = " ".join(claim.experiments)
        raise LabError(f"{claim.id} needs runs with the same seeds: run lab study --experiments {ids}")
    return statistics.mean([first[seed] - second[seed] for seed in seeds])


def decide(evidence: Evidence, p: dict[str, float]) -> str:
    """Return the outcome, by the rules above; `p` holds adjusted p values by the id of the claim."""
    claim = evidence.claim
    if claim.measure is None:
        return NOT_TESTABLE
    if evidence.missing:
        return UNDECIDED
    if claim.measure.exact:
        return REPRODUCED if evidence.holds else REFUTED
    low, high = -np.inf, np.inf
    if evidence.difference and p[claim.id] < statistics.LEVEL:
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
    dots: np.ndarray  # one for each run; none where two experiments are compared by their means
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
    return [
        _strip(verdict)
        for verdict in verdicts
        if verdict.evidence.estimate and verdict.claim.measure and not verdict.claim.measure.exact
    ]


def _strip(verdict):
    claim, evidence = verdict.claim, verdict.evidence
    numbered, id, scale = claim.number is not None, claim.experiments[0], claim.measure.scale
    mean, *interval = (scale * number for number in evidence.estimate[:3])
    return Strip(
        verdict,
        axis=evidence.shown.axis,
        experiment=id,
        dots=scale * evidence.measured[id] if numbered or len(claim.experiments) == 1 else np.array([]),
        mean=mean,
        interval=interval,
        band=[scale * end for end in evidence.prediction or ()],
        rounded=[scale * end for end in claim.interval] if numbered else [],
        line=scale * (claim.number if numbered else claim.margin if evidence.best else 0),
    )
