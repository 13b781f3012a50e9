"""User errors, each reported in one line that says what to do."""

from numbers import Integral, Real
from typing import Any


class LabError(Exception):
    """What was wrong, and what to do about it, in one line.

    The `lab` command prints that line and exits with `status`; a notebook shows it without a traceback.
    """

    status = 2

    def _render_traceback_(self):
        """Return the lines that IPython shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DataUnavailable(LabError):
    """CIFAR-10 is not on this machine and could not be downloaded."""


class DataDamaged(LabError):
    """A source of CIFAR-10 is there, but it is not the official data."""


class NotReproduced(LabError):
    """A number differs from the committed figures, or a network is outside the spread of the recorded runs."""

    status = 1


class CheckpointUnusable(LabError):
    """A file that keeps the state of a training is damaged, or of another training."""


class TrainingDiverged(LabError):
    """The loss is no longer a finite number.

    Attributes:
        history: the epochs before, as `training.fit` returns them; None in the first epoch.
    """

    history: Any = None


class TrainingInterrupted(KeyboardInterrupt):
    """Someone interrupted `training.fit`; the line says which weights the model has now.

    It is a `KeyboardInterrupt`, so that later cells and commands don't run with a half-trained network.
    """

    _render_traceback_ = LabError._render_traceback_


def check_whole_number(name: str, value, low: int, high: int | None = None) -> None:
    """Raise a `LabError` unless `value` is a whole number from `low` to `high` (`None`: no limit)."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise LabError(f"{name} is {value!r}: choose a whole number {limits}")


def check_positive(name: str, value) -> None:
    """Raise a `LabError` unless `value` is a finite number above 0."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and 0 < value < float("inf")):
        raise LabError(f"{name} is {value!r}: choose a number above 0")


def check_choice(name: str, value, choices) -> None:
    """Raise a `LabError` unless `value` is one of `choices`."""
    if value not in choices:
        raise LabError(f"{name} is {value!r}: choose from {', '.join(map(repr, choices))}")


def check_seed(seed) -> None:
    """Raise a `LabError` unless `seed` is a whole number from 0 to 4294967295, as NumPy and Keras require."""
    check_whole_number("seed", seed, 0, 2**32 - 1)
