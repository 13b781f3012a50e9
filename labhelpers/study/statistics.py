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
    """A mean or a difference, both ends of its 95 % interval, and the two-sided p of the null value.

    With fewer than two runs the interval is infinite, and p is nan.
    """

    value: float
    low: float
    high: float
    p: float


def mean(values, image_variance: float = 0.0) -> Estimate:
    """Estimate a mean over seeds by Student's t; p is that of the mean being 0.

    Args:
        values: a number for each run, (n,).
        image_variance: variance of the mean that comes from the choice of test images. It is 0 for a claim about
            these images; for a claim about new ones it widens the interval.
    """
    return _estimate([values], 0.0, image_variance)


def difference(first, second, null: float = 0.0) -> Estimate:
    """Estimate how much larger the mean of the first runs is, by Welch's test; p is that of its being `null`."""
    return _estimate([first, second], null)


def _estimate(samples, null, image_variance=0.0):
    """Add up variances, each with its degrees of freedom (Satterthwaite 1946), of one mean or of two."""
    samples = [np.asarray(values, float) for values in samples]
    means = [float(values.mean()) if len(values) else nan for values in samples]
    value = means[0] - sum(means[1:])
    if min(map(len, samples)) < 2:
        return Estimate(value, -inf, inf, nan)
    variances = [(_variance(values) / len(values), len(values) - 1) for values in samples]
    variances.append((image_variance, inf))
    variance = sum(part for part, _ in variances)
    if variance == 0:
        return Estimate(value, value, value, float(value == null))
    uncertainty = sum(part**2 / freedom for part, freedom in variances)
    freedom = variance**2 / uncertainty if uncertainty else inf
    error = sqrt(variance)
    reach = _quantile(freedom) * error
    p = float(2 * stdtr(freedom, -abs(value - null) / error))
    return Estimate(value, value - reach, value + reach, p)


def prediction_interval(values) -> Interval:
    """Return where one further run falls in 95 % of cases, on the same test images: mean ± t s sqrt(1 + 1/n)."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return Interval(-inf, inf)
    reach = _quantile(len(values) - 1) * _spread_of_a_further_run(values)
    return Interval(float(values.mean()) - reach, float(values.mean()) + reach)


def chance_of_reaching(values, number: float) -> float:
    """Return the probability that one further run gets as far from the mean as `number`, on its side; nan without two."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return nan
    distance, spread = abs(number - values.mean()), _spread_of_a_further_run(values)
    if spread == 0:
        return float(distance == 0)
    return float(stdtr(len(values) - 1, -distance / spread))


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
