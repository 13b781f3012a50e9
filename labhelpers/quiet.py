"""Import libraries that write about themselves to stderr, which would be an output in a notebook."""

import contextlib
import os


@contextlib.contextmanager
def without_stderr():
    """Discard what native code and child processes write to stderr; Python's exceptions pass as ever."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
