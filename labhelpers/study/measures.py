"""What claims are tested on: each measure is a number of one run, with its unit and how it is written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from labhelpers.cifar10 import ANIMALS, CLASS_NAMES, VEHICLES
from labhelpers.errors import check_choice
from labhelpers.evaluation import typeset
from labhelpers.study.records import Record

POINTS = "points"  # percentage points


class Measured(NamedTuple):
    """A number of one run."""

    value: float
    # The part of its variance that comes from the choice of the test images; 0 where the claim, like the original's
    # numbers, is about these images only.
    image_variance: float = 0.0
    holds: bool = True  # a condition of the claim beyond the number, such as classes of one size
    details: dict | None = None  # further numbers and names, for the words of an exact measure


@dataclass(frozen=True)
class Measure:
    """A number of one run, and how it is written."""

    name: str  # title of an axis
    of: Callable[[Record], Measured]
    unit: str = ""  # in parentheses on an axis, and after a written number unless `bare`
    scale: float = 1.0  # factor from the value to what is written
    digits: int = 0  # decimals
    bare: bool = False
    last_epoch: Callable[[Record], float] | None = None  # the same number with the weights of the last epoch
    exact: bool = False  # whether it is a fact, the same for every run, that needs no statistics
    # For a difference between classes what is true of a run where it is above 0; for an exact measure a sentence, with
    # fields for what `Measured.details` holds.
    words: str = ""

    @property
    def axis(self) -> str:
        """The title of an axis: name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def difference(self) -> "Measure":
        """How a difference between two values is written, of shares in percentage points; one of classes stays as it is."""
        if self.unit == POINTS:
            return self
        return replace(self, name=f"difference in {self.name}", unit=POINTS if self.unit == "%" else self.unit)

    @property
    def ratio(self) -> "Measure":
        """How the ratio of two values is written."""
        return replace(self, name="ratio", unit=f"times the {self.name}", scale=1.0, digits=2)

    def write(self, value: float, interval=None, digits: int | None = None) -> str:
        """Write a value, and its interval where it has one: "60.3 % (59.8 to 60.9)"."""
        decimals = self.digits if digits is None else digits
        number, *ends = (f"{self.scale * part:z,.{decimals}f}" for part in (value, *(interval or ())))  # z: no -0
        text = number if self.bare or not self.unit else f"{number} {self.unit}"
        return typeset(f"{text} ({ends[0]} to {ends[1]})" if ends else text)


def _classes(record):
    n = len(record.train_images_per_class)
    return Measured(n, details={"n": n, "first": CLASS_NAMES[0], "last": CLASS_NAMES[-1]})


def _side(record):
    height, width, _ = record.image_shape
    return Measured(height, holds=height == width, details={"height": height, "width": width})


def _balance(record):
    sizes = record.train_images_per_class
    n, low, high = sum(sizes), min(sizes), max(sizes)
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return Measured(n, holds=low == high, details={"n": f"{n:,}", "each": each})


def _animals_within(record):
    """Of the mistakes on animals, the share that name another animal, and by how much that exceeds chance."""
    block = record.confusion_matrix[list(ANIMALS)]
    errors = block.sum() - block[:, ANIMALS].trace()
    within = block[:, ANIMALS].sum() - block[:, ANIMALS].trace()
    share, by_chance = within / max(errors, 1), (len(ANIMALS) - 1) / (len(CLASS_NAMES) - 1)
    return Measured(share - by_chance, _variance(share, errors))


def _easier(record, classes, others):
    """How much more often the images of some classes are recognised than those of others; labels for both."""
    value = variance = 0.0
    for sign, labels in ((1, list(classes)), (-1, list(others))):
        images = record.confusion_matrix[labels].sum()
        share = record.confusion_matrix[labels, labels].sum() / max(images, 1)
        value, variance = value + sign * share, variance + _variance(share, images)
    return Measured(value, variance)


def _cars_easiest(record):
    """How much more cars are right than the best other class of this run."""
    car = CLASS_NAMES.index("automobile")
    others = [_easier(record, [car], [label]) for label in range(len(CLASS_NAMES)) if label != car]
    return min(others, key=lambda measured: measured.value)


def _variance(share, n):
    return share * (1 - share) / max(n, 1)


def _fact(name, of, words):
    return Measure(name, of, exact=True, words=words)


def _between_classes(name, of, words):
    return Measure(name, of, POINTS, 100, 1, words=words)


def easier(first: str, second: str) -> Measure:
    """Return the measure of how much more often images of one class are recognised than those of another."""
    for name in (first, second):
        check_choice("the class", name, CLASS_NAMES)
    labels = [[CLASS_NAMES.index(name)] for name in (first, second)]
    words = f"{first}s are recognised more often than {second}s"
    return _between_classes(f"{first}s minus {second}s", lambda record: _easier(record, *labels), words)


CLASSES = _fact("classes", _classes, "The data has {n} classes, {first} to {last}.")
SIDE = _fact("side", _side, "The images have {height}x{width} pixels.")
BALANCE = _fact("training images", _balance, "There are {n} training images, {each} of each class.")
PARAMETERS = _fact("parameters", lambda run: Measured(run.parameters), "and that is how complexity is measured here")
ACCURACY = Measure(
    "test accuracy", lambda run: Measured(run.accuracy), "%", 100, 1, last_epoch=lambda run: run.last_accuracy
)
LOSS = Measure(
    "test loss", lambda run: Measured(run.loss), "nats per image", 1, 3, bare=True, last_epoch=lambda run: run.last_loss
)
ANIMALS_WITHIN = _between_classes(
    "share of mistakes on animals that name animals, minus chance",
    _animals_within,
    "mistakes on animals name another animal more often than by chance",
)
VEHICLES_EASIER = _between_classes(
    "accuracy on vehicles minus animals",
    lambda run: _easier(run, VEHICLES, ANIMALS),
    "vehicles are recognised more often than animals",
)
CARS_EASIEST = _between_classes(
    "accuracy on cars minus the best other class", _cars_easiest, "cars are recognised more often than any other class"
)
