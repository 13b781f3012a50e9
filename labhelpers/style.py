"""matplotlib, seaborn and pandas' tables in the project's style, whatever a user's settings are.

It is the one place that imports matplotlib and seaborn first.
"""

import os
import warnings

from labhelpers import usage
from labhelpers.errors import LabError
from labhelpers.quiet import without_stderr

COLUMN_WIDTH = 4.6  # inches
STYLE = {
    "figure.figsize": (COLUMN_WIDTH, 3.0),
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
        import seaborn as sns
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LabError(f"matplotlib can't read its settings: {reason}; correct MPLBACKEND or matplotlibrc") from error

if shell and kernel:
    shell.run_line_magic("matplotlib", "inline")  # figures appear below their cells
plt.rcdefaults()  # forget the user's matplotlibrc
with warnings.catch_warnings(action="ignore"):  # of options that pandas is about to drop
    pd.reset_option("display")  # forget what IPython's start-up files set
sns.set_theme(style="ticks", palette="colorblind", rc=STYLE)
PALETTE = sns.color_palette("colorblind")

__all__ = ["COLUMN_WIDTH", "PALETTE", "plt", "sns"]
