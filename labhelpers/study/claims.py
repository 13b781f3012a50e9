"""Every claim of the original report: its number, ours with its uncertainty, and a verdict by a stated rule.

The margins, how large a difference must be to matter, were committed before the first record was made; that an arm
takes five runs to be judged by (`statistics.FEWEST`) came after the first fifteen records, and was three. The rules:

- *reproduced*: the original's number, with its rounding, lies in the 95 % prediction interval of one run; a claim
  without a number, that something is larger: the 95 % interval of the difference lies above 0; a claim that nothing
  is better: the interval of what the best alternative gains lies below the margin;
- *direction reproduced*: the number does not, but the interval of the difference that the claim makes lies above 0;
- *refuted*: the interval excludes the claim by more than the margin: the prediction interval a number, the interval
  of a difference every value above 0; a gain that a claim denies lies above the margin;
- *undecided*: neither, or too few runs of an arm; *not testable*: a description that the arms follow.

Two arms are compared by Welch's test; seed by seed where one only trains for longer, since its runs begin as those of
the other do (this came after the records: five of five pairs were equal, which Welch's test takes for ten runs).

An interval of a difference counts only if its test, with Holm's adjustment for all the claims tested, has p < 0.05.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from labhelpers.study import records, statistics, wording
from labhelpers.study.arms import ARMS, named
from labhelpers.study.measures import FACTS, MEASURES
from labhelpers.study.records import Record
from labhelpers.study.statistics import Estimate, Interval

POINT = 0.01  # one point of accuracy
REPRODUCED, DIRECTION, REFUTED, UNDECIDED, NOT_TESTABLE = (
    "reproduced",
    "direction reproduced",
    "refuted",
    "undecided",
    "not testable",
)


@dataclass(frozen=True)
class Claim:
    """One claim, and how it is tested.

    Attributes:
        name: id of the claim in the project's list of them, with its part where it makes several.
        statement: what the original says.
        measure: how it is tested; a key of `measures.MEASURES` or `measures.FACTS`, "nothing_better" or "description".
        arms: those it is tested on; where the claim is a difference, of the first from the second; where it is that
            nothing is better, of the best of the others, by validation loss, from the first.
        number: the original's, if it gives one, in the unit of the measure.
        rounding: half the last digit of `number`.
        margin: the smallest difference that would matter, in the same unit.
    """

    name: str
    statement: str
    measure: str
    arms: tuple[str, ...] = ()
    number: float | None = None
    rounding: float = 0.0
    margin: float = 0.0

    @property
    def interval(self) -> Interval:
        """The numbers that round to the original's."""
        return Interval(self.number - self.rounding, self.number + self.rounding)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the records say of a claim.

    Attributes:
        claim: the claim.
        runs: how many records each of its arms has.
        measured: its measure of each run, by arm, float64; empty for facts.
        estimate: of what the claim is about; both ends equal its value where that is a fact.
        prediction: where one further run falls, for a claim with a number.
        difference: what is tested, where something is: whether it is 0, or, where the claim is that nothing is
            better, the margin. It is the estimate itself for a claim without a number.
        best: the arm chosen as the best of the others, where the claim is that nothing is better.
        p: of that test, with Holm's adjustment.
        verdict: one of those above.
        why: a sentence on the number, one on the difference.
        besides: what else the records tell: what would give a number that was not reproduced, or nothing.
    """

    claim: Claim
    runs: dict[str, int]
    measured: dict[str, np.ndarray] = field(default_factory=dict)
    estimate: Estimate | None = None
    prediction: Interval | None = None
    difference: Estimate | None = None
    best: str = ""
    p: float | None = None
    verdict: str = ""
    why: str = ""
    besides: str = ""


BASE, LARGER, DEEPER = "baseline-20000", "baseline-40000", "deeper-40000"
RATES = tuple(f"deeper-40000-{rate}" for rate in ("adam-1e-4", "adam-3e-4", "adam-3e-3", "adam-1e-2"))

CLAIMS = (
    Claim("D1", "there are ten classes", "classes", (BASE,), 10),
    Claim("D2", "the images have 30x30 pixels", "side", (BASE,), 30),
    Claim("D3", "there are 50,000 training images, all classes of the same size", "balance", (BASE,), 50_000),
    Claim("B1", "one convolution, pooling, two dense layers", "description", (BASE,)),
    Claim("B2", "trained on 20,000 images for 10 epochs", "description", (BASE,)),
    Claim("B3 accuracy", "the baseline reaches 60 %", "accuracy", (BASE,), 0.60, 0.005, POINT),
    Claim("B3 loss", "the baseline's test loss is 1.18", "loss", (BASE,), 1.18, 0.005, 0.03),
    Claim("B4 animals", "animals are mistaken for one another", "animals_within", (BASE,), margin=0.05),
    Claim("B4 vehicles", "vehicles are easier than animals", "vehicles_easier", (BASE,), margin=POINT),
    Claim("B4 cars", "cars are the easiest class", "cars_easiest", (BASE,), margin=POINT),
    Claim("L1", "40,000 images raise accuracy to 65 %", "accuracy", (LARGER, BASE), 0.65, 0.005, POINT),
    Claim("A1 complexity", "the deeper network is more complex", "parameters", (DEEPER, LARGER)),
    Claim("A1 epochs", "so it takes more epochs", "accuracy", (DEEPER, f"{DEEPER}-10-epochs"), margin=POINT),
    Claim("A2", "the final network reaches 67 %", "accuracy", (DEEPER, LARGER), 0.67, 0.005, POINT),
    Claim(
        "A3",
        "nothing much better could be had, for the images' low quality",
        "nothing_better",
        (DEEPER, "ladder-averaging"),
        margin=POINT,
    ),
    Claim(
        "A4", "another learning rate is no use, with Adam", "nothing_better", (DEEPER, *RATES), margin=POINT
    ),
)


def verdicts() -> tuple[list[Verdict], list[str]]:
    """Return a verdict on each claim, from the records there are, and a line for each that can't be used."""
    found, faults = {}, []
    for arm in ARMS:
        found[arm.name], unusable = records.read_all(arm)
        faults += unusable
    return judge(found), faults


def judge(found: dict[str, list[Record]]) -> list[Verdict]:
    """Return a verdict on each claim, from the records of each arm, by name."""
    evidence = [_evidence(claim, found) for claim in CLAIMS]
    tested = [it for it in evidence if it.difference]
    adjusted = statistics.holm([it.difference.p for it in tested])
    p = {it.claim.name: float(value) for it, value in zip(tested, adjusted, strict=True)}
    return [it if it.verdict else _decided(replace(it, p=p.get(it.claim.name)), found) for it in evidence]


def _evidence(claim, found):
    """Return what the records say of a claim, with its verdict only where that takes no statistics."""
    it = Verdict(claim, {name: len(found[name]) for name in claim.arms})
    if claim.measure == "description":
        return replace(it, verdict=NOT_TESTABLE, why=wording.description(claim))
    short = [name for name, n in it.runs.items() if n < (1 if claim.measure in FACTS else statistics.FEWEST)]
    if short:
        return replace(it, verdict=UNDECIDED, why=wording.missing(short))
    if claim.measure in FACTS:
        fact = FACTS[claim.measure](claim.number, *(found[name][0] for name in claim.arms))
        exactly = Estimate(fact.value, fact.value, fact.value, np.nan)
        return replace(it, estimate=exactly, verdict=REPRODUCED if fact.holds else REFUTED, why=fact.why)
    if claim.measure == "nothing_better":
        return _best_other(it, found)
    taken = {name: [MEASURES[claim.measure](record) for record in found[name]] for name in claim.arms}
    values = {name: np.array([one.value for one in of_arm]) for name, of_arm in taken.items()}
    first = values[claim.arms[0]]
    of_first = statistics.mean(first, np.mean([one.image_variance for one in taken[claim.arms[0]]]))
    # Without a second arm and without a number, the measure is itself a difference, between classes.
    difference = _difference(claim.arms, values, found) if len(claim.arms) > 1 else of_first
    if claim.number is None:
        return replace(it, measured=values, estimate=difference, difference=difference)
    return replace(
        it,
        measured=values,
        estimate=of_first,
        prediction=statistics.prediction_interval(first),
        difference=difference if len(claim.arms) > 1 else None,
    )


def _difference(arms, values, found):
    """Compare two arms: seed by seed where the runs of one are those of the other, trained further."""
    if not named(arms[0]).continues(named(arms[1])):
        return statistics.difference(*values.values())
    of_seed = [dict(zip((record.seed for record in found[arm]), values[arm], strict=True)) for arm in arms]
    pairs = [[of_arm[seed] for of_arm in of_seed] for seed in of_seed[0] if seed in of_seed[1]]
    return statistics.paired_difference(*zip(*pairs, strict=True))


def _best_other(it, found):
    """Choose by validation loss, so that the test images, on which the gain is measured, have chosen nothing."""
    losses = {name: np.mean([record.val_loss for record in found[name]]) for name in it.claim.arms}
    values = {name: np.array([record.accuracy for record in found[name]]) for name in it.claim.arms}
    reference, best = it.claim.arms[0], min(losses, key=losses.get)
    it = replace(it, measured=values)
    if best == reference:
        besides = wording.besides(it, found)
        return replace(it, verdict=REPRODUCED, why=wording.none_better(losses), besides=besides)
    gain = statistics.difference(values[best], values[reference], null=it.claim.margin)
    return replace(it, estimate=gain, difference=gain, best=best)


def _decided(it, found):
    it = replace(it, verdict=_verdict(it))
    besides = wording.besides(it, found) if it.verdict != REPRODUCED or it.claim.number is None else ""
    return replace(it, why=wording.why(it), besides=besides)


def _verdict(it):
    claim, low, high = it.claim, -np.inf, np.inf
    if it.difference and it.p < statistics.LEVEL:
        _, low, high, _ = it.difference
    if claim.measure == "nothing_better":
        return REFUTED if low > claim.margin else REPRODUCED if high < claim.margin else UNDECIDED
    if claim.number is None:
        return REPRODUCED if low > 0 else REFUTED if high < -claim.margin else UNDECIDED
    missed_by = statistics.distance(it.prediction, claim.interval)
    if missed_by == 0:
        return REPRODUCED
    if low > 0:
        return DIRECTION
    return REFUTED if missed_by > claim.margin else UNDECIDED
