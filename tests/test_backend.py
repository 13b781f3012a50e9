"""Keras works as it should in whatever order things are imported, or one line says what to do."""

import os
import re
import subprocess
import sys

import pytest

CODE = """
{before}
from labhelpers.errors import LabError
try:
    from labhelpers.backend import THREADS, PARTS, keras, tf
except LabError as error:
    raise SystemExit(f"LabError: {{error}}")
threading = tf.config.threading
assert threading.get_inter_op_parallelism_threads() in (0, THREADS)
assert threading.get_intra_op_parallelism_threads() in (0, THREADS // PARTS)
keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
"""


def _last_line(before="", **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS_"))}
    command = [sys.executable, "-c", CODE.format(before=before)]
    run = subprocess.run(command, env=kept | variables, capture_output=True, text=True)
    # TensorFlow's own lines, when it isn't us who import it, begin with a letter and the date.
    lines = [line for line in run.stderr.splitlines() if not re.match(r"[IWE]0000 ", line)]
    return run.returncode, (lines or [""])[-1]


def test_by_itself_it_says_nothing():
    assert _last_line() == (0, "")


def test_keras_may_be_imported_before():
    code, line = _last_line("import keras")
    assert code == 0 and "import labhelpers first" in line


@pytest.mark.parametrize(
    "before, variables, words",
    [
        ("import keras; keras.ops.ones(3) + 1", {}, "restart the kernel and import labhelpers first"),
        ("", {"KERAS_BACKEND": "numpy"}, "Keras is set to run on numpy"),
    ],
)
def test_what_cannot_be_set_any_more_is_said(before, variables, words):
    code, line = _last_line(before, **variables)
    assert code == 1 and line.startswith("LabError: ") and words in line
