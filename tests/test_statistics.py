"""Intervals and tests over seeds, held against SciPy, definitions, and a simulation whose truth is known."""

from itertools import chain, combinations
from math import inf, isnan

import numpy as np
import pytest
from scipy import stats

from labhelpers.study import statistics
from labhelpers.study.statistics import Interval

pytestmark = pytest.mark.filterwarnings("error")
RUNS = [np.random.default_rng(0).normal(0.6, 0.006, 10), np.array([0.611, 0.604, 0.62]), np.array([0.02, -0.01])]


@pytest.mark.parametrize("runs", RUNS, ids=len)
def test_mean_is_scipys_and_one_further_run_varies_more_by_its_own_spread(runs):
    test = stats.ttest_1samp(runs, 0)
    estimate = statistics.mean(runs)
    assert (*estimate[:3], estimate.p()) == pytest.approx((runs.mean(), *test.confidence_interval(), test.pvalue))
    spread = np.hypot(stats.sem(runs), stats.tstd(runs))
    ends = statistics.prediction_interval(runs)
    assert ends == pytest.approx(stats.t.interval(0.95, len(runs) - 1, runs.mean(), spread))
    chances = [statistics.chance_of_reaching(runs, number) for number in (*ends, runs.mean())]
    assert chances == pytest.approx([0.025, 0.025, 0.5])
    # A number with its rounding: the nearer end counts, and where the mean is inside, the further half and more.
    low, high = ends
    assert statistics.chance_of_reaching(runs, low - 1, low) == pytest.approx(0.025)
    assert statistics.chance_of_reaching(runs, high, high + 1) == pytest.approx(0.025)
    assert statistics.chance_of_reaching(runs, low, high + 1) == pytest.approx(0.975)


def test_runs_needed_are_the_first_number_whose_interval_is_short_enough():
    first, second = np.random.default_rng(1).normal(0.6, 0.01, (2, 10))
    spreads = first.std(ddof=1), second.std(ddof=1)

    def reach(n):
        freedom = (spreads[0] ** 2 + spreads[1] ** 2) ** 2 * (n - 1) / (spreads[0] ** 4 + spreads[1] ** 4)
        return stats.t.ppf(0.975, freedom) * np.sqrt((spreads[0] ** 2 + spreads[1] ** 2) / n)

    for n in (2, 7, 40):
        assert statistics.runs_needed([first, second], reach(n) + 1e-12) == n
    assert statistics.runs_needed([first], 0.001, image_variance=0.001**2) == inf, "the images alone reach further"
    assert statistics.runs_needed([first], 1e-6) == inf, "more than anyone would train"


def test_share_of_pairs_in_which_the_first_is_better_is_mann_whitney_s():
    first, second = np.array([3, 1, 4, 1, 5]), np.array([2, 1, 2])
    truth = stats.mannwhitneyu(first, second).statistic / (len(first) * len(second))
    assert statistics.share_better(first, second) == pytest.approx(truth)
    assert statistics.share_better([1, 0, -1, 0]) == (1 + 0.5 + 0 + 0.5) / 4, "of differences"


def test_variance_of_the_images_widens_the_interval_by_hand():
    # s^2/n = 0.0001/4, images 0.000075: together 0.0001; degrees of freedom 3 * (0.0001/0.000025)^2 = 48
    values = 0.5 + np.array([-1, -1, 1, 1]) * 0.01 * np.sqrt(3 / 4)
    low, high = stats.t.interval(0.95, 48, 0.5, 0.01)
    estimate = statistics.mean(values, image_variance=0.000075)
    assert estimate == pytest.approx((0.5, low, high, 0.01, 48)) and estimate.p() == pytest.approx(
        2 * stats.t.sf(50, 48)
    )


@pytest.mark.parametrize("n, m, null", [(10, 10, 0.0), (10, 3, 0.01), (2, 5, 0.01)])
def test_difference_is_scipys_welch(n, m, null):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.63, 0.004, n), rng.normal(0.61, 0.009, m)
    low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    p = stats.ttest_ind(first - null, second, equal_var=False).pvalue
    estimate = statistics.difference(first, second)
    assert (*estimate[:3], estimate.p(null)) == pytest.approx((first.mean() - second.mean(), low, high, p))


def test_runs_that_agree_leave_the_freedom_of_the_others_or_the_variance_of_the_images():
    second = np.array([0.6, 0.61, 0.62])
    estimate = statistics.difference([0.63] * 5, second)
    assert estimate[1:3] == pytest.approx(stats.t.interval(0.95, 2, 0.02, stats.sem(second)))
    estimate = statistics.mean([0.6] * 5, image_variance=0.24 / 10_000)
    assert estimate[1:3] == pytest.approx(stats.norm.interval(0.95, 0.6, np.sqrt(0.24 / 10_000)))


@pytest.mark.parametrize("value, n", [(0.0, 2), (0.1, 3), (0.6, 10), (1 / 3, 7)])
def test_runs_that_agree_leave_no_doubt(value, n):
    values = [value] * n
    assert statistics.mean(values)[:3] == pytest.approx((value, value, value))
    same, more = statistics.difference(values, values), statistics.difference([value + 1] * n, values)
    assert same[:3] == (0, 0, 0) and (same.p(), more.p()) == (1, 0)
    assert statistics.prediction_interval(values) == pytest.approx((value, value))
    assert [statistics.chance_of_reaching([0.5] * n, number) for number in (0.5, 0.6)] == [1, 0]


@pytest.mark.parametrize("values", [[], [0.6]])
def test_fewer_than_two_runs_tell_nothing(values):
    three = [0.5, 0.6, 0.7]
    for estimate in (
        *(statistics.mean(values, image_variance) for image_variance in (0, 1e-4)),
        *(statistics.difference(*pair) for pair in ((values, three), (three, values))),
    ):
        assert estimate[1:3] == (-inf, inf) and isnan(estimate.p()) and isnan(estimate.value) == (not values)
    assert statistics.prediction_interval(values) == (-inf, inf)
    assert isnan(statistics.chance_of_reaching(values, 0.6))


@pytest.mark.parametrize("n", [0, 1, 9])
def test_holm_is_the_closed_test_of_bonferronis(n):
    p = np.random.default_rng(n).random(n) ** 3
    p[: n // 3] = p[:1]  # ties
    # A claim is rejected if Bonferroni's test rejects every set of claims that it belongs to (Marcus et al. 1976).
    sets = [*chain.from_iterable(combinations(range(n), size) for size in range(1, n + 1))]
    expected = [max(min(1, len(one) * p[[*one]].min()) for one in sets if claim in one) for claim in range(n)]
    np.testing.assert_allclose(statistics.holm(p), expected)


@pytest.mark.parametrize(
    "one, other, expected", [((0, 1), (2, 3), 1), ((0, 1), (1, 3), 0), ((0, 5), (1, 2), 0), ((-inf, inf), (1, 1), 0)]
)
def test_distance_of_intervals(one, other, expected):
    one, other = Interval(*one), Interval(*other)
    assert statistics.distance(one, other) == statistics.distance(other, one) == expected


def test_mean_covers_in_95_per_cent_of_cases_what_holds_for_new_images():
    """Each run has a skill, each test image a difficulty, and a run is right on what is easier than its skill."""
    rng, times, images = np.random.default_rng(0), 2_000, 1_000
    covered = []
    for _ in range(times):
        accuracies = np.searchsorted(np.sort(rng.random(images)), rng.normal(0.6, 0.01, 5)) / images
        variance = accuracies.mean() * (1 - accuracies.mean()) / images
        both = statistics.mean(accuracies, variance), statistics.mean(accuracies)
        covered.append([estimate.low < 0.6 < estimate.high for estimate in both])
    with_images, without = np.mean(covered, axis=0)
    low, high = stats.binom.interval(0.999, times, 0.95)
    assert low / times <= with_images <= high / times
    assert without < 0.85, "seeds alone say nothing about the choice of images"
