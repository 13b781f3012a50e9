"""Errors that a person can cause, each told in one line that says what to do."""


class LabError(Exception):
    """What was wrong, and what to do about it, in one line.

    The `lab` command prints that line and exits with status 2; a notebook shows it without the traceback,
    which would only bury it.
    """

    def _render_traceback_(self):
        """Return the lines IPython shows for this error in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DataUnavailable(LabError):
    """CIFAR-10 is nowhere to be found on this machine."""


class DataDamaged(LabError):
    """A source of CIFAR-10 is there, but it is not the official data."""


class TrainingDiverged(LabError):
    """The loss stopped being a finite number."""
