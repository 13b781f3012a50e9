"""A lab report on CIFAR-10: the helper library behind the notebooks.

Five rooms to enter: `data`, `evaluation`, `plots`, `models`, `training`; the machinery that
re-runs the notebooks stands in `reporting` and is reached through the `lab` command.
"""

__version__ = "0.1.0"
