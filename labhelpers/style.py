"""matplotlib and pandas' tables in the project's style, whatever a user's settings are.

It is the one place that imports matplotlib first.
"""

import os
import warnings
from typing import Any

from labhelpers import usage
from labhelpers.errors import LabError
from labhelpers.quiet import without_stderr

COLUMN_WIDTH = 4  # inches: fonts are still legible when a phone shows it
# seaborn's palette "colorblind"
PALETTE = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"]
# What seaborn.set_theme(style="ticks") sets. Importing seaborn takes over a second, so only the function that draws with
# it does so.
TICKS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.linewidth": 1.25,
    "grid.color": ".8",
    "grid.linewidth": 1.0,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    **dict.fromkeys(["axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"], ".15"),
    **{f"{axis}tick.major.{name}": size for axis in "xy" for name, size in (("size", 6.0), ("width", 1.25))},
    **{f"{axis}tick.minor.{name}": size for axis in "xy" for name, size in (("size", 4.0), ("width", 1.0))},
}
STYLE = {
    "figure.figsize": (COLUMN_WIDTH, 2.8),
    "figure.dpi": 130,
    "figure.max_open_warning": 20,  # the default, which rcdefaults doesn't restore
    "savefig.dpi": 220,
    "savefig.bbox": "tight",
    "font.size": 9,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib; seaborn's choice, Arial, is only on some machines
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(["xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"], 8.5),
}

shell = usage.shell()
kernel = getattr(shell, "kernel", None)
if kernel:
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # a user's choice may not even exist

with without_stderr(), warnings.catch_warnings(action="ignore"):
    try:
        import matplotlib.pyplot as plt
        import pandas as pd
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LabError(f"matplotlib can't read its settings: {reason}; correct MPLBACKEND or matplotlibrc") from error

if shell and kernel:
    shell.run_line_magic("matplotlib", "inline")  # figures appear below their cells
plt.rcdefaults()  # forget the user's matplotlibrc
with warnings.catch_warnings(action="ignore"):  # of options that pandas is about to drop
    pd.reset_option("display")  # forget what IPython's start-up files set
plt.rcParams.update(TICKS | STYLE | {"axes.prop_cycle": plt.cycler(color=PALETTE)})

__all__ = ["COLUMN_WIDTH", "PALETTE", "plt"]
