"""Folders of the project, atomic writes, and locks."""

import os
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import filelock

from labhelpers import usage
from labhelpers.errors import LabError

MARK = ".made-by-labhelpers"  # an empty file in each folder for results
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
    found = package if _is_project(package) else current_project()
    if found is None:
        raise LabError("the project's folder was not found: run this from inside a clone of the project")
    return found


def current_project() -> Path | None:
    """Return the clone of the project that the current directory is in, which may be another than `project()`."""
    return next(filter(_is_project, (Path.cwd(), *Path.cwd().parents)), None)


def _is_project(folder):
    return (folder / "notebooks").is_dir() and (folder / "labhelpers").is_dir()


def optional_file(name: str) -> Path | None:
    """Return where a file is that only some figures need, such as `human_labels.COUNTS_FILE`; None if it is nowhere.

    It is in the project's folder `data`, or in or beside what `LAB_DATA` names.
    """
    usage.note("optional files", name)
    named = Path(os.environ.get("LAB_DATA") or project() / "data")
    paths = (folder / name for folder in (project() / "data", named, named.parent))
    return next((path for path in paths if path.is_file()), None)


def typed(path) -> Path:
    """Return the absolute path that someone meant who typed it.

    A notebook's kernel works in the folder of the notebook, and the command that started it was typed elsewhere
    (`PWD`): a relative path is looked for in both.

    Raises:
        LabError: it begins with `~`, and this user has no home folder.
    """
    path = _expanded(path)
    here, there = path.absolute(), Path(os.environ.get("PWD", ""), path).absolute()
    return there if os.path.exists(there) and not os.path.exists(here) else here  # noqa: PTH110 (allows long names)


def _expanded(path):
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise LabError(f"{path}: this user has no home folder, so write the path in full") from None


def out_dir() -> Path:
    """Return the folder for reports: `LAB_OUT` if it is set, else the project's `report`."""
    if not (named := os.environ.get("LAB_OUT")):
        return project() / "report"
    typed_in = os.environ.get("PWD", "") if usage.shell() else ""
    return Path(typed_in, _expanded(named)).absolute()


def results_dir() -> Path:
    """Return the folder for the figures and tables of this process; never that of a finished report.

    `lab report` sets `LAB_OUT` to a staging folder. Whoever runs a notebook in another way gets them in `LAB_OUT`, or
    in `by_hand` within it if that is a report, or in the project's `report/by_hand`.
    """
    folder = out_dir()
    if "LAB_USAGE" in os.environ:
        return folder
    claim(folder)
    is_report = folder == project() / "report" or (folder / "run.json").exists()
    return folder / "by_hand" if is_report else folder


def claim(folder: Path) -> None:
    """Create a folder for results and mark it as ours; errors as for `check_ours`."""
    check_ours(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()


def check_ours(folder: Path) -> None:
    """Raise a `LabError` if a folder for results, where files are replaced, holds files and not our mark."""
    with writing(folder):
        if folder.is_dir() and not (folder / MARK).exists() and any(folder.iterdir()):
            raise LabError(
                f"{folder} is not marked as a folder for results, and its files might be replaced: move them, or set "
                "LAB_OUT to a new or an empty folder"
            )


def figures_dir() -> Path:
    """Return the folder that `save_figure` writes to; never the committed `figures`."""
    return results_dir() / "figures"


def checkpoints_dir() -> Path:
    """Return the folder in which a long training in a notebook keeps its state, also if the run fails."""
    folder = project() / "report"
    claim(folder)
    return folder / "checkpoints"


def exclusive(path: Path, busy: str, wait: bool = False):
    """Lock a file until the returned context ends, so that no two processes do the same work at once.

    If another process holds the lock, raise `busy` as a `LabError`, or if `wait`, print it until that process ends.
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
    """Give a new path beside `path`; its file gets that name only if the block succeeds; errors as for `writing`."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    with writing(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
