"""One progress bar for long work: on a terminal, in a notebook that someone watches, silent elsewhere."""

import os
import sys

from tqdm import tqdm


def progress(total, description, **options):
    """Return a tqdm bar over `total` steps, which shows the time left.

    It appears on a terminal, and as one line in a notebook that is open in JupyterLab, Jupyter Notebook, VS Code or
    Colab; both are gone at the end. In batch (papermill, nbval, logs) it is silent, so that outputs hold results only.
    `LAB_PROGRESS=0` silences it everywhere. Further options, such as `unit`, are tqdm's.
    """
    options |= {"total": total, "desc": description, "leave": False}
    if os.environ.get("LAB_PROGRESS") == "0":
        return tqdm(**options, disable=True)
    if "ipykernel" in sys.modules:
        watched = any(name in os.environ for name in ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG", "VSCODE_PID"))
        # Without the numbers of steps, since it counts validation images as well.
        parts = "{desc}: {percentage:.0f}%|{bar}| {remaining} left"
        return tqdm(**options, file=_CellLine(), ncols=88, bar_format=parts, disable=not watched)
    return tqdm(**options, dynamic_ncols=True, disable=None)  # None: silent unless stderr is a terminal


def say(line) -> None:
    """Print a line on what long work did, unless `LAB_PROGRESS=0`."""
    if os.environ.get("LAB_PROGRESS") != "0":
        print(line)


class _CellLine:
    """A file whose text replaces itself in a notebook cell (a widget would be stored in the notebook)."""

    encoding = "utf-8"  # for a bar of blocks instead of digits
    handle = None

    def write(self, text):
        from IPython.display import display

        line = {"text/plain": text.strip("\r\n ")}
        if self.handle is not None:
            self.handle.update(line, raw=True)
        elif line["text/plain"]:
            self.handle = display(line, raw=True, display_id=True)

    def flush(self):
        """Do nothing: every write is shown at once."""
