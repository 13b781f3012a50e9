"""Run notebooks, and keep what a run made only if it is complete.

A notebook runs in a staging folder. Its results replace earlier ones, file by file, only if it ran to its end and made
every figure of its committed run. So a run that fails or is killed costs nothing but its time.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

from labhelpers import data
from labhelpers.errors import DataUnavailable, LabError, NotReproduced
from labhelpers.paths import QUICK_FOLDER, atomic_write, claim, exclusive, out_dir, writing
from labhelpers.reporting import cache, notebooks

# What `--quick` sets, wherever a notebook has the parameter: a rehearsal, not a result.
QUICK = {"N_TRAIN": 2_000, "N_TRAIN_LARGER": 4_000, "EPOCHS": 1}
VERSIONS = ("tensorflow", "keras", "numpy", "scipy", "matplotlib", "seaborn", "papermill")


def report(names, source, quick, force, values: dict[str, str], explain, strict) -> Path | None:
    """Run the notebooks that changed since they last ran, then write the page; return its path.

    The arguments are the options of `lab report`. For `explain` nothing is run, written or downloaded, and there is no
    page to return.

    Raises:
        LabError: a user error; the results of earlier runs are untouched then.
        NotReproduced: for `strict`.
    """
    chosen = {path.stem: notebooks.read_source(path) for path in notebooks.select(names)}
    given = settings(chosen, values, quick)
    if explain:
        os.environ["LAB_OFFLINE"] = "1"
    cifar = find_or_stand_in(source)
    folder = out_dir().joinpath(*["standin"] * cifar.is_standin, *[QUICK_FOLDER] * quick)
    runs, reasons = notebooks.read_record(folder)["notebooks"], {}
    for stem, notebook in chosen.items():
        reasons[stem] = ["--force"] * force
        if run := runs.get(stem):
            reasons[stem] += cache.reasons(run["key"], notebook, given[stem], cifar.digest)
            reasons[stem] += cache.damaged(folder, run["files"])
        else:
            reasons[stem] += ["never ran to its end here"]
        if explain:
            print(f"{stem}: would run: {', '.join(reasons[stem])}" if reasons[stem] else f"{stem}: unchanged")
    if explain:
        return None
    versions = {"python": sys.version.split()[0]} | {name: metadata.version(name) for name in VERSIONS}
    state = {"cifar": {"name": cifar.name, "digest": cifar.digest}, "versions": versions}
    claim(out_dir())
    with locked(folder), _own_settings() as temporary:
        for stem, notebook in chosen.items():
            if reasons[stem]:
                _run(notebook, stem, folder, temporary, state | {"parameters": given[stem]})
            else:
                print(f"{stem}: unchanged", flush=True)
        _write_page(folder)
    _say_whether_reproduced(folder, reasons, strict)
    return folder / "index.html"


def find_or_stand_in(source):
    """Find the data, or warn and take stand-in images; kernels started later use the same."""
    try:
        cifar = data.find(source)
    except DataUnavailable as error:
        standin = "going on with stand-in images: every figure is stamped, and nothing of it is a result on CIFAR-10"
        print(f"WARNING: {error}\nWARNING: {standin}", file=sys.stderr)
        cifar = data.find("standin")
    # Absolute, since the kernels start in another folder. The human labels may be beside the data.
    os.environ["LAB_DATA"] = cifar.source if cifar.is_standin else str(Path(cifar.source).absolute())
    return cifar


def settings(chosen, values, quick) -> dict[str, dict]:
    """Return the parameters to set, by notebook; unknown names and impossible values are errors."""
    declared = {stem: notebooks.parameters(notebook) for stem, notebook in chosen.items()}
    lost = [stem for stem, parameters in declared.items() if not parameters]
    if lost and (quick or values):
        what = f"{lost[0]} has no parameters in a cell with the tag `parameters`"
        raise LabError(f"{what}, so nothing can be set: restore the notebook, for example with git, or tag that cell")
    for name in values:
        having = [stem for stem, parameters in declared.items() if name in parameters]
        if not having:
            known = sorted({name for parameters in declared.values() for name in parameters})
            raise LabError(f"no chosen notebook has a parameter {name!r}: choose from {', '.join(known)}")
        if len(having) < len(declared):
            lacking = next(stem for stem in declared if stem not in having)
            numbers = " ".join(stem[:2] for stem in having)
            raise LabError(
                f"{lacking} has no parameter {name!r}: choose notebooks that have it, as in lab report {numbers}"
            )
    return {
        stem: {name: QUICK[name] for name in parameters if quick and name in QUICK}
        | {name: parameters[name].parse(text) for name, text in values.items()}
        for stem, parameters in declared.items()
    }


def _write_page(folder) -> None:
    """Write the page, unless neither it nor anything that it is made of has changed."""
    record = notebooks.read_record(folder)
    if record["page"] != cache.page_key(folder):
        from labhelpers.reporting import page  # here, since it takes a second to load

        page.write(folder)
        with atomic_write(folder / "run.json") as temporary:
            temporary.write_text(json.dumps(record | {"page": cache.page_key(folder)}, indent=1, sort_keys=True))


def _say_whether_reproduced(folder, reasons, strict) -> None:
    """Print a line for each notebook, and the total; a notebook without a reason did not run again."""
    runs = notebooks.read_record(folder)["notebooks"]
    results = {stem: runs[stem].get("reproduction") for stem in reasons}
    for stem, result in results.items():
        line = result["line"] if result else "not compared, because no cell calls compare()"
        print(f"{stem[:2]}: {line}{'' if reasons[stem] else ' (when it last ran; --force compares again)'}")
    print(f"total: {notebooks.outcomes(results.values())}")
    outside = [stem for stem, result in results.items() if result and result["outcome"] == "outside"]
    if outside and strict:
        raise NotReproduced(
            f"not reproduced: {', '.join(outside)}; see the lines above for what is outside, and its limits"
        )


@contextlib.contextmanager
def locked(folder):
    """Lock the report folder, so that two reports at once don't mix their results; remove partial files at the end."""
    busy = f"another lab report is at work in {folder}: wait for it, or set LAB_OUT to another folder"
    with writing(folder), exclusive(folder / ".lock", busy):
        try:
            yield
        finally:  # also what a killed run left
            shutil.rmtree(folder / ".staging", ignore_errors=True)
            for partial in [*folder.glob(".index.*"), *folder.glob(".run.*")]:
                partial.unlink()


@contextlib.contextmanager
def _own_settings():
    """Keep the user's own settings of Jupyter, IPython and Python out of the report, and need no home for them.

    Gives a temporary folder, in which the kernels find what they need.
    """
    with writing("temporary files", "free some space or choose another folder with TMPDIR"):
        temporary = tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True)
    with temporary as folder:
        folders = dict.fromkeys(("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"), folder)
        others = dict.fromkeys(("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "PYTHONSTARTUP"), "")
        with patch.dict(os.environ, folders | others, JUPYTER_PREFER_ENV_PATH="1"):  # this Python's kernel goes first
            yield folder


def _run(notebook, stem, folder, temporary, run) -> None:
    """Run one notebook into a staging folder and, if it succeeds, move its results into `folder`."""
    from labhelpers.reporting import kernel  # here, since it takes a second to load

    staging = folder / ".staging" / stem
    shutil.rmtree(staging.parent, ignore_errors=True)
    (staging / "notebooks").mkdir(parents=True)
    notes = staging.with_suffix(".json")  # where the kernel notes what it used
    started, before = time.time(), cache.snapshot()
    environment = {"LAB_OUT": str(staging), "LAB_PROGRESS": "0", "LAB_USAGE": str(notes)}
    environment["PWD"] = str(Path.cwd())  # where paths among the parameters were typed
    try:
        with patch.dict(os.environ, environment), contextlib.chdir(staging):
            executed = kernel.run(notebook, stem, run["parameters"], temporary)
        # If the code has changed since the committed run, it may make other figures.
        missing = [name for name in notebooks.made(notebook) if not (staging / name).is_file()]
        if missing and notebooks.is_as_run(notebook):
            names = ", ".join(name.removeprefix("figures/") for name in missing)
            raise LabError(f"ran to its end but did not make {names}: check the cells that save them")
    except LabError as error:
        failed = folder / "failed" / f"{stem}.ipynb"
        failed.parent.mkdir(exist_ok=True)
        (staging / "notebooks" / failed.name).replace(failed)
        raise LabError(f"{failed.name} {error} (see {failed}; earlier results are kept)") from error
    try:
        used = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        used = None
    run["seconds"] = round(time.time() - started, 1)
    run["ended"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    results = (notebooks.noted(output, "reproduction") for output in notebooks.outputs(executed))
    run["reproduction"] = next(filter(None, results), None)
    run["key"] = cache.key(notebook, run["parameters"], used, run["cifar"]["digest"], before)
    made = sorted(path for path in staging.rglob("*") if path.is_file())
    run["files"] = {path.relative_to(staging).as_posix(): cache.digest(path) for path in made}
    record, runs = staging / "run.json", notebooks.read_record(folder)["notebooks"] | {stem: run}
    record.write_text(json.dumps({"notebooks": runs}, indent=1, sort_keys=True))
    # This needs no space on the disk. If it is killed halfway, some files differ from the record, and the next run
    # makes them again.
    for path in [*made, record]:
        target = folder / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    print(f"{stem}: {run['seconds']:.0f} s, made {', '.join(notebooks.figures(executed)) or 'no figures'}", flush=True)
