"""Intervals and tests for a few runs that differ by their seeds and share their test images."""

from math import inf, nan, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # of scipy.stats.t, which takes a second to import

from labhelpers.evaluation import CONFIDENCE

LEVEL = 1 - CONFIDENCE  # below which a p value counts
FEWEST = 5  # runs of an experiment to judge by: a prediction interval from fewer would hold almost any number


class Interval(NamedTuple):
    """Both ends; infinite where fewer than two runs tell nothing."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A mean or a difference: its value, both ends of its 95 % interval, and the two-sided p of the null value."""

    value: float
    low: float
    high: float
    p: float


def mean(values, image_variance: float = 0.0) -> Estimate:
    """Estimate a mean over seeds by Student's t; p is that of the mean being 0.

    Args:
        values: one a run, (n,).
        image_variance: variance that the mean owes to the choice of the test images. It is 0 for a claim about these
            images; for one about new images it widens the interval, with Satterthwaite's degrees of freedom.

    Returns:
        With fewer than two runs an endless interval and no p (nan).
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return _unknown(values.mean() if len(values) else nan)
    return _estimate(values.mean(), [_variance_of_mean(values), (image_variance, inf)])


def difference(first, second, null: float = 0.0) -> Estimate:
    """Estimate how much larger the mean of the first runs is, by Welch's test; p is that of its being `null`.

    Args:
        first, second: one a run, (n,) and (m,), with variances of their own.
        null: what the difference is tested against; the interval does not depend on it.

    Returns:
        With fewer than two runs on a side an endless interval and no p (nan).
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if min(len(first), len(second)) < 2:
        return _unknown(first.mean() - second.mean() if len(first) and len(second) else nan)
    return _estimate(
        first.mean() - second.mean(), [_variance_of_mean(first), _variance_of_mean(second)], null
    )


def paired_difference(first, second) -> Estimate:
    """Estimate how much larger the first of each pair is, by Student's t; p is that of the difference being 0.

    Args:
        first, second: one a run, (n,), in the same order: two runs of a pair share their seed and part of their training.
    """
    return mean(np.subtract(first, second, dtype=float))


def prediction_interval(values) -> Interval:
    """Return where one further run falls in 95 % of cases, on the same test images: mean ± t s sqrt(1 + 1/n)."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return Interval(-inf, inf)
    reach = _quantile(len(values) - 1) * _spread_of_a_further_run(values)
    return Interval(float(values.mean()) - reach, float(values.mean()) + reach)


def chance_of_reaching(values, number: float) -> float:
    """Return the probability that one further run gets as far from the mean as `number`, on its side; 0 to 1.

    Fewer than two runs tell nothing: nan.
    """
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


def _estimate(value, variances, null=0.0):
    """Estimate from variances that add up, each with its degrees of freedom (Satterthwaite 1946)."""
    value, variance = float(value), sum(part for part, _ in variances)
    if variance == 0:
        return Estimate(value, value, value, float(value == null))
    uncertainty = sum(part**2 / freedom for part, freedom in variances)
    freedom = variance**2 / uncertainty if uncertainty else inf
    error = sqrt(variance)
    reach = _quantile(freedom) * error
    return Estimate(
        value, value - reach, value + reach, float(2 * stdtr(freedom, -abs(value - null) / error))
    )


def _quantile(freedom):
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _unknown(value):
    return Estimate(float(value), -inf, inf, nan)


def _variance_of_mean(values):
    return _variance(values) / len(values), len(values) - 1


def _variance(values):
    # The mean of equal numbers may differ from them in the last bit, and then their variance is not quite 0.
    return 0.0 if np.ptp(values) == 0 else float(values.var(ddof=1))


def _spread_of_a_further_run(values):
    return sqrt(_variance(values) * (1 + 1 / len(values)))
