"""Further numbers that the records give on a claim, for its reader: they decide nothing.

Each function takes a claim and the records of every experiment by id, and returns numbers by name, which `text` puts
into a sentence.
"""

from collections import Counter

import numpy as np

from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.study import human_labels, improvements, statistics
from labhelpers.study.experiments import EXPERIMENTS, OTHER, experiment


def explanations(claim, records) -> dict:
    """Look for what would give the original's number: other settings of the same network, or a lucky seed.

    Returns:
        `variants`, by what differs: both ends of the prediction interval of one run, and whether the number lies there;
        None with too few runs. `reached`, how many of `runs` get to the number; and `chance`, the probability that one
        further run does, 0 to 1.
    """
    main = experiment(claim.experiments[0])
    values = np.array([claim.measure.of(record).value for record in records[main.id]])
    tried = {}
    if claim.measure.last_epoch:
        tried["the last epoch"] = list(map(claim.measure.last_epoch, records[main.id]))
    for other in EXPERIMENTS:
        alike = (other.network, other.n_train, other.epochs) == (main.network, main.n_train, main.epochs)
        if other.group == OTHER and alike:
            label = other.label.removeprefix(f"{main.label}, ")
            tried[label] = [claim.measure.of(record).value for record in records[other.id]]
    variants = dict.fromkeys(tried)
    for label, of_runs in tried.items():
        if len(of_runs) >= statistics.FEWEST:
            one_run = statistics.prediction_interval(of_runs)
            variants[label] = (*one_run, statistics.distance(one_run, claim.interval) == 0)
    # The end of the interval that is nearer to our runs: what just rounds to the original's number.
    low, high = claim.interval
    above = claim.number > values.mean()
    reached = (values >= low if above else values <= high).sum()
    chance = statistics.chance_of_reaching(values, low if above else high)
    return {"variants": variants, "reached": int(reached), "runs": len(values), "chance": chance}


def human_confusions(claim, records) -> dict:
    """Compare the confusions of each run with those of human annotators.

    Returns:
        `pairs` of classes; `low` and `high`, Spearman's correlation of their confusions with the humans', the smallest
        and the largest of all runs; `shared`, how many of a run's `top` pairs are among the humans' on average.
    """
    compared = [human_labels.agreement(record.confusion_matrix) for record in records[claim.experiments[0]]]
    correlations = [one.correlation for one in compared]
    shared = float(np.mean([one.shared for one in compared]))
    span = {"low": min(correlations), "high": max(correlations)}
    return span | {"pairs": compared[0].pairs, "top": compared[0].top, "shared": shared}


def class_ranks(claim, records) -> dict:
    """Rank the classes of each run by their accuracy; every class has as many test images.

    Returns:
        `easiest`, in how many of `runs` each class was that, most often first; `best` and `worst`, the ranks of cars.
    """
    right = np.array([record.confusion_matrix.diagonal() for record in records[claim.experiments[0]]])
    easiest = Counter(CLASS_NAMES[label] for label in right.argmax(axis=1))
    ranks = 1 + (right > right[:, [CLASS_NAMES.index("automobile")]]).sum(axis=1)
    return {
        "runs": len(right),
        "easiest": dict(easiest.most_common()),
        "best": ranks.min(),
        "worst": ranks.max(),
    }


def multiplications(claim, records) -> dict:
    """Return the `ratio` of the multiplications that two networks take for an image."""
    first, second = (records[id][0].multiplications for id in claim.experiments)
    return {"ratio": first / second}


def early_best_epochs(claim, records) -> dict:
    """Count the runs in which the further epochs changed nothing.

    Returns:
        `early`, in how many of the `runs` of the longer experiment, by its `label`, the best epoch is one of the first
        `epochs`, which the shorter one has, too.
    """
    longer, shorter = map(experiment, claim.experiments)
    runs = records[longer.id]
    early = sum(record.best_epoch <= shorter.epochs for record in runs)
    return {"early": early, "runs": len(runs), "label": longer.label, "epochs": shorter.epochs}


def best_network(claim, records) -> dict:
    """Return how far the last of the improvements and human annotators get on the same images.

    Returns:
        `label` of its experiment, how many of `planned` `runs` are recorded, mean `accuracy` and `tta_accuracy`, NaN
        without runs; `one_human` and `majority`, the accuracies of one human annotator and of about fifty together.
    """
    best = experiment(improvements.LAST.experiment)
    runs = records[best.id]
    means = {
        name: float(np.mean([getattr(record, name) for record in runs])) if runs else np.nan
        for name in ("accuracy", "tta_accuracy")
    }
    humans = {"one_human": human_labels.ONE_HUMAN, "majority": human_labels.MAJORITY}
    return {"label": best.label, "runs": len(runs), "planned": best.seeds} | means | humans


def learning_rates(claim, records) -> dict:
    """Compare Adam with SGD, which has no scaling of its own to make up for a wrong rate.

    Returns:
        By optimizer, the mean accuracy that each learning rate gives.
    """
    reference, other = map(experiment, claim.experiments[:2])
    means = {}
    for one in (reference, *(one for one in EXPERIMENTS if one.group == other.group)):
        if records[one.id]:
            accuracy = float(np.mean([record.accuracy for record in records[one.id]]))
            means.setdefault(one.optimizer, {})[one.learning_rate] = accuracy
    return means
