"""Note what a notebook's kernel uses of the project, so that `lab report` knows when its results are outdated.

Whatever reads something that results depend on notes it here. `lab report` sets `LAB_USAGE` to a file; the kernel
writes the notes there after each cell, because it is killed at the end.
"""

import json
import os
import sys
from collections import defaultdict

used: defaultdict[str, set[str]] = defaultdict(set)


def note(kind: str, name) -> None:
    """Note that something was read.

    `kind` is "data", "records", "networks", "figures" (committed ones), "optional files" or "files" (others).
    """
    used[kind].add(str(name))


def shell():
    """Return the IPython that runs the cells of a notebook; None outside one."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def watch() -> None:
    """Write the notes after each cell, if `lab report` asks for them and this is a notebook's kernel."""
    path = os.environ.get("LAB_USAGE")
    if path and shell():
        shell().events.register("post_run_cell", lambda _: _write(path))


def _write(path):
    modules = {"modules": {name for name in sys.modules if name.partition(".")[0] == "labhelpers"}}
    notes = {kind: sorted(names) for kind, names in (used | modules).items()}
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 (pathlib would delay the first import)
            json.dump(notes, file)
    except OSError:
        pass  # without the notes the notebook runs again
