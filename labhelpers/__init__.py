"""A lab report on CIFAR-10: the helper library behind the notebooks.

Five rooms to enter: `data`, `evaluation`, `plots`, `models`, `training`; the machinery that
re-runs the notebooks stands in `reporting` and is reached through the `lab` command.
"""

import logging

__version__ = "0.1.0"

# On its very first import matplotlib tells that it builds a font cache: noise in a notebook's outputs.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
