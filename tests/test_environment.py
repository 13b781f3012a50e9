"""The environment: the lists of packages are in step, and `make` sets up what they say, whatever happens to it."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import labhelpers

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DIRECT = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["test"]]
MINORS = [minor for minor in range(100) if f"3.{minor}.0" in SpecifierSet(PROJECT["project"]["requires-python"])]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


# The lists


def test_environment_yml_is_the_list_of_pyproject():
    *conda, last = yaml.safe_load(read("environment.yml"))["dependencies"]
    assert [re.split("[=<>]", package)[0] for package in conda] == ["python", "pip"]
    assert last["pip"] == [*DIRECT, "-e ."]
    assert yaml.safe_load(read("environment.yml"))["channels"] == ["conda-forge"]


def test_lock_holds_versions_markers_and_hashes_and_nothing_else():
    """So it holds no address either, and sends nobody to the index it was made with."""
    entry = (
        r"[a-z0-9-]+==[\w.+!]+( ; [^\\:]+)? \\\n(    --hash=sha256:[0-9a-f]{64} \\\n)*    --hash=sha256:[0-9a-f]{64}\n"
    )
    assert re.fullmatch(f"({entry})+", read("requirements.lock"))


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_lock_satisfies_pyproject(minor, system):
    here = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9", "sys_platform": system}
    locked = [Requirement(line.rstrip(" \\")) for line in read("requirements.lock").splitlines() if "==" in line]
    for wanted in map(Requirement, [*DIRECT, *PROJECT["build-system"]["requires"]]):
        versions = [
            str(one.specifier).removeprefix("==")
            for one in locked
            if one.name == canonicalize_name(wanted.name) and (not one.marker or one.marker.evaluate(here))
        ]
        assert len(versions) == 1 and versions[0] in wanted.specifier, f"{wanted} is locked to {versions}"


def test_same_pythons_and_version_everywhere():
    pythons = [f"3.{minor}" for minor in MINORS]
    assert yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]["matrix"]["python"] == pythons
    assert f"FITTING = [{', '.join(f'(3, {minor})' for minor in MINORS)}]" in read("setup_venv.py")

    assert PROJECT["project"]["version"] == labhelpers.__version__
    assert yaml.safe_load(read("CITATION.cff"))["version"] == labhelpers.__version__


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git repository")
def test_git_ignores_nothing_that_a_clone_needs():
    """A pattern such as `report/` without a slash before it reaches into every folder."""
    listing = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "labhelpers", "tests", "notebooks"]
    ignored = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [path for path in ignored if not re.search("__pycache__|checkpoints|egg-info", path)] == []


# What make does. A stub project, whose one dependency is a wheel made here: nothing is fetched, all is quick.

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
PYTHON = sys._base_executable
HAS_PIP = subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0

BACKEND = '''
import zipfile

def wheel(folder, name, module, entry_points=""):
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", module)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(f"{info}/entry_points.txt", entry_points)
        file.writestr(f"{info}/RECORD", "")
    return f"{name}-1.0-py3-none-any.whl"

LAB = """
def main():
    import sys, tiny
    print("lab", *sys.argv[1:], "with tiny", tiny.VALUE)
"""

def build_editable(folder, settings=None, metadata=None):
    return wheel(folder, "labhelpers", LAB, "[console_scripts]\\nlab = labhelpers:main\\n")
'''
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "labhelpers"
version = "1.0"
"""


# What Debian's Python does without python3-venv, and without python3-pip, too.
WITHOUT_ENSUREPIP = """
call = subprocess.call
def fail(command, **options):
    if command[1:] == ["-m", "venv", ".venv"]:
        os.makedirs(".venv/bin")
        return 1
    return call(command, **options)
subprocess.call = fail
"""
WITHOUT_PIP = """
no_ensurepip = subprocess.call
subprocess.call = lambda command, **options: command[1:3] == ["-m", "pip"] or no_ensurepip(command, **options)
"""
OLD = "sys.version_info = (3, 10, 13)"


class Stub:
    """A project in a folder with an awkward name, with the Makefile and the set-up of this one."""

    def __init__(self, home):
        self.home = home
        self.root = home / "mes études (1)"
        self.root.mkdir()
        shutil.copy(ROOT / "Makefile", self.root)
        shutil.copy(ROOT / "setup_venv.py", self.root)
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        self.lock(1)
        # Also the quicker way, so most tests go it.
        self.python = self.wrap("debian", WITHOUT_ENSUREPIP) if HAS_PIP else PYTHON

    def lock(self, value):
        """Make a package, and lock the project to it."""
        scope = {}
        exec(BACKEND, scope)
        wheel = self.home / scope["wheel"](self.home, "tiny", f"VALUE = {value}")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        (self.root / "requirements.lock").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")

    def wrap(self, name, changes):
        """Make a Python of this name that behaves differently."""
        start = "sys.argv.pop(0)\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
        (self.home / f"{name}.py").write_text(f"import os, runpy, subprocess, sys\n{changes}\n{start}")
        path = self.home / name
        path.write_text(f'#!/bin/sh\nexec "{PYTHON}" "{path}.py" "$@"\n')
        path.chmod(0o755)
        return path

    def start(self, *arguments, python=None):
        # What a make around these tests passes on is not for the make within.
        outer = ("MAKE", "PIP_", "PYTHON", "GNUMAKE", "MFLAGS")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
        offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
        return subprocess.Popen(
            ["make", f"PYTHON={python or self.python}", *arguments],
            cwd=self.root,
            env=kept | offline | {"PIP_FIND_LINKS": self.home.as_uri()},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True},
        )

    def make(self, *arguments, python=None):
        process = self.start(*arguments, python=python)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def stub(tmp_path):
    return Stub(tmp_path)


def complaint(done):
    """The one line that says what is wrong; make adds a line of its own, with the target."""
    assert done.returncode == 2, done
    (line,) = [line for line in done.stderr.splitlines() if re.match(r"make: (?!\*\*\*)", line)]
    return line


READY = "lab report with tiny {}\n"


@needs_make
def test_sets_up_once_and_again_only_what_changed(stub):
    first = stub.make("report", python=PYTHON)
    assert first.returncode == 0 and first.stderr == ""
    says, rest = first.stdout.split("\n", 1)
    assert re.match(r"setting up \.venv with Python 3\.\d+\.\d+.*: 1 to 2 minutes, 3 GB on disk", says)
    assert rest == READY.format(1)

    for name in ("requirements.lock", "pyproject.toml", "Makefile"):
        os.utime(stub.root / name)
    lab, kept = stub.root / ".venv/bin/lab", stub.root / ".venv/kept"
    kept.touch()
    installed = lab.stat().st_mtime_ns
    stamp = (stub.root / ".venv/stamp.lock").stat().st_mtime_ns
    assert stub.make("report").stdout == READY.format(1)
    assert lab.stat().st_mtime_ns == installed
    assert (stub.root / ".venv/stamp.lock").stat().st_mtime_ns == stamp, "nothing was done again"

    with (stub.root / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert stub.make("report").stdout == READY.format(1)
    assert lab.stat().st_mtime_ns > installed and kept.exists(), "the package anew, the rest as it was"

    # From within the venv that is made anew: where a student has activated it, it is the `python3` on PATH.
    stub.lock(2)
    assert stub.make("report", python=".venv/bin/python3").stdout.endswith(READY.format(2))
    assert not kept.exists(), "from scratch: what the lock no longer holds is gone"

    stub.root = stub.root.rename(stub.home / "moved")
    moved = stub.make("report")
    assert moved.stdout.startswith("setting up") and moved.stdout.endswith(READY.format(2))


@needs_make
def test_failure_leaves_nothing_that_is_taken_for_good(stub):
    good = (stub.root / "requirements.lock").read_text()
    (stub.root / "requirements.lock").write_text(re.sub("[0-9a-f]{64}", "0" * 64, good))
    for _ in range(2):
        failed = stub.make("report")
        assert "pip failed, see above" in complaint(failed) and "lab report" not in failed.stdout
    (stub.root / "requirements.lock").write_text(good)
    assert stub.make("report").stdout.endswith(READY.format(1))


@needs_make
def test_killed_half_way_it_starts_afresh(stub):
    # A pip that has unpacked a package in part when the power goes; pip itself would take it for installed.
    stub.make("setup")
    (package,) = (stub.root / ".venv").glob("lib/python*/site-packages/tiny.py")
    (stub.root / ".venv/stamp.lock").unlink()
    package.write_text("")
    process = stub.start("report")
    while package.exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (stub.root / ".venv/stamp.lock").exists()
    done = stub.make("report")
    assert done.stdout.startswith("setting up") and done.stdout.endswith(READY.format(1))


@needs_make
@pytest.mark.skipif(not shutil.which("flock"), reason="there is no flock")
def test_two_at_once_set_up_once(stub):
    outputs = [process.communicate(timeout=120) for process in [stub.start("report"), stub.start("report")]]
    assert sorted(out.count("setting up") for out, _ in outputs) == [0, 1]
    assert all(out.endswith(READY.format(1)) and err == "" for out, err in outputs)


@needs_make
def test_a_python_that_does_not_fit(stub):
    old = stub.wrap("python3.10", OLD)
    line = complaint(stub.make("report", python=old))
    assert line.startswith("make: needs Python 3.11, 3.12 or 3.13, this is 3.10.13: name another, make PYTHON=")
    assert not (stub.root / ".venv").exists()
    assert stub.make("report").returncode == 0
    complaint(stub.make("report", python=old))
    assert stub.make("report").stdout == READY.format(1), "what was there is untouched"


@needs_make
def test_an_environment_of_someone_else_is_never_deleted(stub):
    theirs = stub.root / ".venv/lib/theirs.py"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    line = complaint(stub.make("report"))
    assert line == "make: .venv was not created by make: rename or delete it, then run this again"
    assert theirs.exists()


@needs_make
@pytest.mark.skipif(not HAS_PIP, reason="the Python that this venv was made from has no pip of its own")
def test_debian_without_ensurepip(stub):
    done = stub.make("report")
    assert done.stderr == "" and done.stdout.endswith(READY.format(1))
    assert not (stub.root / ".venv/bin/pip").exists()

    shutil.rmtree(stub.root / ".venv")
    bare = stub.wrap("bare", WITHOUT_ENSUREPIP + WITHOUT_PIP)
    assert "apt install python3-pip" in complaint(stub.make("report", python=bare))


@needs_make
def test_help_lists_every_target(stub):
    targets = set(re.search(r"^\.PHONY: (.+)$", read("Makefile"), re.M).group(1).split()) - {"help", "setup"}
    assert set(re.findall(r"^make ([\w-]+)", stub.make().stdout, re.M)) == targets


@needs_make
def test_pytest_has_the_last_word(stub):
    assert stub.make("-n", "test").stdout.splitlines()[-2:] == [
        ".venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy",
        ".venv/bin/pytest -n 3 --no-loadscope-reorder",
    ]
