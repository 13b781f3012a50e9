"""Keras on TensorFlow, started quietly and set up so that runs repeat: the one place that imports it first."""

import contextlib
import logging
import os
import sys
from pathlib import Path

from labhelpers import machine
from labhelpers.errors import LabError

THREADS = machine.threads()
# A batch of small images is cut into halves that pass through the network side by side: two threads share a
# network's many small steps better so than when both work on every step. Further threads share in the work on each
# half: TensorFlow adds up three gradients or more in the order in which memory becomes free, so that with more parts
# runs with one seed would differ, rarely.
PARTS = min(THREADS, 2)

# TensorFlow reads these once, when it is first imported.
SETTINGS = {
    "KERAS_BACKEND": "tensorflow",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Intel's and AMD's own kernels, twice as fast; TensorFlow leaves them off where there is no AVX-512.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_NUM_INTEROP_THREADS": str(THREADS),
    "TF_NUM_INTRAOP_THREADS": str(THREADS // PARTS),
}
IMPORTED_BEFORE = "tensorflow" in sys.modules and any(name not in os.environ for name in SETTINGS)
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)

chosen = os.environ["KERAS_BACKEND"] if "keras" not in sys.modules else sys.modules["keras"].config.backend()
if chosen != "tensorflow":
    raise LabError(
        f"Keras is set to run on {chosen}, and this project needs TensorFlow: set the variable KERAS_BACKEND to "
        "tensorflow and start Python, or the kernel, again"
    )


@contextlib.contextmanager
def _without_stderr():
    """Send what native code writes to stderr nowhere; Python's exceptions pass as ever."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


# It also warns whenever a second model is trained ("triggered retracing"), which is what a notebook does.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

# TensorFlow logs about oneDNN and missing GPUs on import whatever its log level (tensorflow#100442); in a
# notebook that would be an output nobody asked for.
with _without_stderr():
    import keras
    import tensorflow as tf


def _set_up_late():
    """Make the settings that can still be made when a notebook imported TensorFlow before labhelpers."""
    try:
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


if IMPORTED_BEFORE:
    _set_up_late()


PRECISIONS = ("float32", "mixed_bfloat16")  # Keras dtype policies


def precision(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, str]:
    """Return the Keras dtype policy in which this processor trains convolutions faster, and why.

    bfloat16 has the range of float32 and a third of its digits. Processors with instructions for it gain much by it,
    others lose much, since they emulate it.

    Returns:
        "mixed_bfloat16" or "float32", and a sentence that gives the reason.
    """
    try:
        flags = cpuinfo.read_text().split()
    except OSError:
        return "float32", f"float32, since there is no {cpuinfo} that would list instructions for bfloat16"
    for flag in ("avx512_bf16", "amx_bf16"):
        if flag in flags:
            return "mixed_bfloat16", f"bfloat16, since this processor has instructions for it ({flag})"
    return "float32", "float32, since this processor has no instructions for bfloat16"


__all__ = ["PARTS", "PRECISIONS", "THREADS", "keras", "precision", "tf"]
