"""Runs are compared with recorded ones: against references, on simulated runs, and on the records of the study."""

import numpy as np
import pytest
from made_up import record
from scipy import stats

from labhelpers.study import records, spread
from labhelpers.study.experiments import experiment


@pytest.fixture(autouse=True)
def few_simulations(monkeypatch):
    """A coarse limit will do."""
    monkeypatch.setattr(spread, "SIMULATED", 500)


def simulated(random, n, shift=0.0):
    """Return runs with correlated numbers around fixed means, and matrices around one matrix."""
    means, variances = [1.2, 1.15, 1.1, 1.0, 0.6, 1.15], np.diag([1, 1, 2, 3, 0.5, 1]) * 1e-4
    numbers = random.multivariate_normal(means, variances + 5e-5, n)
    shares = np.full((10, 10), 0.04) + 0.6 * np.eye(10)
    rows = random.gamma(60 * shares, size=(n, 10, 10))
    matrices = np.array([[random.multinomial(1_000, row / row.sum()) for row in matrix] for matrix in rows])
    return spread.Runs(numbers + shift, matrices.astype(float), numbers[:, None, :2])


def parts(runs, rows):
    return spread.Runs(*(part[rows] for part in runs))


def test_what_is_compared_of_a_run():
    of = record("baseline-20000", accuracy=0.61, loss=1.17, val_loss=1.05)
    of.history.update(loss=np.linspace(2, 1, 10), val_loss=np.linspace(2.05, 1.05, 10))
    compared = spread.runs([(of, of)])
    assert compared.numbers == pytest.approx(np.array([[1.5, 1.55, 1.05, 1.0, 0.61, 1.17]]))
    assert (compared.matrices == of.confusion_matrix).all()
    assert compared.curves.shape == (1, 2, 10) and compared.curves[0, 0] == pytest.approx(np.linspace(2, 1, 10))


def test_p_values_are_those_of_the_references():
    random = np.random.default_rng(1)
    recorded, one = simulated(random, 20), simulated(random, 1, shift=0.02)
    found = spread.compare(one, recorded)
    for at, name in enumerate(spread.NUMBERS):
        values = recorded.numbers[:, at]
        score = (one.numbers[0, at] - values.mean()) / (values.std(ddof=1) * np.sqrt(1 + 1 / 20))
        assert found.p[name] == pytest.approx(2 * stats.t.sf(abs(score), 19))
    gap = one.numbers[0] - recorded.numbers.mean(axis=0)
    squared = gap @ np.linalg.inv(np.cov(recorded.numbers.T)) @ gap / (1 + 1 / 20)
    assert found.p["losses and accuracy together"] == pytest.approx(stats.f.sf(squared * 14 / (6 * 19), 6, 14))
    # Each recorded run is compared with the mean of the others.
    for name, of in (
        ("class accuracies", lambda m: np.diagonal(m, axis1=1, axis2=2)),
        ("confusion matrix", lambda m: m),
    ):
        held, mean = of(recorded.matrices), of(recorded.matrices).mean(axis=0)
        others = [
            np.log((((held[run] - np.delete(held, run, 0).mean(axis=0)) ** 2) / (mean + 1)).sum()) for run in range(20)
        ]
        distance = np.log(((of(one.matrices)[0] - mean) ** 2 / (mean + 1)).sum())
        score = (distance - np.mean(others)) / (np.std(others, ddof=1) * np.sqrt(1 + 1 / 20))
        assert found.p[name] == pytest.approx(stats.t.sf(score, 19))


def test_the_value_is_within_its_limits_if_and_only_if_p_is_above_the_limit():
    random = np.random.default_rng(2)
    recorded, shifts = simulated(random, 20), np.linspace(0, 0.12, 25)
    limits = spread.limits_of(recorded)
    found = [spread.compare(simulated(random, 1, shift), recorded, limits) for shift in shifts]
    assert {one.inside for one in found} == {True, False}
    for one in found:
        assert one.inside == (one.p[one.furthest] >= one.limits[one.furthest]) == (one.low <= one.value <= one.high)
        assert one.p[one.furthest] / one.limits[one.furthest] == min(one.p[test] / one.limits[test] for test in one.p)


def test_each_test_can_be_the_one_that_finds_something():
    random = np.random.default_rng(3)
    recorded, ordinary = simulated(random, 20), simulated(random, 1)
    assert spread.compare(ordinary, recorded).inside
    for at, name in enumerate(spread.NUMBERS):
        numbers = ordinary.numbers.copy()
        numbers[0, at] += 1
        p = spread.compare(ordinary._replace(numbers=numbers), recorded).p
        assert [other for other in spread.NUMBERS if p[other] < 1e-6] == [name]
    left_out = ordinary.matrices.copy()
    left_out[0, 3] = np.roll(left_out[0, 3], 1)
    found = spread.compare(ordinary._replace(matrices=left_out), recorded)
    assert not found.inside and found.furthest in spread.DISTANCES


def test_few_ordinary_runs_are_beyond_the_limit():
    random = np.random.default_rng(4)
    outside = 0
    for _ in range(8):
        recorded = simulated(random, 15)
        limits = spread.limits_of(recorded)
        outside += sum(not spread.compare(simulated(random, 1), recorded, limits).inside for _ in range(5))
    assert outside <= 3  # 0.2 expected


def test_single_epochs_and_cells_are_counted():
    random = np.random.default_rng(5)
    recorded = simulated(random, 20)
    one = parts(recorded, slice(0, 1))
    one.curves[0, 0] += 10
    one.matrices[0, 0, :3] += 500
    found = spread.compare(one, parts(recorded, slice(1, None)))
    assert found.epochs == (2, 2)
    assert found.cells[0] >= 3 and found.cells[1] == 100


def recorded_runs(id):
    return spread.runs((one, one) for one in records.read_all(experiment(id), experiment(id).all_seeds)[0])


@pytest.mark.parametrize("id", ["baseline-20000", "deeper-40000"])
def test_few_recorded_runs_are_outside_the_others(id, monkeypatch):
    monkeypatch.setattr(spread, "SIMULATED", 5_000)
    held = recorded_runs(id)
    limits, n = spread.limits_of(held), len(held.numbers)
    outside = [
        not spread.compare(parts(held, [run]), parts(held, [at for at in range(n) if at != run]), limits).inside
        for run in range(n)
    ]
    assert sum(outside) <= 1  # 0.15 expected


def test_another_learning_rate_is_outside(monkeypatch):
    monkeypatch.setattr(spread, "SIMULATED", 5_000)
    recorded, others = recorded_runs("deeper-40000"), recorded_runs("deeper-40000-adam-3e-3")
    limits = spread.limits_of(recorded)
    assert not any(spread.compare(parts(others, [run]), recorded, limits).inside for run in range(len(others.numbers)))


def test_each_test_has_its_share_of_the_false_alarms(monkeypatch):
    monkeypatch.setattr(spread, "SIMULATED", 10_000)
    recorded = recorded_runs("baseline-20000")
    limits = spread.limits_of(recorded)
    assert (limits > 1e-5).all() and (limits < 0.005).all()
    # The seven tests whose distribution is known give p values that are uniform: their limits are alike.
    known = [at for at, test in enumerate(spread.TESTS) if test not in spread.DISTANCES]
    assert limits[known].max() < 3 * limits[known].min()
