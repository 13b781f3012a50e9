"""Parameters of notebooks: what their lines declare, and that values are checked, whoever gives them."""

import re
import shlex
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook
from papermill.cli import papermill

from labhelpers.errors import LabError
from labhelpers.parameters import check_parameters, declared

CELL = """
EPOCHS = 2 * 5  # passes over the images (1 to 1000)
RATE: float = 1e-3  # learning rate (1e-7 to 10)
TRAIN_LIVE = False  # whether to train a network (True or False)
PICTURE = "#1.png"  # its path
"""
CHECK = "from labhelpers.parameters import check_parameters\n\ncheck_parameters()\nprint(EPOCHS)"
WHOLE, NUMBER = "a whole number from 1 to 1000", "a number from 1e-07 to 10"


def test_lines_declare_kinds_and_defaults():
    found = declared(
        CELL + "%matplotlib inline\nfor A in []:\n    B = 1\nC = D = 1\nEPOCHS += 1\nn = 3\nE = [1]  # no parameter"
    )
    kinds = {name: (parameter.kind, parameter.default) for name, parameter in found.items()}
    texts = {"TRAIN_LIVE": (bool, False), "PICTURE": (str, "#1.png")}
    assert kinds == {"EPOCHS": (int, "2 * 5"), "RATE": (float, 0.001), "n": (int, 3)} | texts


VALUES = [
    ("EPOCHS", 1000, None),
    ("EPOCHS", np.int64(1), None),
    ("EPOCHS", 0, "from 1 to 1000"),
    ("EPOCHS", 10**400, "from 1 to 1000"),
    *[("EPOCHS", value, WHOLE) for value in ("5", 5.0, True, None, float("nan"))],
    ("RATE", 1, None),
    ("RATE", np.float32(0.1), None),
    ("RATE", 0, "from 1e-07 to 10"),
    *[("RATE", value, NUMBER) for value in ("0.1", True, float("nan"), float("inf"), 1j)],
    ("TRAIN_LIVE", True, None),
    *[("TRAIN_LIVE", value, "True or False") for value in ("false", 0)],
    ("PICTURE", "", None),
    ("PICTURE", 5, "a text"),
]


@pytest.mark.parametrize(("name", "value", "must_be"), VALUES, ids=lambda value: str(value)[:12])
def test_value_is_checked_by_the_line_that_declares_it(name, value, must_be, monkeypatch, tells):
    ran = ["", CELL, f"# Parameters\n{name} = ...", "EPOCHS = 3\nlower = 1  # may change (0 to 1)"]
    names = {"EPOCHS": 5, "lower": 7, name: value}
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=ran), user_ns=names)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    if must_be is None:
        check_parameters()
    else:
        with tells(LabError, f"{name}=", f": must be {must_be}"):
            check_parameters()


def test_outside_a_notebook_nothing_is_checked():
    check_parameters()


def written(folder, name="checks.ipynb", parameters=CELL):
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]}), new_code_cell(CHECK)]
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=python), folder / name)


def test_parameters_without_ranges_are_refused(monkeypatch, tells):
    ran = ["", "EPOCHS = 10  # passes\nRATE = 0.1", "check_parameters()"]
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=ran), user_ns={"EPOCHS": "ten"})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with tells(LabError, "no cell that has run declares a parameter with its range, as in EPOCHS = 10  # passes"):
        check_parameters()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("-p EPOCHS 3 --inject-paths", None),
        ("-p EPOCH 3", "this notebook has no parameter EPOCH: use EPOCHS"),
        ("-y 'X: [1, 2]'", "this notebook has no parameter X: use EPOCHS or PICTURE or RATE or TRAIN_LIVE"),
        ("-p TRAIN_LIVE false", "TRAIN_LIVE='false': must be True or False"),
    ],
)
def test_papermill_s_values_are_checked(options, line, tmp_path, monkeypatch):
    """Its command, in this process: it takes seconds to start."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    done = CliRunner().invoke(papermill, ["checks.ipynb", "out.ipynb", *shlex.split(options)])
    assert (done.exit_code == 0) == (line is None), done
    assert line is None or f"LabError: {line}" in str(done.exception)


def test_values_typed_by_hand_are_checked_also_by_nbval(tmp_path):
    for name, epochs in (("good.ipynb", "3"), ("bad.ipynb", "0")):
        written(tmp_path, name, CELL.replace("2 * 5", epochs))
    options = "--nbval-lax --nbval-current-env -p no:cacheprovider -p labhelpers.reporting good.ipynb bad.ipynb"
    command = [sys.executable, "-m", "pytest", *options.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "LabError: EPOCHS=0: must be from 1 to 1000" in done.stdout, done
    assert set(re.findall(r"^FAILED (\w+)", done.stdout, re.M)) == {"bad"} and "3 passed" in done.stdout
