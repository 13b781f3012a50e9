"""Fixtures: the data that tests run on, copies of the project, and what keeps tests apart."""

import compileall
import gzip
import hashlib
import io
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import matplotlib
import pytest
from xdist.scheduler import LoadScopeScheduling

from labhelpers import cifar10, data
from labhelpers.errors import DataUnavailable

matplotlib.use("Agg")  # not by MPLBACKEND, which kernels would inherit
ROOT = Path(__file__).parents[1]
LONGEST = {"notebooks", "study", "faults", "training", "report", "sweep"}
collect_ignore = ["fixtures"]  # by `pytest --nbval`: notebooks that are made to fail


# They import TensorFlow, or start kernels and other processes.
SLOW = LONGEST | {
    "airbench",
    "backend",
    "comparison",
    "doctor",
    "duplicates",
    "environment",
    "examples",
    "experiments",
    "jupyterlab",
    "kernels",
    "models",
    "parameters",
    "progress",
    "weights",
}


def pytest_ignore_collect(collection_path, config):
    """`make quick-test` does not even import what it leaves out: TensorFlow takes seconds in each process."""
    if config.option.markexpr == "not slow" and collection_path.stem.removeprefix("test_") in SLOW:
        return True


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that at the end no core waits long for another."""
    for item in items:
        if item.path.stem.removeprefix("test_") in SLOW:
            item.add_marker("slow")
    items.sort(key=lambda item: ("long" not in item.keywords, item.path.stem.removeprefix("test_") not in LONGEST))


class ByFile(LoadScopeScheduling):
    """Give each core a file at a time, since its tests share fixtures, but the long tests one by one."""

    def _split_scope(self, nodeid):
        return nodeid if "::test_nbval[" in nodeid or "::test_baseline_is" in nodeid else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_download():
    """Tests never download: LAB_OFFLINE is set, and every connection that leaves this machine fails."""
    connect = socket.socket.connect

    def connect_locally(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"a test tried to reach {address}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_OFFLINE", "1")
        patch.setattr(socket.socket, "connect", connect_locally)
        yield


@pytest.fixture(autouse=True)
def separate(monkeypatch, tmp_path):
    """Give each test its own folder for results; no test's data set or open figures reach the next one."""
    monkeypatch.setenv("LAB_OUT", str(tmp_path / "out"))
    monkeypatch.setattr(data, "loaded_names", set())
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def cifar():
    """The real CIFAR-10 where this machine has it, else the stand-in images."""
    try:
        return data.load()
    except DataUnavailable:
        return data.load("standin")


@pytest.fixture(scope="session")
def real_cifar(cifar):
    """The real CIFAR-10; without it the test is skipped."""
    if cifar.is_standin:
        pytest.skip("the real CIFAR-10 is not on this machine: name it with LAB_DATA")
    return cifar


@pytest.fixture
def tells():
    """A context that must end in an error of exactly this kind, in one line with these words."""

    @contextmanager
    def context(kind, *words):
        with pytest.raises(kind) as caught:
            yield
        message = str(caught.value)
        assert caught.type is kind and message and "\n" not in message
        assert all(str(word) in message for word in words), message

    return context


class Project:
    """A copy of the project, in a folder with an awkward name, in which commands run.

    Its notebooks are those of tests/fixtures, each named for what must happen to it. Its library takes a tiny
    archive for the official one, so that CIFAR-10 is there, complete or damaged, on every machine.

    Attributes:
        root: its path.
        seen: its path as the test sees it: another one while a disk is mounted there.
        variables: environment variables of its commands.
        prefix: words before each command, such as those that take a right away from it.
        meanwhile: what to do with the process while a command runs.
        at_end: contexts to close when the test ends.
    """

    def __init__(self, root: Path):
        self.root = self.seen = root
        home, temporary = root.parent / "home", root.parents[1] / "tmp"
        for folder in (home, temporary):
            folder.mkdir(exist_ok=True)
        self.variables = {
            "HOME": str(home),
            "MPLCONFIGDIR": str(root.parents[1] / "matplotlib"),  # its cache of fonts takes seconds to make
            "PYTHONPATH": str(root),
            "TMPDIR": str(temporary),
        }
        self.prefix, self.meanwhile, self.at_end = [], None, ExitStack()

    @classmethod
    def make(cls, root: Path) -> "Project":
        (root / "notebooks").mkdir(parents=True)
        (root / "notebooks/GLOSSARY.md").write_text("# Glossary\n", encoding="utf-8")
        (root / "data").mkdir()
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "labhelpers", root / "labhelpers", ignore=ignored)
        shutil.copy(ROOT / "requirements.lock", root)
        batches = {name: random.Random(name).randbytes(3_000) for name in cifar10.BATCH_SHA256}
        archive = packed({f"{cifar10.FOLDER}/{name}": batch for name, batch in batches.items()})
        (root / "data" / cifar10.ARCHIVE).write_bytes(archive)
        constants = root / "labhelpers" / "cifar10.py"
        official = {cifar10.BATCH_SHA256[name]: batch for name, batch in batches.items()}
        for sha256, content in (official | {cifar10.ARCHIVE_SHA256: archive}).items():
            replace(constants, sha256, hashlib.sha256(content).hexdigest())
        replace(constants, f"{cifar10.ARCHIVE_BYTES:_}", str(len(archive)))
        compileall.compile_dir(root / "labhelpers", quiet=1)  # once for all copies and commands
        return cls(root)

    def copy(self, root: Path) -> "Project":
        shutil.copytree(self.root, root, symlinks=True)
        return Project(root)

    def add(self, *names: str) -> "Project":
        for name in names:
            shutil.copy(ROOT / "tests" / "fixtures" / f"{name}.ipynb", self.root / "notebooks")
        return self

    def start(self, command: str, **streams) -> subprocess.Popen:
        """Start a command, such as `LAB_OFFLINE=1 lab data`, in the project's folder."""
        words, variables = shlex.split(command), dict(self.variables)
        while "=" in words[0]:
            variables |= [words.pop(0).split("=", 1)]
        assert words.pop(0) == "lab"
        kept = {name: value for name, value in os.environ.items() if name not in ("LAB_DATA", "LAB_OUT")}
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "labhelpers", *words],
            cwd=self.root,
            env=kept | variables,
            text=True,
            start_new_session=True,  # so that a signal reaches it and its kernels, as from a terminal
            # Tests that run in the background ignore Ctrl-C, and child processes would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **streams,
        )

    def lab(self, command: str) -> subprocess.CompletedProcess:
        """Run a command to its end."""
        process = self.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            if self.meanwhile:
                self.meanwhile(process)
            out, err = process.communicate(timeout=600)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def state(self) -> dict[str, str]:
        """Every file with its digest, but for what is left on purpose: locks, failed notebooks, partial downloads."""
        paths = {path for path in self.seen.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        kept = {path for path in paths if path.name.endswith((".lock", ".part")) or "failed" in path.parts}
        return {str(path.relative_to(self.seen)): digest(path) for path in paths - kept}

    def results(self) -> dict:
        """What a report made: its files with their digests, without the notes on when it ran and how long."""
        out = self.seen / "report"
        made = {name: sha for name, sha in self.state().items() if name.startswith("report/")}
        made |= {name: "" for name in made if name.startswith("report/notebooks/")}  # the page shows their outputs
        page = (out / "index.html").read_text(encoding="utf-8")
        # The cell that sets parameters has another id each time.
        made["report/index.html"] = re.sub(r"cell-id=\w+|\d+ s, ended [\w:-]+", "", page)
        runs = json.loads((out / "run.json").read_text())["notebooks"]
        made["report/run.json"] = {stem: (run["parameters"], run["key"]) for stem, run in runs.items()}
        return made


def packed(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of these files, the same each time."""
    archive = io.BytesIO()
    with gzip.GzipFile(fileobj=archive, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replace(path: Path, old: str, new: str, times: int = 1) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == times
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="session")
def untouched(tmp_path_factory):
    """A project whose notebooks make a figure and a table; nothing was run in it yet."""
    project = Project.make(tmp_path_factory.mktemp("untouched") / "mes études {1}")
    return project.add("10_makes_its_figure", "11_writes_a_table")


@pytest.fixture(scope="session")
def finished(untouched, tmp_path_factory):
    """A project with a good report of its two notebooks; to be looked at, not to be changed."""
    project = untouched.copy(tmp_path_factory.mktemp("finished") / "mes études {1}")
    done = project.lab("lab report")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(untouched, tmp_path):
    """A project in which nothing was run yet."""
    return untouched.copy(tmp_path / "mes études {1}")


@pytest.fixture
def reported(finished, tmp_path):
    """A project with a good report of its two notebooks."""
    project = finished.copy(tmp_path / "mes études {1}")
    with project.at_end:
        yield project
