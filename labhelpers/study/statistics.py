"""Intervals and tests for a few runs that differ by their seeds and share their test images."""

from math import inf, nan, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # of scipy.stats.t, which takes a second to import

from labhelpers.evaluation import CONFIDENCE

LEVEL = 1 - CONFIDENCE  # below which a p value counts
FEWEST = 5  # runs of an experiment to judge by: a prediction interval from fewer would hold almost any number


class Interval(NamedTuple):
    """Both ends; infinite if there are fewer than two runs."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A mean or a difference, both ends of its 95 % interval, and its standard error with its degrees of freedom.

    With fewer than two runs the interval is infinite, and the error nan.
    """

    value: float
    low: float
    high: float
    error: float = 0.0
    freedom: float = inf

    def p(self, null: float = 0.0) -> float:
        """Return the two-sided p value of the hypothesis that the true value is `null`, by Student's t."""
        if self.error == 0:
            return float(self.value == null)
        return float(2 * stdtr(self.freedom, -abs(self.value - null) / self.error))


def mean(values, image_variance: float = 0.0) -> Estimate:
    """Estimate a mean over seeds by Student's t.

    Args:
        values: a number for each run, (n,).
        image_variance: variance of the mean that comes from the choice of test images. It is 0 for a claim about
            these images; for a claim about new ones it widens the interval.
    """
    return _estimate([values], image_variance)


def difference(first, *others) -> Estimate:
    """Estimate how much larger the mean of the first runs is than the sum of the other means, by Welch's method."""
    return _estimate([first, *others])


def _estimate(samples, image_variance=0.0):
    samples = [np.asarray(values, float) for values in samples]
    means = [float(values.mean()) if len(values) else nan for values in samples]
    value = means[0] - sum(means[1:])
    if min(map(len, samples)) < 2:
        return Estimate(value, -inf, inf, nan, nan)
    error, freedom = _error([(_variance(values), len(values)) for values in samples], image_variance)
    reach = _quantile(freedom) * error
    return Estimate(value, value - reach, value + reach, error, freedom)


def _error(parts, image_variance):
    """Add up variances of means, each with its degrees of freedom (Satterthwaite 1946)."""
    variances = [(variance / n, n - 1) for variance, n in parts] + [(image_variance, inf)]
    variance = sum(part for part, _ in variances)
    uncertainty = sum(part**2 / freedom for part, freedom in variances)
    return sqrt(variance), variance**2 / uncertainty if uncertainty else inf


def runs_needed(samples, reach: float, image_variance: float = 0.0) -> float:
    """Return how many runs of each experiment would give an interval that reaches no further than `reach`.

    The spread of the runs is taken to stay as it is in `samples`, the runs of one experiment or of two. Infinite if more
    than 1,000 would be needed, or no number would do because the choice of the test images alone gives a wider one.
    """
    variances = [_variance(np.asarray(values, float)) for values in samples]
    for n in range(2, 1001):
        error, freedom = _error([(variance, n) for variance in variances], image_variance)
        if _quantile(freedom) * error <= reach:
            return n
    return inf


def share_better(first, second=(0.0,)) -> float:
    """Return the share of pairs of runs, one of each, in which the first has the larger number; ties count half.

    Without a second, the share of differences above 0. An estimate of the probability of outperforming (Bouthillier et
    al. 2021, arXiv 2103.03098).
    """
    gaps = np.subtract.outer(np.asarray(first, float), np.asarray(second, float))
    return float(np.mean((gaps > 0) + (gaps == 0) / 2))


def prediction_interval(values) -> Interval:
    """Return where one further run falls in 95 % of cases, on the same test images: mean ± t s sqrt(1 + 1/n)."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return Interval(-inf, inf)
    reach = _quantile(len(values) - 1) * _spread_of_a_further_run(values)
    return Interval(float(values.mean()) - reach, float(values.mean()) + reach)


def chance_of_reaching(values, low: float, high: float | None = None) -> float:
    """Return the probability that one more run is as far from the mean as the numbers from `low` to `high`, or further.

    On the same side of the mean; `high` is `low` unless given. The t distribution behind `prediction_interval` gives it;
    nan with fewer than two runs.
    """
    values, high = np.asarray(values, float), low if high is None else high
    if len(values) < 2:
        return nan
    mean, spread = float(values.mean()), _spread_of_a_further_run(values)
    gap = low - mean if low + high >= 2 * mean else mean - high  # are the numbers above the mean, or below?
    return float(stdtr(len(values) - 1, -gap / spread)) if spread else float(gap <= 0)


def distance(one: Interval, other: Interval) -> float:
    """Return how far apart two intervals lie; 0 where they meet."""
    return max(one.low - other.high, other.low - one.high, 0.0)


def holm(p) -> np.ndarray:
    """Adjust the p values of a family of tests (Holm 1979); float64, in the same order, at most 1."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def _quantile(freedom):
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _variance(values):
    # The mean of equal numbers may differ from them in the last bit, and then their variance is not quite 0.
    return 0.0 if np.ptp(values) == 0 else float(values.var(ddof=1))


def _spread_of_a_further_run(values):
    return sqrt(_variance(values) * (1 + 1 / len(values)))
