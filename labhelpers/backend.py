"""Keras on TensorFlow, started quietly and set up so that runs repeat: the one place that imports it first."""

import gc
import logging
import os
import sys
from pathlib import Path

from labhelpers import machine
from labhelpers.errors import LabError
from labhelpers.quiet import without_stderr

THREADS = machine.threads()
# A batch of small images is cut into halves that pass through the network side by side: two threads share a
# network's many small steps better so than when both work on every step. Further threads share in the work on each
# half: TensorFlow adds up three gradients or more in the order in which memory becomes free, so that with more parts
# runs with one seed would differ, rarely.
PARTS = min(THREADS, 2)

# What the project sets. TensorFlow and oneDNN read these variables once, when TensorFlow is first imported.
SETTINGS = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_DETERMINISTIC_OPS": "1",
    # Intel's and AMD's own kernels, twice as fast; TensorFlow leaves them off where there is no AVX-512.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_NUM_INTEROP_THREADS": str(THREADS),
    "TF_NUM_INTRAOP_THREADS": str(THREADS // PARTS),
}
# All other variables that begin like this are a user's, and are removed: with some of them, such as TF_XLA_FLAGS or
# ONEDNN_DEFAULT_FPMATH_MODE, numbers would be others.
USERS = ("TF_", "XLA_", "ONEDNN_", "DNNL_", "KERAS_MAX_", "KERAS_NNX_")


def _check_backend():
    """Refuse Keras's other backends, if somebody chose one, by KERAS_BACKEND or by importing Keras first."""
    before = sys.modules.get("keras")
    backend = before.config.backend() if before else os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise LabError(
            f"Keras is set to run on {backend}, and this project needs TensorFlow: set the variable KERAS_BACKEND to "
            "tensorflow and start Python, or the kernel, again"
        )


def _set_variables():
    """Replace a user's settings by the project's; return whether TensorFlow was imported without these."""
    late = "tensorflow" in sys.modules
    theirs = [name for name in os.environ if name.startswith(USERS) and name not in SETTINGS]
    if late and theirs:
        raise LabError(
            f"TensorFlow was imported before labhelpers, with {' and '.join(theirs)} set: restart the kernel and import "
            "labhelpers first"
        )
    for name in theirs:
        del os.environ[name]
    late = late and any(os.environ.get(name) != value for name, value in SETTINGS.items())
    os.environ.update(SETTINGS)
    return late


def _reason(error):
    """Return the first line that says why an import failed."""
    while str(error).startswith("Traceback") and error.__context__:  # TensorFlow quotes its cause so
        error = error.__context__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


_check_backend()
IMPORTED_BEFORE = _set_variables()
# It also warns whenever a second model is trained ("triggered retracing"), which is what a notebook does.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

keras_home = os.environ.get("KERAS_HOME")
# Where Keras finds no keras.json: a user's own may be broken, and would change results.
os.environ["KERAS_HOME"] = os.devnull
# The garbage collector finds nothing in 3,500 modules, and takes two seconds of seven to look, then two more at the end.
collecting = gc.isenabled()
gc.disable()
try:
    # TensorFlow logs about oneDNN and missing GPUs on import whatever its log level (tensorflow#100442); in a notebook
    # that would be an output.
    with without_stderr():
        import keras
        import tensorflow as tf
        from keras.src.backend import config as keras_config
except Exception as error:  # of whatever kind, since a broken installation fails in many ways
    raise LabError(f"TensorFlow can't be imported: {_reason(error)}; run lab doctor") from error
finally:
    gc.freeze()  # what was imported stays: never look at it again
    if collecting:
        gc.enable()
    del os.environ["KERAS_HOME"]
    if keras_home is not None:
        os.environ["KERAS_HOME"] = keras_home


def _set_up():
    """Make the settings that are no variables, and, if TensorFlow was imported before, those that still can be made."""
    keras_config._KERAS_DIR = keras_home or "~/.keras"  # for data sets that Keras downloads
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)
    try:
        tf.config.set_visible_devices([], "GPU")  # whose numbers would be others
        if not IMPORTED_BEFORE:
            return
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
        tf.config.threading.set_intra_op_parallelism_threads(THREADS // PARTS)
        tf.config.experimental.enable_op_determinism()
    except RuntimeError:
        raise LabError(
            "TensorFlow was already at work when labhelpers was imported, so its threads can't be set any more: "
            "restart the kernel and import labhelpers first"
        ) from None
    print(
        "Keras was imported before labhelpers, so on some processors training is slower: import labhelpers first",
        file=sys.stderr,
    )


_set_up()


PRECISIONS = ("float32", "mixed_bfloat16")  # Keras dtype policies


def precision(cpuinfo: Path = machine.CPUINFO) -> tuple[str, str]:
    """Return the Keras dtype policy in which this processor trains convolutions faster, and why.

    bfloat16 has the range of float32 and a third of its digits. Processors with instructions for it become much faster,
    others much slower, since they emulate it.

    Returns:
        "mixed_bfloat16" or "float32", and a sentence that gives the reason.
    """
    flags = machine.facts(cpuinfo).get("flags", "").split()
    for flag in ("avx512_bf16", "amx_bf16"):
        if flag in flags:
            return "mixed_bfloat16", f"bfloat16, since this processor has instructions for it ({flag})"
    return "float32", f"float32, since {cpuinfo} lists no instructions for bfloat16"


__all__ = ["PARTS", "PRECISIONS", "THREADS", "keras", "precision", "tf"]
