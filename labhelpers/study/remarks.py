"""Sentences with further numbers from the records. They help the reader of a verdict and decide nothing."""

from collections import Counter
from math import comb

import numpy as np

from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.evaluation import percent
from labhelpers.study import human_labels, improvements, statistics
from labhelpers.study.experiments import EXPERIMENTS, OTHER, RATE, experiment


def explanations(claim, records) -> str:
    """Say which other settings of the same network would give the original's number."""
    main = experiment(claim.experiments[0])
    tried = {}
    if claim.measure.last_epoch:
        tried["the last epoch"] = [claim.measure.last_epoch(record) for record in records[main.id]]
    for other in EXPERIMENTS:
        alike = (other.network, other.n_train, other.epochs) == (main.network, main.n_train, main.epochs)
        if other.group == OTHER and alike and len(records[other.id]) >= statistics.FEWEST:
            measured = [claim.measure.of(record).value for record in records[other.id]]
            tried[other.label.removeprefix(f"{main.label}, ")] = measured
    reaching: dict[bool, list[str]] = {True: [], False: []}
    for label, measured in tried.items():
        one_run = statistics.prediction_interval(measured)
        low, high = map(claim.measure.write, one_run)
        reaching[statistics.distance(one_run, claim.interval) == 0].append(f"{label} ({low} to {high})")
    no = f" It is unlikely with: {', '.join(reaching[False])}." if reaching[False] else ""
    return f"One run can give {claim.number_text} with: {', '.join(reaching[True]) or 'nothing we tried'}.{no}"


def human_confusions(claim, records) -> str:
    """Compare the confusions of each run with those of human annotators."""
    compared = [human_labels.agreement(record.confusion_matrix) for record in records[claim.experiments[0]]]
    correlations, shared = np.transpose(compared)
    pairs, top = comb(len(CLASS_NAMES), 2), human_labels.TOP
    return (
        f"Human annotators of the same images (CIFAR-10H): over all {pairs} pairs of classes, Spearman's correlation "
        f"of their confusions with a run's is {correlations.min():.2f} to {correlations.max():.2f}; on average, "
        f"{shared.mean():.1f} of a run's {top} most confused pairs are among the humans' {top}."
    )


def class_ranks(claim, records) -> str:
    """Rank the classes of each run by their accuracy; every class has as many test images."""
    right = np.array([record.confusion_matrix.diagonal() for record in records[claim.experiments[0]]])
    easiest = Counter(CLASS_NAMES[label] for label in right.argmax(axis=1)).most_common()
    ranks = 1 + (right > right[:, [CLASS_NAMES.index("automobile")]]).sum(axis=1)
    return (
        f"Easiest of {len(right)} runs: {', '.join(f'{name} in {n}' for name, n in easiest)}. "
        f"Cars rank {ranks.min()} to {ranks.max()} of {len(CLASS_NAMES)}."
    )


def multiplications(claim, records) -> str:
    """Compare two networks by another measure of complexity: the multiplications that they take for an image."""
    first, second = (records[id][0].multiplications for id in claim.experiments)
    by_it = "would hold" if first > second else "would not hold either"
    return f"By another measure it {by_it}: it takes {times(first / second, 'multiplications')}."


def times(ratio: float, what: str) -> str:
    """Write a ratio: "2.3 times the parameters", or "15 % of the parameters"."""
    return f"{ratio:.1f} times the {what}" if ratio > 1 else f"{100 * ratio:.0f} % of the {what}"


def early_best_epochs(claim, records) -> str:
    """Count the runs in which the further epochs of the first experiment changed nothing."""
    longer, shorter = map(experiment, claim.experiments)
    early = sum(record.best_epoch <= shorter.epochs for record in records[longer.id])
    return (
        f"In {early} of {len(records[longer.id])} runs of the longer training, the best epoch is one of the first "
        f"{shorter.epochs}, so the further epochs changed nothing."
    )


def best_network(claim, records) -> str:
    """Say how far the last of the improvements and human annotators get on the same images."""
    original, improved = map(experiment, claim.experiments)
    best, said = experiment(improvements.STEPS[-1].experiment), []
    if records[original.id] and records[improved.id]:
        means = [percent(np.mean([run.accuracy for run in records[one.id]])) for one in (original, improved)]
        said.append(
            f"With the same {original.n_train:,} training images, the original's network reaches {means[0]}, the improved "
            f"one {means[1]}."
        )
    if runs := records[best.id]:
        plain, augmented = np.mean([(record.accuracy, record.tta_accuracy) for record in runs], axis=0)
        said.append(
            f"The best network ({best.label}, {best.n_train:,} training images) reaches {percent(plain)}, and "
            f"{percent(augmented)} with test-time augmentation (mean of {len(runs)} of {best.seeds} runs)."
        )
    said.append(
        f"One human annotator classifies {percent(human_labels.ONE_HUMAN)} of the same images correctly on average, the "
        f"majority of about fifty {percent(human_labels.MAJORITY)} (CIFAR-10H)."
    )
    return " ".join(said)


def gain_and_loss(claim, records) -> str:
    """Say what a better network gains and what poorer images cost, over the seeds that all three experiments have."""
    original, better, poorer = ({run.seed: run.accuracy for run in records[id]} for id in claim.experiments)
    seeds = original.keys() & better.keys() & poorer.keys()
    first, second, third = (100 * np.mean([of[seed] for seed in seeds]) for of in (original, better, poorer))
    gain, cost, poor = f"{second - first:.1f}", f"{first - third:.1f}", experiment(claim.experiments[-1]).quality
    return (
        "If the images were the limit, a better network would gain little, and poorer images would cost much. Over "
        f"{len(seeds)} seeds, the better network gains {gain} points on the images as they are, and the original's network "
        f"loses {cost} on images of {poor}."
    )


def learning_rates(claim, records) -> str:
    """Compare Adam with SGD, which does not scale its steps and so cannot make up for a wrong rate."""
    tried = [experiment(claim.experiments[0]), *(one for one in EXPERIMENTS if one.group == RATE)]
    spans = []
    for optimizer, name in (("adam", "Adam"), ("sgd", "SGD")):
        recorded = [one for one in tried if one.optimizer == optimizer and records[one.id]]
        if recorded:
            rates = [one.learning_rate for one in recorded]
            means = [np.mean([record.accuracy for record in records[one.id]]) for one in recorded]
            accuracies = f"mean test accuracies of {percent(min(means))} to {percent(max(means))}"
            spans.append(f"{name} from {min(rates):g} to {max(rates):g}: {accuracies}")
    return f"{'; '.join(spans)}."


BY_CLAIM = {
    "B4 animals": human_confusions,
    "B4 cars": class_ranks,
    "A1 complexity": multiplications,
    "A1 epochs": early_best_epochs,
    "A3a": best_network,
    "A3b": gain_and_loss,
    "A4": learning_rates,
}
