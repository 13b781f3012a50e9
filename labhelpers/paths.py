"""Folders of the project, atomic writes, and locks."""

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import filelock

from labhelpers.errors import LabError

QUICK_FOLDER = "quick"  # within the report folder, for `lab report --quick`
# What to do if something can't be written.
FREE_SPACE = "free some space there or make it writable"
OTHER_FOLDER = "free some space or choose another folder with LAB_OUT"


def project() -> Path:
    """Return the project's root: the folder that holds `notebooks` and `labhelpers`.

    It is the folder that the package was installed from, or else the nearest one above the current directory. Without
    either, a `LabError` says so.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package, Path.cwd(), *Path.cwd().parents):
        if (folder / "notebooks").is_dir() and (folder / "labhelpers").is_dir():
            return folder
    raise LabError("the project's folder was not found: run this from inside a clone of the project")


def out_dir() -> Path:
    """Return the folder for results: `LAB_OUT` if it is set, else the project's `report`."""
    return Path(os.environ.get("LAB_OUT") or project() / "report").absolute()


def typed(path) -> Path:
    """Return the absolute path that someone means who typed `path`.

    It is relative to the current folder if it exists there, else to the folder in which the command was typed, which is
    not the one that a notebook runs in.
    """
    try:
        path = Path(path).expanduser()
    except RuntimeError:
        raise LabError(f"{path} can't be used, because this user has no home folder: give a full path") from None
    elsewhere = Path(os.environ.get("PWD", ""), path)
    if not os.path.exists(path) and os.path.exists(elsewhere):  # noqa: PTH110  False for a name that is too long
        return elsewhere.absolute()
    return path.absolute()


def figures_dir() -> Path:
    """Return the folder that `save_figure` writes to; never the committed `figures`."""
    return out_dir() / "figures"


def examples_dir() -> Path:
    """Return the folder that `save_examples` writes to, for the page alone; it is not committed."""
    return out_dir() / "examples"


def checkpoints_dir() -> Path:
    """Return the folder in which a long training in a notebook keeps its state, also if the run fails."""
    return project() / "report" / "checkpoints"


def exclusive(path: Path, busy: str, wait: bool = False):
    """Lock a file until the returned context ends, so that no two processes do the same work at once.

    Args:
        path: the lock file; it and its folder are created.
        busy: what to say if another process holds the lock.
        wait: print `busy` and wait for that process to end, instead of raising it as a `LabError`.

    Raises:
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
def writing(place, remedy: str = OTHER_FOLDER):
    """Turn an `OSError` within the block into a `LabError`: `place` can't be written, why, and what to do (`remedy`)."""
    try:
        yield
    except BrokenPipeError:
        raise  # not the disk: the reader of the output has stopped
    except OSError as error:
        raise LabError(f"can't write {place}: {error.strerror or error}; {remedy}, then run again") from error


@contextmanager
def atomic_write(path, remedy: str = OTHER_FOLDER):
    """Give a temporary file beside `path`, which gets that name only if the block succeeds; errors as for `writing`."""
    path = Path(path)
    with writing(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner may read
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
