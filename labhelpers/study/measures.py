"""What a claim is tested on: numbers of one run, and facts that every record holds."""

from collections.abc import Callable
from typing import NamedTuple

from labhelpers.data import CLASS_NAMES
from labhelpers.evaluation import Evaluation, accuracy_interval
from labhelpers.study.records import Record


class Measured(NamedTuple):
    """A number of one run, and the variance that it owes to the choice of the test images.

    The variance is 0 where the claim is about these images, on which the original took its numbers too; what is said
    of kinds of images is to hold for new ones.
    """

    value: float
    image_variance: float = 0.0


class Fact(NamedTuple):
    """What records hold as such: its value, whether that makes the claim true, and the sentence for it."""

    value: float
    holds: bool
    why: str


def _accuracy(record):
    return Measured(record.accuracy)


def _loss(record):
    return Measured(record.loss)


def _animals_within(record):
    animals = _evaluation(record).group_errors().iloc[0]
    return Measured(animals["share"] - animals["by_chance"], _variance(animals["share"], animals["errors"]))


def _vehicles_easier(record):
    groups = _evaluation(record).group_errors()
    animals, vehicles = groups["accuracy"]
    return Measured(vehicles - animals, _variance(groups["accuracy"], groups["images"]).sum())


def _cars_easiest(record):
    matrix = record.confusion_matrix
    images = matrix.sum(axis=1)
    right = matrix.diagonal() / images.clip(1)
    car = CLASS_NAMES.index("automobile")
    other = max(set(range(len(right))) - {car}, key=lambda label: right[label])
    pair = [car, other]
    return Measured(right[car] - right[other], _variance(right[pair], images[pair]).sum())


def _evaluation(record: Record) -> Evaluation:
    matrix = record.confusion_matrix
    interval = accuracy_interval(matrix.trace(), matrix.sum())
    return Evaluation(record.loss, record.accuracy, interval, record.losses, record.predictions, matrix)


def _variance(share, n):
    return share * (1 - share) / n.clip(1)


# By name: a function of a record.
MEASURES: dict[str, Callable[[Record], Measured]] = {
    "accuracy": _accuracy,
    "loss": _loss,
    "animals_within": _animals_within,
    "vehicles_easier": _vehicles_easier,
    "cars_easiest": _cars_easiest,
}


def _classes(number, record):
    n = len(record.content["data"]["train_images_per_class"])
    return Fact(n, n == number, f"The data has {n} classes, {CLASS_NAMES[0]} to {CLASS_NAMES[-1]}.")


def _side(number, record):
    height, width, _ = record.content["data"]["image_shape"]
    return Fact(height, height == width == number, f"The images have {height}x{width} pixels.")


def _balance(number, record):
    sizes = record.content["data"]["train_images_per_class"]
    n, low, high = sum(sizes), min(sizes), max(sizes)
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return Fact(n, n == number and low == high, f"There are {n:,} training images, {each} of each class.")


def _parameters(_, first, second):
    more = {name: n / second.content["network"][name] for name, n in first.content["network"].items()}
    words = {
        name: f"{ratio:.1f} times the {name}" if ratio > 1 else f"{1 / ratio:.1f} times fewer {name}"
        for name, ratio in more.items()
    }
    why = f"It has {words['parameters']}, and that is how complexity is measured here"
    return Fact(more["parameters"], more["parameters"] > 1, f"{why}; it takes {words['multiplications']}.")


# By name: a function of the original's number, if it gives one, and of a record of each of the claim's arms.
FACTS: dict[str, Callable[..., Fact]] = {
    "classes": _classes,
    "side": _side,
    "balance": _balance,
    "parameters": _parameters,
}
