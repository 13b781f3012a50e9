"""Run the notebooks in order, take over what each made only when it is whole, and keep what went before.

A notebook runs into a staging folder of its own. Only when it ran to its end and every figure that its committed run
made is there do its results replace earlier ones, file by file. So a failed or killed run costs nothing but its time.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from traitlets.config import Config

from labhelpers import data
from labhelpers.errors import DataUnavailable, LabError
from labhelpers.paths import QUICK_FOLDER, atomic_write, exclusive, out_dir, project, writing
from labhelpers.reporting import cache, notebooks

# What `--quick` sets, wherever a notebook has the parameter: a rehearsal, not a result.
QUICK = {"N_TRAIN": 2_000, "N_TRAIN_LARGER": 4_000, "EPOCHS": 1}
LONGEST = 80  # characters of the path of a folder of sockets; with their names, systems take 103 and more
NOTES = "usage.json"  # what a kernel used
VERSIONS = ("tensorflow", "keras", "numpy", "scipy", "matplotlib", "seaborn", "papermill")


def report(names=(), *, source=None, quick=False, force=False, values=None) -> Path:
    """Run the notebooks that changed since they last ran, then write the page.

    Args:
        names: notebooks by number, stem or file; none means all.
        source: the data, as for `data.load`; where none is available, stand-in images are used, with warnings.
        quick: few images, one epoch, into a folder of its own.
        force: run them whether or not they changed.
        values: parameters as text, by name, for every chosen notebook that declares them.

    Returns:
        The path of the page.

    Raises:
        LabError: anything a person can cause; what earlier runs made is untouched then.
    """
    chosen, settings, cifar, folder = _plan(names, source, quick, values)
    state = {"cifar": {"name": cifar.name, "digest": cifar.digest}, "versions": _versions()}
    # The kernels start in another folder: a relative path would lead nowhere from there.
    os.environ["LAB_DATA"] = cifar.source if cifar.is_standin else str(Path(cifar.source).absolute())
    with _alone_in(folder):
        for stem, notebook in chosen.items():
            if not force and not _reasons(folder, stem, notebook, settings[stem], cifar.digest):
                print(f"{stem}: unchanged")
                continue
            _run(notebook, stem, folder, state | {"parameters": settings[stem]})
        return _write_page(folder)


def explain(names=(), *, source=None, quick=False, force=False, values=None) -> list[str]:
    """Return for each notebook why `report` would run it, a line each; nothing is run, written or downloaded."""
    lines, named = [], {"LAB_DATA": str(source)} if source else {}  # beside which the human labels may be
    with _environment({"LAB_OFFLINE": "1"} | named):
        chosen, settings, cifar, folder = _plan(names, source, quick, values)
        for stem, notebook in chosen.items():
            why = ["--force"] * force + _reasons(folder, stem, notebook, settings[stem], cifar.digest)
            lines.append(f"{stem}: would run: {', '.join(why)}" if why else f"{stem}: unchanged")
    return lines


def _plan(names, source, quick, values):
    """Return the chosen notebooks and their parameters, both by stem, the data, and the folder for the results."""
    chosen = {path.stem: notebooks.read(path) for path in notebooks.select(list(names))}
    settings = _settings(chosen, values or {}, quick)
    cifar = _find_or_stand_in(source)
    return chosen, settings, cifar, _report_folder(cifar.is_standin, quick)


def _reasons(folder, stem, notebook, settings, data_digest) -> list[str]:
    """Return why the results in `folder` are not those that a notebook would give now; none if they are."""
    run = notebooks.read_runs(folder).get(stem)
    if run is None:
        return ["never ran to its end here"]
    return cache.reasons(run, notebook, settings, data_digest) + cache.damaged(folder, run["files"])


def _write_page(folder) -> Path:
    """Write the page, unless it is there and made of what there is now."""
    path, record = folder / "index.html", folder / "run.json"
    if path.exists() and notebooks.read_page(folder) == cache.of_page(folder):
        return path
    from labhelpers.reporting import page  # here, since it takes a second to load

    path = page.write(folder)
    runs = {"notebooks": notebooks.read_runs(folder), "page": cache.of_page(folder)}
    with atomic_write(record) as temporary:
        temporary.write_text(json.dumps(runs, indent=1, sort_keys=True))
    return path


def _settings(chosen, values, quick) -> dict[str, dict]:
    """Return the parameters to set, by notebook; unknown names and impossible values are errors."""
    declared = {stem: notebooks.parameters(notebook) for stem, notebook in chosen.items()}
    known = sorted({name for parameters in declared.values() for name in parameters})
    for name in values:
        if name not in known:
            raise LabError(f"no chosen notebook has a parameter {name!r}: choose from {', '.join(known)}")
    settings = {}
    for stem, parameters in declared.items():
        settings[stem] = {name: QUICK[name] for name in parameters if quick and name in QUICK}
        settings[stem] |= {
            name: parameters[name].parse(text) for name, text in values.items() if name in parameters
        }
    return settings


def _find_or_stand_in(source) -> data.Dataset:
    try:
        return data.find(source)
    except DataUnavailable as error:
        print(f"WARNING: {error}", file=sys.stderr)
        print(
            "WARNING: going on with stand-in images drawn by a program: every figure is stamped, and nothing of it "
            "is a result on CIFAR-10",
            file=sys.stderr,
        )
        return data.find("standin")


def _report_folder(is_standin, quick) -> Path:
    return out_dir().joinpath(*["standin"] * is_standin, *[QUICK_FOLDER] * quick)


def _versions() -> dict[str, str]:
    return {"python": ".".join(map(str, sys.version_info[:3]))} | {
        name: metadata.version(name) for name in VERSIONS
    }


@contextlib.contextmanager
def _alone_in(folder):
    """Hold the report folder, so that two reports at once don't mix their results; nothing half-made stays."""
    busy = f"another lab report is at work in {folder}: wait for it, or set LAB_OUT to another folder"
    with writing(folder), exclusive(folder / ".lock", busy):
        try:
            yield
        finally:  # also what a killed run left
            shutil.rmtree(folder / ".staging", ignore_errors=True)
            for partial in [*folder.glob(".index.*"), *folder.glob(".run.*")]:
                partial.unlink()


def _run(notebook, stem, folder, run) -> None:
    """Run one notebook into a staging folder and, if all is well, put its results in place."""
    staging = folder / ".staging" / stem
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "notebooks").mkdir(parents=True)
    executed = staging / "notebooks" / f"{stem}.ipynb"
    started, digest = time.time(), run["cifar"]["digest"]
    before = cache.before_run(notebook, run["parameters"], digest)
    try:
        ran = _execute(notebook, stem, run["parameters"], staging)
        _check_made(staging, notebook)
    except LabError as error:
        failed = _keep_failed(executed, folder)
        raise LabError(f"{stem}.ipynb {error} (see {failed}; earlier results are kept)") from error
    run["seconds"] = round(time.time() - started, 1)
    run["ended"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run["key"] = cache.after_run(before, notebook, run["parameters"], _take_notes(staging), digest)
    made = sorted(path for path in staging.rglob("*") if path.is_file())
    run["files"] = {path.relative_to(staging).as_posix(): cache.digest(path) for path in made}
    record = staging / "run.json"
    record.write_text(
        json.dumps({"notebooks": notebooks.read_runs(folder) | {stem: run}}, indent=1, sort_keys=True)
    )
    # Nothing of this needs space on the disk. Killed in the middle, it leaves files that differ from the record:
    # the next run makes them anew.
    for path in [*made, record]:
        target = folder / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    print(f"{stem}: {run['seconds']:.0f} s, made {', '.join(notebooks.figures(ran)) or 'no figures'}")


def _execute(notebook, stem, settings, staging):
    """Run one notebook in the staging folder; returns it as it was executed."""
    import papermill  # here, since it takes a second to load
    from papermill.exceptions import PapermillExecutionError

    environment = {
        "LAB_OUT": str(staging),
        "LAB_PROGRESS": "0",
        "LAB_USAGE": str(staging / NOTES),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # else figures are no outputs
    }
    bar = {"desc": stem, "leave": False} if sys.stderr.isatty() else False
    for logger in ("papermill", "asyncio", "tornado"):  # what goes wrong is told below, in one line
        logging.getLogger(logger).setLevel(logging.CRITICAL + 1)
    executed = f"notebooks/{stem}.ipynb"  # papermill notes it in the notebook: not for a path of this machine
    try:
        with _environment(environment), contextlib.chdir(staging), _kernel_config() as config:
            ran = papermill.execute_notebook(
                notebook,
                executed,
                parameters=settings,
                kernel_name="python3",
                language="python",  # which a notebook from elsewhere may not say
                cwd=project() / "notebooks",
                progress_bar=bar,
                config=config,
            )
    except PapermillExecutionError as error:
        reason = str(error.evalue).strip().splitlines() or ["no message"]
        raise LabError(f"failed in cell {error.exec_count} with {error.ename}: {reason[-1]}") from error
    except RuntimeError as error:  # the kernel died, or never answered
        cells = notebooks.read(staging / executed).cells
        started = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.start_time]
        raise LabError(
            f"failed in cell {len(started)}: its kernel was killed, most often for lack of memory; close other programs "
            "and run again"
            if started
            else f"could not start ({error}): close other programs or install the packages again, then run again"
        ) from error
    for cell in ran.cells:
        if cell.metadata.papermill.exception:  # papermill takes sys.exit() for success
            raise LabError(f"ended early in cell {cell.execution_count}, with sys.exit(): take that out")
    return ran


@contextlib.contextmanager
def _kernel_config():
    """Give a configuration for one kernel, which is talked to through files in a folder of its own.

    They are safer than network ports, which other programs could race for (papermill#511).
    """
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        manager = {"connection_file": f"{folder}/kernel.json"}
        if sys.platform != "win32" and folder.isascii() and len(folder) <= LONGEST:
            manager["transport"] = "ipc"
        # All a kernel makes is saved by its cells. Asked to shut down it may yet tell of what goes wrong in that.
        # Its last output may be late where the machine is busy: the default of 4 s would end the run.
        client = {"shutdown_kernel": "immediate", "iopub_timeout": 120}
        yield Config({"KernelManager": manager, "NotebookClient": client})


@contextlib.contextmanager
def _environment(variables):
    saved = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _keep_failed(executed: Path, folder: Path) -> Path:
    """Move the notebook that failed to where it can be looked at."""
    failed = folder / "failed" / executed.name
    failed.parent.mkdir(exist_ok=True)
    executed.replace(failed)
    return failed


def _take_notes(staging) -> dict | None:
    """Return what the kernel noted that it used, and remove its notes; None if they are missing or cut short."""
    notes = staging / NOTES
    try:
        return json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    finally:
        notes.unlink(missing_ok=True)


def _check_made(staging, notebook) -> None:
    """Check that what the committed run made was made again: a notebook may run to its end and have drawn nothing.

    Where the code has changed since, it may make other figures.
    """
    if notebooks.is_as_run(notebook):
        missing = [name for name in notebooks.made(notebook) if not (staging / name).is_file()]
        if missing:
            names = ", ".join(name.removeprefix("figures/") for name in missing)
            raise LabError(f"ran to its end but did not make {names}: check the cells that save them")
