"""Intervals and tests over seeds, held against scipy, statsmodels, and simulations whose truth is known."""

import warnings
from math import inf, isnan

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from labhelpers.study import statistics
from labhelpers.study.statistics import Interval

RUNS = {
    "ten runs": np.random.default_rng(0).normal(0.6, 0.006, 10),
    "three runs": np.array([0.611, 0.604, 0.62]),
    "two runs": np.array([0.02, -0.01]),
}


@pytest.fixture(autouse=True)
def silent():
    """No warning is swallowed on the way to an interval."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(params=RUNS.values(), ids=RUNS.keys())
def runs(request):
    return request.param


# Means


def test_mean_is_scipys_t_interval_and_test(runs):
    estimate, test = statistics.mean(runs), stats.ttest_1samp(runs, 0)
    assert estimate[:3] == pytest.approx((runs.mean(), *test.confidence_interval(0.95)))
    assert estimate.p == pytest.approx(test.pvalue)


def test_variance_of_the_images_widens_the_interval_by_hand():
    # s^2/n = 0.0001/4, images 0.000075: together 0.0001; degrees of freedom 3 * (0.0001/0.000025)^2 = 48
    values = 0.5 + np.array([-1, -1, 1, 1]) * 0.01 * np.sqrt(3 / 4)
    estimate = statistics.mean(values, image_variance=0.000075)
    reach = stats.t.ppf(0.975, 48) * 0.01
    assert estimate[:3] == pytest.approx((0.5, 0.5 - reach, 0.5 + reach))
    assert estimate.p == pytest.approx(2 * stats.t.sf(50, 48))


def test_seeds_that_agree_leave_the_variance_of_the_images():
    estimate = statistics.mean([0.6] * 5, image_variance=0.24 / 10_000)
    assert estimate[1:3] == pytest.approx(stats.norm.interval(0.95, 0.6, np.sqrt(0.24 / 10_000)))


# Differences


@pytest.mark.parametrize("n, m, null", [(10, 10, 0.0), (10, 3, 0.01), (2, 5, 0.01)])
def test_difference_is_scipys_welch(n, m, null):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.63, 0.004, n), rng.normal(0.61, 0.009, m)
    estimate = statistics.difference(first, second, null)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert estimate[:3] == pytest.approx((first.mean() - second.mean(), *expected))
    assert estimate.p == pytest.approx(stats.ttest_ind(first - null, second, equal_var=False).pvalue)


def test_difference_from_runs_that_agree_has_the_freedom_of_the_others():
    second = np.array([0.6, 0.61, 0.62])
    estimate = statistics.difference([0.63] * 5, second)
    low, high = stats.t.interval(0.95, 2, 0.02, stats.sem(second))
    assert estimate[1:3] == pytest.approx((low, high))


# One further run


def test_prediction_interval_is_statsmodels_prediction_for_a_constant(runs):
    from statsmodels.regression.linear_model import OLS

    frame = OLS(runs, np.ones(len(runs))).fit().get_prediction([[1.0]]).summary_frame(alpha=0.05)
    expected = frame[["obs_ci_lower", "obs_ci_upper"]].iloc[0]
    assert statistics.prediction_interval(runs) == pytest.approx(tuple(expected))


def test_chance_of_reaching_an_end_of_the_prediction_interval_is_one_in_forty(runs):
    for end in statistics.prediction_interval(runs):
        assert statistics.chance_of_reaching(runs, end) == pytest.approx(0.025)
    assert statistics.chance_of_reaching(runs, runs.mean()) == pytest.approx(0.5)


# What little tells little


@pytest.mark.parametrize("values", [[], [0.6]])
def test_fewer_than_two_runs_tell_nothing(values):
    for estimate in (
        statistics.mean(values),
        statistics.mean(values, image_variance=1e-4),
        statistics.difference(values, [0.5, 0.6, 0.7]),
        statistics.difference([0.5, 0.6, 0.7], values),
    ):
        assert estimate[1:3] == (-inf, inf) and isnan(estimate.p)
        assert isnan(estimate.value) == (not values)
    assert statistics.prediction_interval(values) == (-inf, inf)
    assert isnan(statistics.chance_of_reaching(values, 0.6))


@pytest.mark.parametrize("value, n", [(0.0, 2), (0.1, 3), (0.6, 10), (1 / 3, 7)])
def test_runs_that_agree_leave_no_doubt(value, n):
    values = [value] * n
    assert statistics.mean(values)[:3] == pytest.approx((value, value, value))
    assert statistics.mean(values).p == (value == 0)
    assert statistics.difference(values, values) == (0, 0, 0, 1)
    assert statistics.difference([value + 1] * n, values).p == 0
    assert statistics.prediction_interval(values) == pytest.approx((value, value))
    assert statistics.chance_of_reaching([0.5] * n, 0.5) == 1
    assert statistics.chance_of_reaching([0.5] * n, 0.6) == 0


# Families and distances


@pytest.mark.parametrize("n", [0, 1, 2, 5, 30])
def test_holm_is_statsmodels(n):
    rng = np.random.default_rng(n)
    p = rng.random(n) ** 3
    p[: n // 3] = p[:1]  # ties
    expected = multipletests(p, method="holm")[1] if n else []
    np.testing.assert_allclose(statistics.holm(p), expected)


@pytest.mark.parametrize(
    "one, other, expected", [((0, 1), (2, 3), 1), ((0, 1), (1, 3), 0), ((0, 5), (1, 2), 0), ((-inf, inf), (1, 1), 0)]
)
def test_distance_of_intervals(one, other, expected):
    assert statistics.distance(Interval(*one), Interval(*other)) == expected
    assert statistics.distance(Interval(*other), Interval(*one)) == expected


# Coverage: in 95 % of cases the interval holds the truth

TIMES = 2_000


def _holds(share):
    """Whether a share of `TIMES` is one that 95 % may give, at a level of 0.1 %."""
    low, high = stats.binom.interval(0.999, TIMES, 0.95) / np.array(TIMES)
    return low <= share <= high


@pytest.mark.parametrize("n", [3, 10])
def test_intervals_cover_the_truth(n):
    rng = np.random.default_rng(n)
    covered = {"mean": [], "further run": [], "difference": []}
    for _ in range(TIMES):
        *known, further = rng.normal(0.63, 0.004, n + 1)
        others = rng.normal(0.61, 0.008, 5)
        _, low, high, _ = statistics.mean(known)
        covered["mean"].append(low < 0.63 < high)
        low, high = statistics.prediction_interval(known)
        covered["further run"].append(low < further < high)
        _, low, high, _ = statistics.difference(known, others)
        covered["difference"].append(low < 0.02 < high)
    assert {name: _holds(np.mean(held)) for name, held in covered.items()} == dict.fromkeys(covered, True)


def test_mean_covers_what_holds_for_new_images():
    """Each run has a skill, each test image a difficulty, and a run is right on what is easier than its skill."""
    rng = np.random.default_rng(0)
    runs, images = 5, 1_000
    with_images, without = [], []
    for _ in range(TIMES):
        difficulties = np.sort(rng.random(images))
        accuracies = np.searchsorted(difficulties, rng.normal(0.6, 0.01, runs)) / images
        variance = accuracies.mean() * (1 - accuracies.mean()) / images
        for held, image_variance in ((with_images, variance), (without, 0)):
            estimate = statistics.mean(accuracies, image_variance)
            held.append(estimate.low < 0.6 < estimate.high)
    assert _holds(np.mean(with_images))
    assert np.mean(without) < 0.85  # seeds alone say nothing about the choice of images


def test_holm_errs_once_in_twenty_families_at_most():
    rng = np.random.default_rng(0)
    wrong = [statistics.holm(rng.random(8)).min() < 0.05 for _ in range(TIMES)]
    assert np.mean(wrong) < stats.binom.ppf(0.999, TIMES, 0.05) / TIMES
