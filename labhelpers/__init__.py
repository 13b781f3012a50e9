"""A lab report on CIFAR-10: the helper library behind the notebooks.

Students need `data`, `models`, `training`, `evaluation`, `plots` and `output`. `study` makes and judges many runs;
`reporting` re-runs the notebooks and is reached through the `lab` command.
"""

import logging

from labhelpers import usage

__version__ = "0.1.0"

# matplotlib logs that it builds a font cache, or that a home can't be written: noise in a notebook's outputs.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

usage.watch()
