"""Where things are, and how a file is written so that it is whole or not there at all."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

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
