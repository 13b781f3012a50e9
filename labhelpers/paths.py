"""Where things are; how a file is written, whole or not at all; how work is left to one process at a time."""

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import filelock

from labhelpers.errors import LabError

QUICK_FOLDER = "quick"  # within that of the report: where a rehearsal goes


def project() -> Path:
    """Return the project's root: the folder that holds `notebooks` and `labhelpers`.

    It is the folder the package was installed from; failing that (a package copied elsewhere) the
    nearest one above the current directory.

    Raises:
        LabError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package, Path.cwd(), *Path.cwd().parents):
        if (folder / "notebooks").is_dir() and (folder / "labhelpers").is_dir():
            return folder
    raise LabError("the project's folder was not found: run this from inside a clone of the project")


def out_dir() -> Path:
    """Return the folder that results go to: `LAB_OUT` where it is set, else the project's `report`."""
    return Path(os.environ.get("LAB_OUT") or project() / "report").absolute()


def figures_dir() -> Path:
    """Return the folder that `save_figure` writes to; never the committed `figures`."""
    return out_dir() / "figures"


def examples_dir() -> Path:
    """Return the folder that `save_examples` writes to: for the page alone, nothing of it is committed."""
    return out_dir() / "examples"


def checkpoints_dir() -> Path:
    """Return the folder in which a long training of a notebook keeps its state, whatever becomes of the run's results."""
    return project() / "report" / "checkpoints"


def exclusive(path: Path, busy: str, wait: bool = False):
    """Lock a file until the returned context ends, so that no two processes do the same work at once.

    Args:
        path: the lock file; it and its folder are made where they are missing.
        busy: what to say where another process holds the lock.
        wait: whether to print `busy` and wait for that process to end, instead of raising an error.

    Raises:
        LabError: another process holds the lock, and `wait` is false.
        OSError: the folder or the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        return lock.acquire(blocking=False)
    except filelock.Timeout:
        if not wait:
            raise LabError(busy) from None
    print(busy, file=sys.stderr, flush=True)
    return lock.acquire()


@contextmanager
def atomic_write(path, remedy="free some space or choose another folder with LAB_OUT"):
    """Give the path of a temporary file beside `path`; it takes that name only when all went well.

    Raises:
        LabError: the disk is full, the folder can't be written, or it is no folder.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner may read
        temporary.replace(path)
    except OSError as error:
        raise LabError(f"can't write {path}: {error.strerror or error}; {remedy}, then run again") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
