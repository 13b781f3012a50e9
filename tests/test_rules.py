"""How often the rules of verdicts are wrong where the truth is known: by simulation, with 20 runs of each experiment.

`python tests/test_rules.py` prints the shares for 10,000 draws; the test, which makes fewer, fails where a share is larger
than what the rules state by more than chance.
"""

from collections import Counter
from types import SimpleNamespace

import numpy as np
from scipy import stats

from labhelpers.study.claims import Claim
from labhelpers.study.measures import Measure, Measured
from labhelpers.study.verdicts import EDGE, REFUTED, REPRODUCED, judge

MARGIN, SPREAD = 0.01, 0.004  # of single runs; an interval of a difference then reaches a quarter of the margin
TINY = 0.0001  # a margin within which no interval fits, so that only the test against 0 can decide
VALUE = Measure("accuracy", lambda run: Measured(run.value), "%", 100, 1)
BASE, SAME, MORE, BETTER = "baseline-20000", "baseline-40000", "deeper-40000-adam-3e-4", "ladder-averaging"
LONGER, SHORTER = "deeper-40000", "deeper-40000-10-epochs"
MEANS = {BASE: 0.6, SAME: 0.6, MORE: 0.6 + MARGIN, BETTER: 0.6 + MARGIN, LONGER: 0.65, SHORTER: 0.65}
# By what is true, claims of a difference with the outcomes that are then wrong. Holm's adjustment makes each of these
# rarer than by its own test, the more so the more of the other claims are not certain either.
WRONG = {
    "no difference": (Claim("no difference", "", VALUE, (SAME, BASE), margin=TINY), {REPRODUCED}),
    "none, by seed": (Claim("none, by seed", "", VALUE, (LONGER, SHORTER), margin=TINY), {REPRODUCED}),
    "the margin": (Claim("the margin", "", VALUE, (MORE, BASE), margin=MARGIN), {REFUTED}),
    "gains the margin": (
        Claim("gains the margin", "", VALUE, (BASE, BETTER), margin=MARGIN, nothing_better=True),
        {REPRODUCED, REFUTED},
    ),
}
STATED = {
    "number not reproduced": 0.20,
    "number not at the edge either": 0.05,
    "no difference": 0.025,
    "none, by seed": 0.025,
    "the margin": 0.025,
    "gains the margin": 0.05,
}


def runs(rng, means):
    """Return made-up runs by experiment: a first one, which has the validation loss, and twenty fresh ones."""
    made = {}
    for id, mean in means.items():
        first = SimpleNamespace(seed=0, value=mean, val_loss=-mean)
        fresh = [SimpleNamespace(seed=10 + at, value=value) for at, value in enumerate(rng.normal(mean, SPREAD, 20))]
        made[id] = [first, *fresh]
    return made


def errors(draws, seed=0) -> Counter:
    """Count what is wrongly said of one more run of ours, as if it were the original, and of these differences."""
    rng, wrong = np.random.default_rng(seed), Counter()
    for _ in range(draws):
        original = rng.normal(0.6, SPREAD)  # not rounded: rounding would only make it easier to reach
        [it] = judge(runs(rng, {BASE: 0.6}), claims=[Claim("X", "", VALUE, (BASE,), original, 1e-9, MARGIN)])
        wrong["number not reproduced"] += it.outcome != REPRODUCED
        wrong["number not at the edge either"] += it.outcome not in (REPRODUCED, EDGE)
        found = judge(runs(rng, MEANS), claims=[claim for claim, _ in WRONG.values()])
        wrong.update(it.claim.id for it in found if it.outcome in WRONG[it.claim.id][1])
    return wrong


def test_the_rules_are_wrong_at_most_as_often_as_they_state():
    draws = 400
    wrong = errors(draws)
    for what, stated in STATED.items():
        assert wrong[what] <= stats.binom.ppf(0.999, draws, stated), what
    assert wrong["number not reproduced"] > stats.binom.ppf(0.001, draws, 0.2), "no laxer than they state"


if __name__ == "__main__":
    wrong = errors(10_000)
    for what, stated in STATED.items():
        print(f"{what:32}{wrong[what] / 10_000:8.4f}  stated {stated:.3f}")
