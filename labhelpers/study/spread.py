"""How far a run is from the recorded runs of its experiment, and how far is too far.

Nine tests compare them: six numbers of a run, each by itself and all together, and two distances between its confusion
matrix and the mean one. Each gives a p value. Among nine, one is small by chance now and then, so each has a limit that
comes from simulated runs: all limits together are passed by chance in few reports.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc, fdtri, stdtr, stdtrit

from labhelpers.study.statistics import LEVEL

FALSE_ALARMS = 0.02  # the share of reports with nothing wrong in which some network is found to be outside
NETWORKS_PER_REPORT = 4  # the most that are trained in one: one each by notebooks 02 and 04, two by 03
SIMULATED = 10_000  # studies, to set the limits
FEWEST = 10  # recorded runs to compare with
NUMBERS = [
    "mean training loss",
    "mean validation loss",
    "smallest validation loss",
    "last training loss",
    "test accuracy",
    "test loss",
]
DISTANCES = ["class accuracies", "confusion matrix"]
TESTS = [*NUMBERS, *DISTANCES, "losses and accuracy together"]


class Runs(NamedTuple):
    """What is compared of n runs, float64."""

    numbers: np.ndarray  # (n, 6), in the order of `NUMBERS`
    matrices: np.ndarray  # (n, 10, 10), confusion matrices, in images
    curves: np.ndarray  # (n, 2, epochs), training and validation losses


class Result(NamedTuple):
    """How one run compares with recorded ones."""

    p: dict[str, float]  # by test
    limits: dict[str, float]  # a smaller p value is outside
    furthest: str  # the test whose p value is smallest in proportion to its limit
    value: float  # of the run in that test: a number, or a distance, which is about 1 for a recorded run
    low: float  # within these two it would be inside; a distance has no lower limit, so its `low` is 0
    high: float
    epochs: tuple[int, int]  # losses of single epochs that are outside their own 95 % interval, and of how many
    cells: tuple[int, int]  # the same of the confusion matrix

    @property
    def inside(self) -> bool:
        """Whether no p value is below its limit."""
        return self.p[self.furthest] >= self.limits[self.furthest]


def runs(pairs: Iterable) -> Runs:
    """Collect what is compared from a `training.History` and an `evaluation.Evaluation` of each run.

    A `records.Record` has the attributes of both, so it can be given as either.
    """
    numbers, matrices, curves = [], [], []
    for trained, tested in pairs:
        losses, val_losses = trained.history["loss"], trained.history["val_loss"]
        means = np.mean(losses), np.mean(val_losses)
        numbers.append([*means, np.min(val_losses), losses[-1], tested.accuracy, tested.loss])
        matrices.append(tested.confusion_matrix)
        curves.append([losses, val_losses])
    return Runs(np.array(numbers, float), np.array(matrices, float), np.array(curves, float))


def compare(one: Runs, recorded: Runs, limits: np.ndarray | None = None) -> Result:
    """Compare one run with recorded ones, at least `FEWEST`; `limits` are those of `limits_of`, unless given."""
    n, limits = len(recorded.numbers), limits_of(recorded) if limits is None else limits
    p, values, centers, spreads = (part[0] for part in _tests(one, Runs(*(part[None] for part in recorded))))
    furthest = int((p / limits).argmin())
    limit, value, center, spread = (part[furthest] for part in (limits, values, centers, spreads))
    if TESTS[furthest] in NUMBERS:
        reach = -stdtrit(n - 1, limit / 2) * spread
        low, high = center - reach, center + reach
    elif TESTS[furthest] in DISTANCES:  # the logarithm of a squared distance
        value, low, high = np.exp((value - center) / 2), 0.0, np.exp(-stdtrit(n - 1, limit) * spread / 2)
    else:  # the square of one
        value, low, high = np.sqrt(value), 0.0, np.sqrt(fdtri(len(NUMBERS), n - len(NUMBERS), 1 - limit))
    return Result(
        p=dict(zip(TESTS, p.tolist(), strict=True)),
        limits=dict(zip(TESTS, limits.tolist(), strict=True)),
        furthest=TESTS[furthest],
        value=float(value),
        low=float(low),
        high=float(high),
        epochs=_outside(one.curves[0], recorded.curves),
        cells=_outside(one.matrices[0], recorded.matrices),
    )


def _tests(one, recorded):
    """Test each of m runs, `one`, against n recorded ones of its own: `recorded` is m times n.

    Returns:
        p values, values, what is typical of recorded runs, and the standard deviation of a further run; each (m, 9).
    """
    n, k = recorded.numbers.shape[1:]
    values, held = [one.numbers], [recorded.numbers]
    for of in (lambda matrices: np.diagonal(matrices, axis1=-2, axis2=-1), lambda matrices: matrices):
        before, now = (of(part.matrices).reshape(*part.matrices.shape[:-2], -1) for part in (recorded, one))
        mean = before.mean(axis=1, keepdims=True)
        # A recorded run is compared with the others: without it, the mean is n / (n - 1) times as far away. The variance
        # of a number of images grows with it; 1 is added because some cells are empty in all recorded runs.
        others = (((before - mean) * n / (n - 1)) ** 2 / (mean + 1)).sum(axis=-1, keepdims=True)
        distance = ((now - mean[:, 0]) ** 2 / (mean[:, 0] + 1)).sum(axis=-1, keepdims=True)
        values.append(np.log(distance + 1e-9))
        held.append(np.log(others + 1e-9))
    value, samples = np.concatenate(values, axis=-1), np.concatenate(held, axis=-1)
    center, spread = samples.mean(axis=1), samples.std(axis=1, ddof=1) * np.sqrt(1 + 1 / n)
    scores = (value - center) / spread
    # No distance is too small, so those are tested on one side.
    p = np.where(np.arange(k + 2) < k, 2 * stdtr(n - 1, -np.abs(scores)), stdtr(n - 1, -scores))
    # All numbers together: Hotelling's T squared, as an F statistic.
    gaps = scores[:, :k, None]
    residuals = (recorded.numbers - center[:, None, :k]) / spread[:, None, :k]
    covariances = residuals.transpose(0, 2, 1) @ residuals / (n - 1) * (1 + 1 / n)
    squared = (gaps * np.linalg.solve(covariances, gaps)).sum(axis=(1, 2))
    together = (squared * (n - k) / (k * (n - 1)))[:, None]
    ones = np.ones_like(together)
    columns = (p, fdtrc(k, n - k, together)), (value, together), (center, ones), (spread, ones)
    return tuple(np.concatenate(pair, axis=1) for pair in columns)


def limits_of(recorded: Runs) -> np.ndarray:
    """Return a limit for each p value, in the order of `TESTS`: each test is as likely to pass its own (bootstrap).

    A simulated study has as many recorded runs as there are, and one more. The six numbers come from a normal
    distribution with the covariances of the recorded ones. Each cell of a matrix comes from a gamma distribution with
    the mean and the variance of the recorded ones (at least Poisson's); each row is then scaled to the images of its class.
    """
    random = np.random.default_rng(0)
    n, center, covariances = len(recorded.numbers), recorded.numbers.mean(axis=0), np.cov(recorded.numbers.T)
    mean = recorded.matrices.mean(axis=0) + 0.01
    scale = np.maximum(recorded.matrices.var(axis=0, ddof=1) / mean, 1)
    images = mean.sum(axis=-1, keepdims=True)
    simulated = []
    for _ in range(SIMULATED // 500):
        numbers = random.multivariate_normal(center, covariances, (500, n + 1))
        cells = scale * random.standard_gamma(mean / scale, (500, n + 1, *mean.shape))
        drawn = Runs(numbers, images * cells / cells.sum(axis=-1, keepdims=True), numbers)
        p, *_ = _tests(Runs(*(part[:, 0] for part in drawn)), Runs(*(part[:, 1:] for part in drawn)))
        simulated.append(p)
    p = np.concatenate(simulated)
    # In each simulated study, the rank of the p value that is rarest among those of the same test; the limits are where few
    # studies have one so rare.
    rarest = p.argsort(axis=0).argsort(axis=0).min(axis=1)
    rank = int(np.quantile(rarest, 1 - (1 - FALSE_ALARMS) ** (1 / NETWORKS_PER_REPORT)))
    return np.sort(p, axis=0)[rank]


def _outside(value, recorded):
    """Count the numbers of a run that are outside the 95 % prediction intervals of the same ones in recorded runs."""
    n = len(recorded)
    reach = -stdtrit(n - 1, LEVEL / 2) * recorded.std(axis=0, ddof=1) * np.sqrt(1 + 1 / n)
    return int((np.abs(value - recorded.mean(axis=0)) > reach).sum()), value.size
