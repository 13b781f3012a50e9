"""The strip chart of a verdict, as numbers: computed once, drawn by `plots` and by the page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labhelpers.study.statistics import Interval

if TYPE_CHECKING:  # so that notebooks without verdicts don't depend on their rules
    from labhelpers.study.verdicts import Verdict


@dataclass(frozen=True, eq=False)
class Strip:
    """What a strip chart shows, in the unit of its axis.

    Attributes:
        verdict: that it is of.
        axis: title of the axis, with its unit.
        experiment: id of the experiment whose runs are the dots.
        dots: one for each run, float64; none where two experiments are compared by their means, since no dot could be
            a difference.
        mean: our estimate.
        interval: its 95 % interval.
        band: where one further run falls, for a claim with a number.
        rounded: the numbers that round to the original's, for such a claim.
        line: the original's number, or what a difference is compared with.
    """

    verdict: "Verdict"
    axis: str
    experiment: str
    dots: np.ndarray
    mean: float
    interval: Interval
    band: Interval | None
    rounded: Interval | None
    line: float

    @property
    def span(self) -> Interval:
        """From the smallest to the largest number that is shown."""
        shown = [*self.dots, self.mean, *self.interval, *(self.band or ()), *(self.rounded or ()), self.line]
        return Interval(min(shown), max(shown))


def strips(verdicts: "list[Verdict]") -> list[Strip]:
    """Return a strip chart for each verdict that rests on runs."""
    return [_strip(it) for it in verdicts if it.evidence.estimate and not it.claim.measure.exact]


def _strip(verdict):
    claim, it, scale = verdict.claim, verdict.evidence, verdict.claim.measure.scale
    numbered = claim.number is not None

    def scaled(interval):
        return Interval(*(scale * end for end in interval))

    id = claim.experiments[0]
    return Strip(
        verdict,
        axis=it.shown.axis,
        experiment=id,
        dots=scale * it.measured[id] if numbered or len(claim.experiments) == 1 else np.array([]),
        mean=scale * it.estimate.value,
        interval=scaled(it.estimate[1:3]),
        band=scaled(it.prediction) if numbered else None,
        rounded=scaled(claim.interval) if numbered else None,
        line=scale * (claim.number if numbered else claim.margin if it.best else 0),
    )
