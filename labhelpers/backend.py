"""Keras on TensorFlow, started quietly and deterministically: the one place that imports it first."""

import logging
import os
import time
from contextlib import contextmanager
from functools import cache

from labhelpers.errors import LabError


def _threads() -> int:
    """Return how many threads may compute: as many as `LAB_THREADS` says, or as cores this process may use."""
    asked = os.environ.get("LAB_THREADS")
    if asked and not (asked.isdecimal() and int(asked) > 0):
        raise LabError(f"LAB_THREADS is {asked!r}: set it to a whole number of at least 1, or unset it")
    # macOS and Windows can't tell which cores a process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(asked or cores or 1)


THREADS = _threads()
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
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)


@contextmanager
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

PRECISIONS = ("float32", "mixed_bfloat16")


@cache
def faster_precision() -> str:
    """Return the precision, of `PRECISIONS`, in which this processor trains convolutions faster: it tries, for a second.

    bfloat16 has the range of float32 and a third of its digits. Processors with instructions for it gain much,
    others lose.
    """

    def seconds(dtype):
        images, kernel = tf.ones((64, 7, 7, 256), dtype), tf.ones((3, 3, 256, 256), dtype)

        @tf.function
        def learn():
            with tf.GradientTape() as tape:
                tape.watch((images, kernel))
                loss = tf.nn.l2_loss(tf.nn.conv2d(images, kernel, 1, "SAME"))
            return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, (images, kernel))]

        times = []
        for _ in range(4):  # the first one prepares
            started = time.perf_counter()
            [total.numpy() for total in learn()]
            times.append(time.perf_counter() - started)
        return min(times)

    try:
        return PRECISIONS[seconds(tf.bfloat16) < seconds(tf.float32)]
    except tf.errors.OpError:  # a TensorFlow without bfloat16's convolutions
        return PRECISIONS[0]


__all__ = ["PARTS", "PRECISIONS", "THREADS", "faster_precision", "keras", "tf"]
