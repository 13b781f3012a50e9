"""The verdicts once more, computed from the JSON files alone: with NumPy and SciPy, and nothing of the library.

`python tests/test_reanalysis.py` prints the table. The rules are written out again from the words in
labhelpers/study/verdicts.py; that the two agree is what the test is about.
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

RUNS = Path(__file__).parents[1] / "data" / "runs"
VEHICLES, ANIMALS, CAR = [0, 1, 8, 9], [2, 3, 4, 5, 6, 7], 1
BASE, LARGER, DEEPER, SHORTER = "baseline-20000", "baseline-40000", "deeper-40000", "deeper-40000-10-epochs"
RATES = [f"deeper-40000-adam-{rate}" for rate in ("1e-4", "3e-4", "3e-3", "1e-2")]


def records(name, fresh=True):
    """Return an experiment's records by seed: the fresh ones, if there are some, or else the first ones."""
    found = {int(path.stem.rpartition("-seed")[2]): path for path in RUNS.glob(f"{name}-seed*.json")}
    seeds = sorted(seed for seed in found if (seed >= 10) == fresh) or sorted(found)
    return {seed: json.loads(found[seed].read_text(encoding="utf-8")) for seed in seeds}


def of_runs(name, number):
    return np.array([number(record) for record in records(name).values()])


def accuracy(record):
    return record["test"]["best"]["accuracy"]


def shares(record):
    matrix = np.array(record["test"]["confusion_matrix"])
    return matrix, matrix.diagonal() / matrix.sum(axis=1)


def animals(record):
    matrix, _ = shares(record)
    wrong = matrix[ANIMALS] - np.eye(10, dtype=int)[ANIMALS] * matrix[ANIMALS]
    share = wrong[:, ANIMALS].sum() / wrong.sum()
    return share - 5 / 9, share * (1 - share) / wrong.sum()


def vehicles(record):
    _, right = shares(record)
    first, second = right[VEHICLES].mean(), right[ANIMALS].mean()
    return first - second, first * (1 - first) / 4_000 + second * (1 - second) / 6_000


def cars(record):
    _, right = shares(record)
    best = np.delete(right, CAR).max()
    return right[CAR] - best, (right[CAR] * (1 - right[CAR]) + best * (1 - best)) / 1_000


def interval(value, error, freedom):
    if error == 0:  # runs that are all equal leave no doubt
        return value, value, value, lambda null: float(value == null)
    reach = stats.t.ppf(0.975, freedom) * error
    return value, value - reach, value + reach, lambda null: 2 * stats.t.sf(abs(value - null) / error, freedom)


def one_sample(values, image_variance=0.0):
    seeds = values.var(ddof=1) / len(values)
    variance = seeds + image_variance
    if seeds == 0:
        return interval(values.mean(), np.sqrt(variance), np.inf)
    return interval(values.mean(), np.sqrt(variance), (len(values) - 1) * (variance / seeds) ** 2)


def welch(first, second):
    parts = [values.var(ddof=1) / len(values) for values in (first, second)]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    return interval(first.mean() - second.mean(), np.sqrt(sum(parts)), freedom)


def number(values, original, rounding, margin):
    """Judge a number by itself: the outcome (or None: its difference decides), q, and how many runs reach it."""
    low, high = original - rounding, original + rounding
    spread, above = values.std(ddof=1) * np.sqrt(1 + 1 / len(values)), original >= values.mean()
    one_more = stats.t(len(values) - 1, values.mean(), spread)
    q = one_more.sf(low) if above else one_more.cdf(high)
    reached = (values >= low).sum() if above else (values <= high).sum()
    if q >= 0.025:
        return "reproduced" if q >= 0.10 else "at the edge", q, reached
    end = one_more.ppf(0.975) if above else one_more.ppf(0.025)
    missed = low - end if above else end - high
    return "refuted" if missed > margin else None, q, reached


def difference(estimate, margin, nothing_better=False):
    """Judge a difference by its interval; returns the outcome and the p, not yet adjusted, of the test that decides."""
    value, low, high, p = estimate
    if nothing_better:
        outcome = "refuted" if low > margin else "reproduced" if high < margin else "undecided"
        return outcome, p(margin)
    if -margin < low and high < margin:
        return "refuted", p(np.copysign(margin, value))
    if high < -margin:
        return "refuted", p(-margin)
    return "reproduced" if low > 0 else "undecided", p(0)


def holm(p):
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        largest = max(largest, min(1.0, p[name] * (len(p) - rank)))
        adjusted[name] = largest
    return adjusted


def table(further=()):
    """Return for each claim its outcome, our estimate, q and the adjusted p; those that it doesn't have are None.

    `further` are p values of further claims, not yet adjusted, by name: the adjustment counts them.
    """
    first = next(iter(records(BASE).values()))
    data = first["data"]
    height, width, _ = data["image_shape"]
    sizes = data["train_images_per_class"]
    facts = {
        "D1": (len(sizes), len(sizes) == 10),
        "D2": (height, height == width == 30),
        "D3": (sum(sizes), sum(sizes) == 50_000 and len(set(sizes)) == 1),
    }
    parameters = [next(iter(records(name).values()))["network"]["parameters"] for name in (DEEPER, LARGER)]
    facts["A1 complexity"] = (parameters[0] / parameters[1], parameters[0] > parameters[1])
    rows = {name: ("reproduced" if holds else "refuted", value, None, None) for name, (value, holds) in facts.items()}
    rows |= dict.fromkeys(("B1", "B2"), ("not testable", None, None, None))

    results = {name: of_runs(name, accuracy) for name in (BASE, LARGER, DEEPER)}
    losses = of_runs(BASE, lambda record: record["test"]["best"]["loss"])
    numbers = {
        "B3 accuracy": (results[BASE], *number(results[BASE], 0.60, 0.005, 0.01)),
        "B3 loss": (losses, *number(losses, 1.18, 0.005, 0.03)),
        "L1": (results[LARGER], *number(results[LARGER], 0.65, 0.005, 0.01)),
        "A2": (results[DEEPER], *number(results[DEEPER], 0.67, 0.005, 0.01)),
    }

    estimates, margins = {}, {"B4 animals": 0.05, "B4 vehicles": 0.01, "B4 cars": 0.01}
    for name, measure in (("B4 animals", animals), ("B4 vehicles", vehicles), ("B4 cars", cars)):
        values, variances = of_runs(BASE, measure).T
        estimates[name] = one_sample(values, variances.mean())
    longer, shorter = records(DEEPER), records(SHORTER)
    gaps = [accuracy(longer[seed]) - accuracy(shorter[seed]) for seed in longer if seed in shorter]
    estimates["A1 epochs"] = one_sample(np.array(gaps))
    for name, others in (("A3a", ["ladder-averaging"]), ("A4", RATES)):
        chosen = min([DEEPER, *others], key=validation_loss)
        estimates[name] = welch(of_runs(chosen, accuracy), results[DEEPER])
    decided = {
        name: difference(estimate, margins.get(name, 0.01), nothing_better=name in ("A3a", "A4"))
        for name, estimate in estimates.items()
    }
    images = [records(name) for name in (DEEPER, "ladder-averaging", f"{DEEPER}-16-pixels")]
    answers = [[accuracy(of[seed]) for of in images] for seed in images[2]]  # the third has the fewest seeds
    rows["A3b"] = ("undecided", None, None, None)
    if len(answers) >= 5:
        gaps = [(better - original) - (original - lowered) for original, better, lowered in answers]
        estimates["A3b"] = one_sample(np.array(gaps))
        low, p_of = estimates["A3b"][1], estimates["A3b"][3]
        decided["A3b"] = "refuted" if low > 0 else "undecided", p_of(0)
    directions = {"L1": welch(results[LARGER], results[BASE]), "A2": welch(results[DEEPER], results[LARGER])}
    p = {name: p for name, (_, p) in decided.items()} | {name: it[3](0) for name, it in directions.items()}
    p = holm(p | dict(further))

    for name, (outcome, _) in decided.items():
        rows[name] = (outcome if p[name] < 0.05 else "undecided", estimates[name][0], None, p[name])
    for name, (values, outcome, q, _) in numbers.items():
        if outcome in (None, "refuted") and name in directions and directions[name][1] > 0 and p[name] < 0.05:
            outcome = "direction reproduced"
        rows[name] = (outcome or "undecided", values.mean(), q, p.get(name))
    return rows


def validation_loss(name):
    """Return the mean over the first runs of the validation loss with the weights that were kept."""
    kept = []
    for record in records(name, fresh=False).values():
        losses = record["history"]["val_loss"]
        kept.append(losses[-1] if record["arm"].get("recipe") else min(losses))
    return np.mean(kept)


def test_the_json_files_alone_give_the_same_verdicts():
    import pytest

    from labhelpers.study import verdicts

    (judged, faults), own = verdicts.verdicts(), table()
    assert not faults and {it.claim.id for it in judged} >= set(own)
    others = [it for it in judged if it.p is not None and it.claim.id not in own]  # added later
    again = table({it.claim.id: it.evidence.difference.p(it.evidence.null) for it in others})
    for it in judged:
        if it.claim.id not in again:
            continue
        outcome, value, q, p = again[it.claim.id]
        assert it.outcome == outcome, it.claim.id
        assert (it.evidence.estimate and it.evidence.estimate.value) == (value and pytest.approx(value))
        assert (it.evidence.q, it.p) == (q and pytest.approx(q), p if p is None else pytest.approx(p))


if __name__ == "__main__":
    for name, (outcome, *values) in sorted(table().items()):
        print(f"{name:14}{outcome:22}", *("" if value is None else f"{value:12.5f}" for value in values))
