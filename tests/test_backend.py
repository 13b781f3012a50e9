"""Keras works in whatever order things are imported and whatever a user has set, or one line says what to do."""

import json
import os
import re
import subprocess
import sys

import pytest

from labhelpers import backend, models

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
assert not tf.config.get_visible_devices("GPU")

import numpy as np
from keras import layers
from labhelpers import training
keras.utils.set_random_seed(0)
images = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), np.uint8)
model = keras.Sequential([layers.Input((32, 32, 3), dtype="uint8"), layers.Rescaling(1 / 255), layers.Conv2D(32, 3)])
for layer in (layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(4), layers.Flatten(), layers.Dense(10)):
    model.add(layer)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
data = images, np.arange(100) % 10
training.fit(model, *data, validation_data=data, epochs=2)
theirs = model.fit(*data, epochs=2, batch_size=50, shuffle=False, verbose=0).history["loss"]
print(training.predict(model, images).tolist(), theirs)
"""


def _run(before="", **variables):
    """Return the exit status, what it prints, and the last line that it writes to stderr."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS_"))}
    command = [sys.executable, "-c", CODE.format(before=before)]
    settings = kept | {"LAB_PROGRESS": "0"} | variables
    run = subprocess.run(command, env=settings, capture_output=True, text=True)
    # TensorFlow's own lines, when it isn't us who import it, begin with a letter and the date.
    lines = [line for line in run.stderr.splitlines() if not re.match(r"[IWE]0000 ", line)]
    return run.returncode, run.stdout, (lines or [""])[-1]


def _home(folder, settings):
    """Make a home in which a user has settings for Keras."""
    (folder / ".keras").mkdir()
    (folder / ".keras" / "keras.json").write_text(settings)
    return str(folder)


KERAS_JSON = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-2, "backend": "torch"}
THEIRS = {
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "TF_CPP_MIN_LOG_LEVEL": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "7",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "XLA_FLAGS": "--no_such_flag",
}


def test_it_says_nothing_and_a_users_settings_change_nothing(tmp_path):
    code, printed, line = _run()
    assert (code, line) == (0, "") and printed
    settings = json.dumps(KERAS_JSON)
    assert _run(HOME=_home(tmp_path, settings), **THEIRS) == (code, printed, line)
    assert (tmp_path / ".keras" / "keras.json").read_text() == settings


KERAS_FIRST = """
import os
import keras
os.environ["TF_XLA_FLAGS"] = "--tf_xla_auto_jit=2"
try:
    import labhelpers.backend
except Exception as error:
    print(f"{type(error).__name__}: {error}")
del os.environ["TF_XLA_FLAGS"]
"""


def test_keras_may_be_imported_before_whatever_its_settings_are_but_not_with_variables_of_tensorflow(tmp_path):
    code, printed, line = _run(KERAS_FIRST, HOME=_home(tmp_path, '{"image_data_format": "channels_first"}'))
    assert printed.startswith("LabError: ") and "with TF_XLA_FLAGS set: restart the kernel" in printed.splitlines()[0]
    assert code == 0 and "import labhelpers first" in line


ON_TORCH = """
import sys, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "torch"))
"""


@pytest.mark.parametrize(
    "before, variables, words",
    [
        ("import keras; keras.ops.ones(3) + 1", {}, "restart the kernel and import labhelpers first"),
        ("", {"KERAS_BACKEND": "numpy"}, "Keras is set to run on numpy"),
        (
            ON_TORCH,
            {},
            "Keras is set to run on torch, and this project needs TensorFlow: set the variable KERAS_BACKEND",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(before, variables, words):
    code, _, line = _run(before, **variables)
    assert code == 1 and line.startswith("LabError: ") and words in line


QUOTING = """
try:
    raise ImportError("DLL load failed\\n\\nSee the web for common causes.")
except ImportError:
    import traceback
    raise ImportError(traceback.format_exc())
"""


def test_why_tensorflow_does_not_load_is_said_in_one_line(tmp_path):
    (tmp_path / "tensorflow.py").write_text(QUOTING)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    status, _, line = _run(PYTHONPATH=path)
    assert (status, line) == (1, "LabError: TensorFlow can't be imported: DLL load failed; run lab doctor")


# The precision


@pytest.mark.parametrize(
    "flags, policy, reason",
    [
        ("fpu avx512f avx512_bf16", "mixed_bfloat16", "instructions for it (avx512_bf16)"),
        ("fpu amx_bf16 amx_tile", "mixed_bfloat16", "instructions for it (amx_bf16)"),
        ("fpu avx2 avx512f not_avx512_bf16", "float32", "no instructions for bfloat16"),
    ],
)
def test_precision_is_that_for_which_the_processor_has_instructions(tmp_path, flags, policy, reason):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Made Up\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    found, why = backend.precision(cpuinfo)
    assert found == policy and why.endswith(reason) and why.startswith(policy.removeprefix("mixed_"))


def test_precision_is_float32_where_nothing_lists_instructions(tmp_path):
    path = tmp_path / "cpuinfo"
    assert backend.precision(path) == ("float32", f"float32, since {path} lists no instructions for bfloat16")


def test_precision_of_this_machine_is_one_that_networks_take():
    assert models.three_blocks(0, (4, 8, 8), backend.precision()[0])
