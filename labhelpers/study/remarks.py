"""Further numbers that the records give on a claim, for its reader: they decide nothing.

Each function takes a claim and the records of every experiment by id, and returns numbers, which `text` puts into
a sentence.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from labhelpers.data import CLASS_NAMES
from labhelpers.study import human_labels, improvements, statistics
from labhelpers.study.experiments import EXPERIMENTS, OTHER, experiment
from labhelpers.study.statistics import Interval


class Variant(NamedTuple):
    """A variant of an experiment: how it differs, where one of its runs falls, and whether the number lies there.

    `prediction` is None where it has too few runs to tell.
    """

    label: str
    prediction: Interval | None
    reaches: bool


class Explanations(NamedTuple):
    """What would give a number that was not reproduced.

    Attributes:
        variants: what was tried.
        reached: runs that get there, of `runs`.
        chance: probability that one further run does, 0 to 1.
    """

    variants: list[Variant]
    reached: int
    runs: int
    chance: float


def explanations(claim, records) -> Explanations:
    """Look for what would give the original's number: other settings of the same network, or a lucky seed."""
    main = experiment(claim.experiments[0])
    tried = {"the last epoch": list(map(claim.measure.last_epoch, records[main.id]))}
    for other in EXPERIMENTS:
        alike = (other.network, other.n_train, other.epochs) == (main.network, main.n_train, main.epochs)
        if other.group == OTHER and alike:
            label = other.label.removeprefix(f"{main.label}, ")
            tried[label] = [claim.measure.of(record).value for record in records[other.id]]
    variants = []
    for label, values in tried.items():
        enough = len(values) >= statistics.FEWEST
        prediction = statistics.prediction_interval(values) if enough else None
        reaches = enough and statistics.distance(prediction, claim.interval) == 0
        variants.append(Variant(label, prediction, reaches))
    values = np.array([claim.measure.of(record).value for record in records[main.id]])
    # The end of the interval that is nearer to our runs: what just rounds to the original's number.
    low, high = claim.interval
    above = claim.number > values.mean()
    reached = (values >= low if above else values <= high).sum()
    chance = statistics.chance_of_reaching(values, low if above else high)
    return Explanations(variants, int(reached), len(values), chance)


class HumanConfusions(NamedTuple):
    """How far runs and human annotators confuse the same classes.

    Attributes:
        pairs: of classes, all of them.
        correlation: Spearman's, of the pairs' confusions, the smallest and the largest of all runs.
        top: how many of the most confused pairs are looked at.
        shared: how many of these are also among the humans', on average over the runs.
    """

    pairs: int
    correlation: Interval
    top: int
    shared: float


def human_confusions(claim, records) -> HumanConfusions:
    """Compare the confusions of each run with those of human annotators."""
    compared = [human_labels.agreement(record.confusion_matrix) for record in records[claim.experiments[0]]]
    correlations = [one.correlation for one in compared]
    shared = float(np.mean([one.shared for one in compared]))
    spread = Interval(min(correlations), max(correlations))
    return HumanConfusions(compared[0].pairs, spread, compared[0].top, shared)


class ClassRanks(NamedTuple):
    """In how many of `runs` each class was the easiest, most often first, and the best and worst rank of cars."""

    runs: int
    easiest: list[tuple[str, int]]
    cars: tuple[int, int]


def class_ranks(claim, records) -> ClassRanks:
    """Rank the classes of each run by their accuracy; every class has as many test images."""
    right = np.array([record.confusion_matrix.diagonal() for record in records[claim.experiments[0]]])
    easiest = Counter(CLASS_NAMES[label] for label in right.argmax(axis=1))
    ranks = 1 + (right > right[:, [CLASS_NAMES.index("automobile")]]).sum(axis=1)
    return ClassRanks(len(right), easiest.most_common(), (int(ranks.min()), int(ranks.max())))


class Multiplications(NamedTuple):
    """How many times the multiplications of the second experiment the first one takes for an image."""

    ratio: float


def multiplications(claim, records) -> Multiplications:
    """Compare the work that two networks do."""
    first, second = (records[id][0].multiplications for id in claim.experiments)
    return Multiplications(first / second)


class EarlyBestEpochs(NamedTuple):
    """In how many of the longer `runs` the best epoch is one that the shorter ones have, too: the first `epochs`."""

    early: int
    runs: int
    label: str
    epochs: int


def early_best_epochs(claim, records) -> EarlyBestEpochs:
    """Count the runs in which the further epochs changed nothing."""
    longer, shorter = map(experiment, claim.experiments)
    runs = records[longer.id]
    early = sum(record.best_epoch <= shorter.epochs for record in runs)
    return EarlyBestEpochs(early, len(runs), longer.label, shorter.epochs)


class BestNetwork(NamedTuple):
    """How far the best recorded network and human annotators get on the same images.

    Attributes:
        label: of its experiment.
        runs: how many are recorded, of `planned`; 0 leaves the next two NaN.
        accuracy: mean on the test set, 0 to 1.
        tta_accuracy: mean with test-time augmentation.
        one_human, majority: accuracies of one human annotator and of the majority of about fifty.
    """

    label: str
    runs: int
    planned: int
    accuracy: float
    tta_accuracy: float
    one_human: float
    majority: float


def best_network(claim, records) -> BestNetwork:
    """Look up the last of the improvements."""
    best = experiment(improvements.LAST.experiment)
    runs = records[best.id]
    means = [
        float(np.mean([getattr(record, name) for record in runs])) if runs else np.nan
        for name in ("accuracy", "tta_accuracy")
    ]
    return BestNetwork(
        best.label, len(runs), best.seeds, *means, human_labels.ONE_HUMAN, human_labels.MAJORITY
    )


class RateSpan(NamedTuple):
    """The learning rates tried with an optimizer, and the mean accuracies that they give; smallest and largest."""

    optimizer: str
    rates: Interval
    accuracy: Interval


def learning_rates(claim, records) -> list[RateSpan]:
    """Compare Adam with SGD, which has no scaling of its own to make up for a wrong rate."""
    reference, other = map(experiment, claim.experiments[:2])
    tried = [reference, *(one for one in EXPERIMENTS if one.group == other.group)]
    spans = []
    for optimizer in dict.fromkeys(one.optimizer for one in tried):
        means = {
            one.learning_rate: np.mean([record.accuracy for record in records[one.id]])
            for one in tried
            if one.optimizer == optimizer and records[one.id]
        }
        if means:
            rates, accuracy = (Interval(min(of), max(of)) for of in (means, means.values()))
            spans.append(RateSpan(optimizer, rates, accuracy))
    return spans
