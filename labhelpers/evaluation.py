"""What a classifier gets right and wrong, computed from labels and probabilities."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri  # scipy.stats takes a second to import

from labhelpers.cifar10 import ANIMALS, CLASS_NAMES, VEHICLES
from labhelpers.errors import LabError

CONFIDENCE = 0.95
Z = ndtri(0.5 + CONFIDENCE / 2)  # half the width of an interval, in standard errors


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well probabilities fit labels.

    Attributes:
        loss: mean cross-entropy in nats per image.
        accuracy: share of images whose most probable class is the true one, 0 to 1.
        interval: 95 % Wilson interval of the accuracy, for new images of the same kind.
        losses: of each image, nats, float64, (N,).
        predictions: the most probable class of each image, int, (N,).
        confidences: the probability of that class, float, (N,).
        confusion_matrix: counts, int, (10, 10); rows are true classes, columns predicted ones.
    """

    loss: float
    accuracy: float
    interval: tuple[float, float]
    losses: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    confusion_matrix: np.ndarray

    def per_class(self) -> pd.DataFrame:
        """Return `class`, `images`, `correct`, `accuracy` and its 95 % interval `low`, `high` for each class."""
        images, correct = self.confusion_matrix.sum(axis=1), np.diag(self.confusion_matrix)
        table = pd.DataFrame({"class": CLASS_NAMES, "images": images, "correct": correct})
        table["accuracy"] = correct / np.maximum(images, 1)
        table[["low", "high"]] = [accuracy_interval(k, n) for k, n in zip(correct, images, strict=True)]
        return table

    def most_confused(self, n: int = 5) -> pd.DataFrame:
        """Return the `n` most frequent mistakes: `true`, `predicted`, `images`, and their `share` of the true class."""
        matrix = self.confusion_matrix
        errors = matrix - np.diag(np.diag(matrix))
        largest = np.argsort(-errors, axis=None, kind="stable")[: min(n, np.count_nonzero(errors))]
        true, predicted = np.unravel_index(largest, errors.shape)
        names, images = np.array(CLASS_NAMES, object), errors[true, predicted]
        table = pd.DataFrame({"true": names[true], "predicted": names[predicted], "images": images})
        return table.assign(share=images / matrix.sum(axis=1)[true])

    def group_errors(self) -> pd.DataFrame:
        """Return, for animals and for vehicles, how many mistakes stay within the group.

        Columns: `group`, `images`, `accuracy`, `errors`, `within` (mistakes for another class of the group),
        `share` = within / errors with its 95 % interval `low`, `high`, and `by_chance`: the share expected if a wrong
        answer were equally likely to be any of the other nine classes.
        """
        rows = []
        for group, members in (("animals", ANIMALS), ("vehicles", VEHICLES)):
            block = self.confusion_matrix[np.ix_(members, members)]
            images, correct = self.confusion_matrix[list(members)].sum(), np.trace(block)
            row = {"group": group, "images": images, "accuracy": correct / max(images, 1)}
            errors, within = images - correct, block.sum() - correct
            row |= {"errors": errors, "within": within, "share": within / max(errors, 1)}
            row["low"], row["high"] = accuracy_interval(within, errors)
            rows.append(row | {"by_chance": (len(members) - 1) / 9})
        return pd.DataFrame(rows)


def evaluate(labels, probabilities) -> Evaluation:
    """Compare predicted probabilities with the true labels.

    Args:
        labels: true classes, int, (N,), 0 to 9.
        probabilities: float, (N, 10), each row summing to 1.

    Raises:
        LabError: the shapes don't match, a label is not 0 to 9, or a row does not hold probabilities.

    Example:
        >>> evaluate([3, 5], [[0, 0, 0, 0.9, 0, 0.1, 0, 0, 0, 0], [0, 0, 0, 0.6, 0, 0.4, 0, 0, 0, 0]]).accuracy
        0.5
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, float)
    n = labels.size
    if labels.ndim != 1 or n == 0 or probabilities.shape != (n, 10):
        shapes = f"labels {labels.shape} and probabilities {probabilities.shape}"
        raise LabError(f"the shapes are {shapes}: give labels of shape (N,) and probabilities of shape (N, 10)")
    if not np.isin(labels, range(10)).all():
        raise LabError("a label is not a class: give whole numbers from 0 to 9")
    labels = labels.astype(int)
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3) or probabilities.min() < 0:
        raise LabError("a row of the probabilities does not sum to 1: apply a softmax to logits first")
    of_truth = np.maximum(probabilities[np.arange(n), labels], np.finfo(np.float32).tiny)
    losses = -np.log(of_truth)
    predictions = probabilities.argmax(axis=1)
    matrix = np.bincount(10 * labels + predictions, minlength=100).reshape(10, 10)
    correct = int(np.trace(matrix))
    interval = accuracy_interval(correct, n)
    return Evaluation(
        float(losses.mean()), correct / n, interval, losses, predictions, probabilities.max(axis=1), matrix
    )


def accuracy_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share (Wilson 1927), `(low, high)` within 0 to 1; `(0, 1)` if n is 0."""
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    # If all or none are correct, one end is exactly 1 or 0, which rounding would miss.
    return float(centre - reach) if correct else 0.0, float(centre + reach) if correct < n else 1.0


def accuracy_gain(labels, before, after) -> pd.DataFrame:
    """Compare two sets of predictions for the same images, for each class and overall.

    Args:
        labels, before, after: true and predicted classes, int, (N,).

    Returns:
        A row for each class and a last one, `all`: `class`, `gain` (accuracy after minus before, -1 to 1) and its 95 %
        interval `low`, `high` for matched proportions (Agresti & Min 2005, doi 10.1002/sim.1781: half an image
        added to each cell). It covers the choice of test images, not the randomness of training.

    Example:
        >>> accuracy_gain(labels=[3, 3, 5, 5], before=[3, 5, 3, 5], after=[3, 3, 3, 5])["gain"].iloc[-1]
        np.float64(0.25)
    """
    labels = np.asarray(labels)
    right_before, right_after = np.asarray(before) == labels, np.asarray(after) == labels
    chosen = np.vstack([np.equal.outer(np.arange(10), labels), np.ones(len(labels), bool)])
    n = chosen.sum(axis=1) + 2
    won = (chosen & right_after & ~right_before).sum(axis=1) + 0.5
    lost = (chosen & right_before & ~right_after).sum(axis=1) + 0.5
    reach = Z * np.sqrt(won + lost - (won - lost) ** 2 / n) / n
    centre, gain = (won - lost) / n, (won - lost) / np.maximum(n - 2, 1)
    low, high = np.maximum(centre - reach, -1), np.minimum(centre + reach, 1)
    return pd.DataFrame({"class": [*CLASS_NAMES, "all"], "gain": gain, "low": low, "high": high})


def calibration(confidences, right, bins: int = 10) -> pd.DataFrame:
    """Compare how sure a network is of its answers with how often they are right.

    Args:
        confidences: the probability of each answer, float, (N,).
        right: whether it is right, bool, (N,).
        bins: in how many equal parts the range from 0 to 1 is divided.

    Returns:
        A row for each part that has answers: `answers` (how many), and their mean `confidence` and `accuracy`.

    Example:
        >>> calibration([0.9, 0.95, 0.35], [True, False, True])["accuracy"].tolist()
        [1.0, 0.5]
    """
    table = pd.DataFrame({"answers": 1, "confidence": np.asarray(confidences, float), "accuracy": right})
    part = np.minimum((bins * table["confidence"]).astype(int), bins - 1)
    return table.groupby(part).agg({"answers": "sum", "confidence": "mean", "accuracy": "mean"}).reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error (ECE; Guo et al. 2017, arXiv 1706.04599), 0 to 1, of a `calibration`.

    It is the mean difference between confidence and accuracy, weighted by the number of answers.
    """
    return float(np.average(abs(table["confidence"] - table["accuracy"]), weights=table["answers"]))


def percent(share: float, interval: tuple[float, float] | None = None, digits: int = 1) -> str:
    """Write a share as text, `"59.4 %"`, and with its interval `"59.4 % (58.4 to 60.4)"`; `digits` are decimals."""
    number, *ends = (f"{100 * part:.{digits}f}" for part in (share, *(interval or ())))
    return typeset(f"{number} % ({ends[0]} to {ends[1]})" if ends else f"{number} %")


def typeset(text: str) -> str:
    """Return text for readers: a true minus sign before numbers, a non-breaking space before %."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text).replace(" %", "\N{NO-BREAK SPACE}%")
