"""Check this machine and environment, and say what to fix: `lab doctor`.

A check is a function that returns what is good, or raises a `LabError` that says what is wrong and what to do.
"""

import os
import sys
from pathlib import Path

from labhelpers import machine
from labhelpers.errors import DataUnavailable, LabError

# Each check imports what it needs: a file that takes the place of a module is named before that does harm.

MEMORY, DISK = 1.5e9, 1e9  # bytes that a notebook takes at most, and that a report does
VARIABLES = ["LAB_DATA", "LAB_MIRRORS", "LAB_OFFLINE", "LAB_OUT", "LAB_PROGRESS", "LAB_THREADS"]
AGAIN = "run make setup, or python setup_venv.py"


def doctor() -> list[str]:
    """Print a line for each check; return the names of those that found something to fix."""
    faulty = []
    for check in (modules, python, packages, tensorflow, cores, memory, disk, kernel, data, variables, settings):
        try:
            print(f"good  {check.__name__}: {check()}", flush=True)
        except ModuleNotFoundError:  # the command says what to do
            raise
        except Exception as error:  # whatever is wrong with this machine, the other checks go on
            reason = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
            print(f"FIX   {check.__name__}: {' '.join(reason.split())}", flush=True)
            faulty.append(check.__name__)
            if check is modules:  # whatever else failed would fail because of it
                break
    return faulty


def modules() -> str:
    """Look for files that shadow Python's modules or installed packages."""
    import sysconfig
    from importlib.machinery import PathFinder

    installed, project = Path(sysconfig.get_path("purelib")), Path(__file__).parents[1]
    names = {*sys.stdlib_module_names, *(one.name.partition(".")[0] for one in installed.iterdir())} - {"labhelpers"}
    folders = dict.fromkeys(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), "unset PYTHONPATH")
    folders |= dict.fromkeys(map(str, [Path.cwd(), project / "notebooks", project / "my_notebooks"]), "rename it")
    for folder, remedy in folders.items():
        for name in sorted(names) if os.path.realpath(folder) != os.path.realpath(installed) else []:
            spec = PathFinder.find_spec(name, [folder])
            if spec and spec.origin:  # else it is a folder without code
                raise LabError(f"{name} is taken from {spec.origin}: {remedy}")
    return "none is shadowed by a file"


def python() -> str:
    """Check the version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise LabError(f"this is {version}, which TensorFlow does not support: make PYTHON=python3.12 setup")
    return f"{version} in {sys.prefix}"


def packages() -> str:
    """Compare the installed packages with requirements.lock."""
    import importlib.metadata
    import re

    from packaging.requirements import Requirement

    from labhelpers import paths

    lock = (paths.project() / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line.rstrip("\\ ")) for line in lock if re.match(r"[\w.-]+==", line)]
    wanted = [package for package in wanted if not package.marker or package.marker.evaluate()]
    installed = {one.name.lower().replace("_", "-"): one.version for one in importlib.metadata.distributions()}
    other = [one.name for one in wanted if one.name in installed and installed[one.name] not in one.specifier]
    missing = [one.name for one in wanted if one.name not in installed]
    if other or missing:
        texts = {"of another version": other, "missing": missing}
        faults = [f"{', '.join(names[:4])}{' …' * (len(names) > 4)} {text}" for text, names in texts.items() if names]
        raise LabError(f"{'; '.join(faults)}: {AGAIN}")
    return f"all {len(wanted)} as in requirements.lock"


def tensorflow() -> str:
    """Start TensorFlow, in a process of its own, because a crash would end this one."""
    import signal
    import subprocess

    code = "from labhelpers.backend import keras, tf; print(tf.__version__, keras.__version__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if run.returncode and run.returncode == -getattr(signal, "SIGILL", 0):
        raise LabError(f"it stops at an instruction that this processor ({machine.processor()}) lacks: use another")
    if run.returncode:
        lines = run.stderr.splitlines() or [f"its process ended with {run.returncode}"]
        reasons = [line.partition("LabError: ")[2] for line in lines if "LabError: " in line]
        raise LabError(f"{(reasons or lines[-1:])[0].removesuffix('; run lab doctor')}: {AGAIN}")
    return "TensorFlow {}, Keras {}, on {}".format(*run.stdout.split()[-2:], machine.processor())


def cores() -> str:
    """Compare the threads that would compute with the quota of a container."""
    threads, quota = machine.threads(), machine.quota()
    if quota < threads - 0.5:
        raise LabError(f"{threads} threads would share {quota:g} cores: set LAB_THREADS={max(1, round(quota))}")
    return f"{threads} threads on {os.cpu_count()} cores"


def memory() -> str:
    """Check the memory that is free."""
    free = machine.free_memory()
    if free < MEMORY:
        raise LabError(f"{free / 1e9:.1f} GB free, and a notebook takes up to {MEMORY / 1e9:g}: close other programs")
    return f"{free / 1e9:.1f} GB free"


def disk() -> str:
    """Check the disk on which reports are written."""
    import shutil

    from labhelpers import paths

    folder = paths.out_dir()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        raise LabError(f"{existing} can't be written: name another folder with LAB_OUT")
    free = shutil.disk_usage(existing).free
    if free < DISK:
        raise LabError(f"{free / 1e9:.1f} GB free in {existing}, a report takes up to {DISK / 1e9:g}: free some space")
    return f"{free / 1e9:.0f} GB free for {folder}"


def kernel() -> str:
    """Check which Python runs notebooks that are opened by hand."""
    import warnings

    from jupyter_client.kernelspec import KernelSpecManager

    try:
        with warnings.catch_warnings(action="ignore"):  # IPython's, of a home that can't be written
            program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except RuntimeError:  # of pathlib
        raise LabError("this user has no home folder, which Jupyter needs: set HOME to a folder") from None
    by_name = Path(program).name == program  # then it is this Python
    if not by_name and Path(program).parent != Path(sys.executable).parent:
        raise LabError(f"the kernel python3 is {program}, not {sys.executable}: jupyter kernelspec remove python3")
    return f"python3 is {sys.executable}"


def data() -> str:
    """Look for CIFAR-10 without downloading it."""
    from unittest.mock import patch

    from labhelpers import data

    try:
        with patch.dict(os.environ, {"LAB_OFFLINE": "1"}):
            found = data.find()
    except DataUnavailable:
        raise LabError("not on this machine: lab data downloads it (170 MB), or name a copy with LAB_DATA") from None
    return f"{found.name} in {found.source}, digest {found.digest[:12]}…"


def variables() -> str:
    """Check the variables of this project."""
    from labhelpers import paths

    names = sorted(name for name in os.environ if name.startswith("LAB_"))
    if unknown := [name for name in names if name not in VARIABLES]:
        raise LabError(f"{', '.join(unknown)} has no meaning here: unset it, or choose from {', '.join(VARIABLES)}")
    paths.check_ours(paths.out_dir())
    return ", ".join(f"{name}={os.environ[name]}" for name in names) or "none of LAB_… is set"


def settings() -> str:
    """Find settings of Keras, matplotlib and Jupyter that this project ignores but other programs follow."""
    import json

    import matplotlib

    home = Path(os.path.expanduser("~"))  # noqa: PTH111  pathlib fails where there is none
    settings = Path(os.environ.get("KERAS_HOME") or home / ".keras") / "keras.json"
    defaults = {"floatx": "float32", "epsilon": 1e-7, "backend": "tensorflow", "image_data_format": "channels_last"}
    keras = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    changed = [
        f"{settings} ({name}: {keras[name]})" for name in keras if keras[name] not in (defaults.get(name), None, False)
    ]
    if Path(matplotlib.matplotlib_fname()).parent.name != "mpl-data":
        changed.append(matplotlib.matplotlib_fname())
    ipython = Path(os.environ.get("IPYTHONDIR") or home / ".ipython") / "profile_default"
    changed += [str(path) for path in (*ipython.glob("startup/*.py"), *ipython.glob("*config.py"))]
    return f"the report ignores {', '.join(changed)}" if changed else "none that would matter"
