"""Keras on TensorFlow, started quietly and deterministically: the one place that imports it first."""

import logging
import os
from contextlib import contextmanager

# TensorFlow reads these once, when it is first imported.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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

__all__ = ["keras", "tf"]
