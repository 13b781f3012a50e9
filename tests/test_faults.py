"""Every fault a person can meet: what was typed, the line it ends in, and what is left when it is over.

The tables are the specification. A fault is told in one line that says what to do; nothing is left half-written, no
kernel is left running, results of earlier runs stay as they were to the byte, and as soon as the fault is gone the
next run succeeds. Each is brought about for real, in a project of which a good report of two notebooks was made.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from conftest import packed, replace

from labhelpers import cifar10

ARCHIVE = f"data/{cifar10.ARCHIVE}"
IN_A_CELL = "report/.staging/60_waits/begun"  # written by the cell
INTERRUPTED = "interrupted; what was finished is kept, run again to carry on"
OUTSIDE = packed({"../outside": b"", "/tmp/outside": b"", "cifar-10-batches-py/../../../outside": b""})
RUNS_CODE = b"cos\nsystem\n(S'touch outside'\ntR."  # a pickle

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
# A mount and a network that only one command sees; a container may forbid even its root to make them.
OWN_WORLD = ["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
NAMESPACES = (
    ROOT
    and all(map(shutil.which, ("unshare", "nsenter")))
    and subprocess.run(OWN_WORLD, stderr=subprocess.DEVNULL).returncode == 0
)
needs_mount = pytest.mark.skipif(not NAMESPACES, reason="a disk for the test alone takes root on Linux")
needs_rights = pytest.mark.skipif(
    os.name == "nt" or (ROOT and not shutil.which("setpriv")),
    reason="there are no permission bits, or this is root, whom they don't bind, and no setpriv to bind it",
)
needs_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals and streams")


# What brings a fault about: a context that takes the project. When it ends, the fault is gone.


def changed(name, change):
    """The file `name` holds what `change` makes of its content; it is gone where that is None."""

    def write(path, content):
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)

    @contextmanager
    def cause(project):
        path = project.root / name
        content = path.read_bytes() if path.exists() else None
        write(path, change(content))
        yield
        write(path, content)

    return cause


def half(content):
    return content[: len(content) // 2]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def gone(content):
    return None


def retitled(content):
    return content.replace(b"# A figure", b"# One figure")


def to(content):
    return lambda before: content


def unpacked(batch, change):
    """The archive is unpacked into `unpacked`, where a batch is changed."""

    @contextmanager
    def cause(project):
        shutil.unpack_archive(project.root / ARCHIVE, project.root / "unpacked")
        with changed(f"unpacked/cifar-10-batches-py/{batch}", change)(project):
            yield

    return cause


def added(name):
    """The notebook `name` of tests/fixtures is there."""

    @contextmanager
    def cause(project):
        project.add(name)
        yield
        (project.root / "notebooks" / f"{name}.ipynb").unlink()

    return cause


@contextmanager
def no_network(project):
    """There is no archive, and no network: none at all where the system lets us, else a mirror that refuses."""
    project.variables |= {"LAB_OFFLINE": "0", "LAB_MIRRORS": "" if NAMESPACES else "http://127.0.0.1:1/"}
    project.prefix = ["unshare", "--net"] if NAMESPACES else []
    with changed(ARCHIVE, gone)(project):
        yield
    project.variables["LAB_OFFLINE"], project.prefix = "1", []


class _Mirror(BaseHTTPRequestHandler):
    """Sends half of the archive, and the rest when it is let."""

    def do_GET(self):
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(half(content))
        self.server.let.wait()
        self.wfile.write(content[len(half(content)) :])

    def log_message(self, *args):
        pass


@contextmanager
def slow_mirror(project):
    """There is no archive, but a mirror on this machine that gets stuck; afterwards it does not."""
    server = project.at_end.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _Mirror))
    server.content, server.let = (project.root / ARCHIVE).read_bytes(), threading.Event()
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    project.at_end.callback(server.shutdown)
    project.variables |= {"LAB_OFFLINE": "0", "LAB_MIRRORS": f"http://127.0.0.1:{server.server_port}/"}
    project.variables |= {"no_proxy": "127.0.0.1"}
    (project.root / ARCHIVE).unlink()
    yield
    server.let.set()


def own_disk(project, folder):
    """Mount a disk of 2 MB at `folder`, with what is in it: seen by the project's commands and by nobody else."""
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && echo mounted && exec sleep 600'
    arguments = ["unshare", "--mount", "sh", "-c", script, "sh", project.root / folder]
    holder = project.at_end.enter_context(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True))
    project.at_end.callback(holder.kill)
    assert holder.stdout.readline() == "mounted\n"
    project.prefix = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "env", "-C", project.root]
    project.seen = Path(f"/proc/{holder.pid}/root{project.root}")
    shutil.copytree(project.root / folder, project.seen / folder, dirs_exist_ok=True)


def full_disk(folder, free):
    """The disk that `folder` lies on has only `free` bytes left."""

    @contextmanager
    def cause(project):
        own_disk(project, folder)
        filler = project.seen / folder / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(filler.parent).free - free))
        yield
        filler.unlink()

    return cause


def read_only_disk(folder):
    """`folder` lies on a disk that is mounted read-only."""

    @contextmanager
    def cause(project):
        def remount(how):
            remount = [*project.prefix, "mount", "-o", f"remount,{how}", project.root / folder]
            subprocess.run(remount, check=True)

        own_disk(project, folder)
        remount("ro")
        yield
        remount("rw")

    return cause


def read_only(folder):
    """Nothing in `folder` may be written."""

    @contextmanager
    def cause(project):
        if ROOT:  # nothing is forbidden to root, until it is taken from it
            project.prefix = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
        modes = {
            path: path.stat().st_mode for path in [project.root / folder, *(project.root / folder).rglob("*")]
        }
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        yield
        for path, mode in modes.items():
            path.chmod(mode)
        project.prefix = []

    return cause


def signalled(number, begun):
    """The command gets a signal, as from a terminal, once the file `begun` is there, and leaves no kernel behind."""

    @contextmanager
    def cause(project):
        def meanwhile(process):
            wait_for((project.root / begun).exists)
            os.killpg(process.pid, number)
            process.wait(120)
            assert not running(project)

        project.meanwhile = meanwhile
        yield
        project.meanwhile = None

    return cause


@contextmanager
def another_report(project):
    """Another `lab report` is at work; afterwards it was killed."""
    first = project.start("lab report 60", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((project.root / IN_A_CELL).exists)
        yield
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def running(project):
    """The processes at work in the project's folder: commands and kernels."""
    processes = psutil.process_iter(["cwd"])
    return [process for process in processes if (process.info["cwd"] or "").startswith(str(project.root))]


# The table. A line's … stands for anything.


def fault(name, causes, command, line, status=2, marks=()):
    causes = causes if isinstance(causes, list) else [causes]
    return pytest.param(causes, command, line, status, id=name, marks=marks)


NOT_OFFICIAL = "is damaged or not the official file (its SHA-256 differs): delete it and download it again"
BATCH = "unpacked/cifar-10-batches-py"
SPACE_FOR_DATA = "free … MB there, make it writable or name a copy of CIFAR-10 with LAB_DATA, then run again"
NO_SPACE = "No space left on device; free some space or choose another folder with LAB_OUT, then run again"
KEPT = "(see …/report/failed/…; earlier results are kept)"

FAULTS = [
    # The data
    fault(
        "archive cut short",
        changed(ARCHIVE, half),
        "lab data --data data",
        f"{ARCHIVE} {NOT_OFFICIAL}",
    ),
    fault(
        "archive with one bit flipped",
        changed(ARCHIVE, flipped),
        "lab data --data data",
        f"{ARCHIVE} {NOT_OFFICIAL}",
    ),
    fault(
        "another file under the archive's name",
        changed(ARCHIVE, to(b"<html>Sign in to the network</html>")),
        "lab data --data data",
        f"{ARCHIVE} {NOT_OFFICIAL}",
    ),
    fault(
        "archive that writes outside its folder",
        changed(ARCHIVE, to(OUTSIDE)),
        "lab data --data data",
        f"{ARCHIVE} {NOT_OFFICIAL}",
    ),
    fault(
        "archive damaged, which nobody named, and no other way to the data",
        changed(ARCHIVE, half),
        "lab data",
        f"CIFAR-10 is not downloaded, because LAB_OFFLINE forbids it: … (…/{ARCHIVE} {NOT_OFFICIAL})",
    ),
    fault(
        "batch cut short",
        unpacked("data_batch_3", half),
        "lab data --data unpacked",
        f"{BATCH}/data_batch_3 is damaged or not the official file (its SHA-256 differs): "
        "unpack cifar-10-python.tar.gz again",
    ),
    fault(
        "batch missing",
        unpacked("test_batch", gone),
        "lab data --data unpacked",
        f"{BATCH}/test_batch can't be read (No such file or directory): unpack cifar-10-python.tar.gz again",
    ),
    fault(
        "batch that runs code when it is read",
        unpacked("data_batch_1", to(RUNS_CODE)),
        "lab data --data unpacked",
        f"{BATCH}/data_batch_1 is damaged or not the official file (its SHA-256 differs): "
        "unpack cifar-10-python.tar.gz again",
    ),
    fault(
        "LAB_DATA names nothing",
        [],
        "LAB_DATA=nowhere lab data",
        "there is no cifar-10-batches-py folder and no cifar-10-python.tar.gz in nowhere: name one, or 'standin'",
    ),
    fault(
        "LAB_DATA names a folder without data",
        [],
        "LAB_DATA=notebooks lab data",
        "there is no cifar-10-batches-py folder and no cifar-10-python.tar.gz in notebooks: name one, or 'standin'",
    ),
    fault(
        "data that was named by hand is damaged: never a fall-through to other data",
        changed(ARCHIVE, half),
        "LAB_DATA=data lab report",
        f"{ARCHIVE} {NOT_OFFICIAL}",
    ),
    # The download
    fault(
        "no data and no network",
        no_network,
        "lab data",
        "CIFAR-10 could not be downloaded (…can't be reached (…): check the network and run again to resume, "
        "or put cifar-10-python.tar.gz into …/data by hand, or name a copy with LAB_DATA "
        "(LAB_DATA=standin draws stand-in images)",
    ),
    fault(
        "no data and LAB_OFFLINE",
        changed(ARCHIVE, gone),
        "LAB_OFFLINE=1 lab data",
        "CIFAR-10 is not downloaded, because LAB_OFFLINE forbids it: unset that, "
        "or put cifar-10-python.tar.gz into …/data by hand, or name a copy with LAB_DATA "
        "(LAB_DATA=standin draws stand-in images)",
    ),
    fault(
        "disk full, before the download",
        [slow_mirror, full_disk("data", 0)],
        "lab data",
        f"can't write …/data: only 0 MB are free; {SPACE_FOR_DATA}",
        marks=needs_mount,
    ),
    fault(
        "data folder read-only",
        [slow_mirror, read_only("data")],
        "lab data",
        f"can't write …/data: Permission denied; {SPACE_FOR_DATA}",
        marks=needs_rights,
    ),
    fault(
        "Ctrl-C during the download",
        [slow_mirror, signalled(signal.SIGINT, f"{ARCHIVE}.part")],
        "lab data",
        INTERRUPTED,
        status=130,
        marks=needs_posix,
    ),
    # What was typed
    fault(
        "parameter that no notebook has",
        [],
        "lab report -p FACTR 3",
        "no chosen notebook has a parameter 'FACTR': choose from FACTOR, N_TRAIN, SHARE",
    ),
    fault(
        "parameter too small",
        [],
        "lab report -p FACTOR 0",
        "FACTOR=0: must lie between 1 and 10",
    ),
    fault(
        "parameter too large",
        [],
        "lab report -p N_TRAIN 60000",
        "N_TRAIN=60000: must lie between 1 and 45000",
    ),
    fault(
        "parameter that is no number",
        [],
        "lab report -p FACTOR two",
        "FACTOR=two: must be a whole number, such as 2",
    ),
    fault(
        "parameter that is no whole number",
        [],
        "lab report -p FACTOR 2.5",
        "FACTOR=2.5: must be a whole number, such as 2",
    ),
    fault(
        "parameter that is not a number",
        [],
        "lab report -p SHARE nan",
        "SHARE=nan: must be a number, such as 0.5",
    ),
    fault(
        "LAB_THREADS is no number",
        added("70_diverges"),
        "LAB_THREADS=all lab report",
        "70_diverges.ipynb failed in cell 1 with LabError: LAB_THREADS is 'all': "
        f"set it to a whole number of at least 1, or unset it {KEPT}",
    ),
    fault(
        "notebook that is not there",
        [],
        "lab report 77",
        "there is no notebook '77': choose from 10_makes_its_figure, 11_writes_a_table",
    ),
    fault(
        "LAB_OUT names a file",
        [],
        "LAB_OUT=requirements.lock lab report",
        "can't write …/requirements.lock: File exists; free some space or choose another folder with LAB_OUT, "
        "then run again",
    ),
    fault(
        "notebook that is no valid JSON",
        changed("notebooks/11_writes_a_table.ipynb", half),
        "lab report",
        "…/notebooks/11_writes_a_table.ipynb is not a valid notebook (…): restore it, for example with git",
    ),
    # A notebook that fails
    fault(
        "error in a cell",
        added("30_fails_in_its_second_cell"),
        "lab report",
        f"30_fails_in_its_second_cell.ipynb failed in cell 2 with IndexError: list index out of range {KEPT}",
    ),
    fault(
        "error of the library in a cell",
        added("40_asks_for_too_many_images"),
        "lab report",
        "40_asks_for_too_many_images.ipynb failed in cell 1 with LabError: n_train is 60000: "
        f"choose a whole number from 1 to 45000 {KEPT}",
    ),
    fault(
        "loss that is no longer a number",
        added("70_diverges"),
        "lab report",
        "70_diverges.ipynb failed in cell 2 with TrainingDiverged: the training loss … finite…: "
        f"try a smaller learning_rate… {KEPT}",
    ),
    fault(
        "figure that was not made",
        added("20_draws_nothing"),
        "lab report",
        "20_draws_nothing.ipynb ran to its end but did not make nothing.csv, nothing.png: "
        f"check the cells that save them {KEPT}",
    ),
    fault(
        "sys.exit() in a cell",
        added("31_exits_early"),
        "lab report",
        f"31_exits_early.ipynb ended early in cell 2, with sys.exit(): take that out {KEPT}",
    ),
    fault(
        "SystemExit in a cell",
        added("32_raises_system_exit"),
        "lab report",
        f"32_raises_system_exit.ipynb failed in cell 1 with SystemExit: no more {KEPT}",
    ),
    fault(
        "kernel killed in the middle of a cell",
        added("50_kills_its_kernel"),
        "lab report",
        "50_kills_its_kernel.ipynb failed in cell 1: its kernel was killed, most often for lack of memory; "
        f"close other programs and run again {KEPT}",
        marks=needs_posix,
    ),
    fault(
        "kernel that does not start",
        changed("ipykernel_launcher.py", to(b"raise SystemExit(1)")),
        "lab report 11 --force",
        "11_writes_a_table.ipynb could not start (Kernel died before replying to kernel_info): "
        f"close other programs or install the packages again, then run again {KEPT}",
    ),
    # The disk
    fault(
        "disk full",
        full_disk("report", 0),
        "lab report 11 --force",
        f"can't write …/report: {NO_SPACE}",
        marks=needs_mount,
    ),
    fault(
        "disk full when a notebook writes its results",
        full_disk("report", 64_000),
        "lab report 11 --force",
        f"11_writes_a_table.ipynb failed in cell 1 with LabError: can't write …/counts.csv: {NO_SPACE} {KEPT}",
        marks=needs_mount,
    ),
    fault(
        "disk full when the page is written",
        [changed("notebooks/10_makes_its_figure.ipynb", retitled), full_disk("report", 8_000)],
        "lab report",
        f"can't write …/report/index.html: {NO_SPACE}",
        marks=needs_mount,
    ),
    fault(
        "report folder on a read-only disk",
        read_only_disk("report"),
        "lab report 11 --force",
        "can't write …/report: Read-only file system; free some space or choose another folder with LAB_OUT, "
        "then run again",
        marks=needs_mount,
    ),
    fault(
        "report folder that may not be written",
        read_only("report"),
        "lab report 11 --force",
        "can't write …/report: Permission denied; free some space or choose another folder with LAB_OUT, "
        "then run again",
        marks=needs_rights,
    ),
    # Cut off
    fault(
        "Ctrl-C while a cell runs",
        [added("60_waits"), signalled(signal.SIGINT, IN_A_CELL)],
        "lab report",
        INTERRUPTED,
        status=130,
        marks=needs_posix,
    ),
    fault(
        "SIGTERM while a cell runs",
        [added("60_waits"), signalled(signal.SIGTERM, IN_A_CELL)],
        "lab report",
        INTERRUPTED,
        status=130,
        marks=needs_posix,
    ),
    fault(
        "two lab report at once",
        [added("60_waits"), another_report],
        "lab report 11 --force",
        "another lab report is at work in …/report: wait for it, or set LAB_OUT to another folder",
        marks=needs_posix,
    ),
]


@pytest.mark.parametrize(("causes", "command", "line", "status"), FAULTS)
def test_fault(causes, command, line, status, reported, finished):
    with ExitStack() as stack:
        for cause in causes:
            stack.enter_context(cause(reported))
        outside = set(reported.root.parent.iterdir())
        before = reported.state()
        done = reported.lab(command)
        assert done.returncode == status, done
        *others, last = done.stderr.strip("\n").splitlines()
        assert re.fullmatch("lab: " + re.escape(line).replace("…", ".*"), last)
        assert all(other.startswith("CIFAR-10: ") for other in others), "one line, but for the mirrors tried"
        assert reported.state() == before
        assert set(reported.root.parent.iterdir()) == outside
    wait_for(lambda: not running(reported))
    if causes:  # else only the words were wrong: the next run is any other test's
        succeeds(reported, command)
        assert reported.results() == finished.results()


def succeeds(project, command):
    done = project.lab(command)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# `kill -9` of `lab report -p FACTOR 5 --force`, at the moment before or after a file is put in its place.

KILLED = {
    "when the first notebook has run": "before figures/line.csv",
    "in the middle of putting its results in place": "before figures/line.png",
    "between two notebooks": "after run.json",
    "when the page is made": "before index.html",
}
KILLER = """
import os, signal

when, name = os.environ["KILL"].split() if "KILL" in os.environ else ("never", "")


def replace(source, target, replace=os.replace):
    there = str(target).endswith(name) and ".staging" not in str(target)
    if there and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if there and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)


os.replace = replace
"""


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    project = finished.copy(tmp_path_factory.mktemp("undisturbed") / "mes études {1}")
    succeeds(project, "lab report -p FACTOR 5")
    return project


@needs_posix
@pytest.mark.parametrize("moment", KILLED.values(), ids=KILLED.keys())
def test_killed_report_is_carried_on_to_the_same_end(moment, reported, finished, undisturbed):
    with (reported.root / "sitecustomize.py").open("a") as file:
        file.write(KILLER)
    done = reported.lab(f"KILL='{moment}' lab report -p FACTOR 5 --force")
    assert done.returncode == -signal.SIGKILL, done
    if moment == "before figures/line.csv":
        kept = {name: sha for name, sha in reported.state().items() if name in finished.state()}
        assert kept == finished.state() | {"sitecustomize.py": kept["sitecustomize.py"]}
    succeeds(reported, "lab report -p FACTOR 5")
    assert reported.results() == undisturbed.results()


@needs_posix
def test_killed_while_a_cell_runs_leaves_no_kernel_and_costs_nothing(reported, finished):
    with added("60_waits")(reported), another_report(reported):
        assert len(running(reported)) == 2, "the command and its kernel"
    wait_for(lambda: not running(reported))
    assert finished.state().items() <= reported.state().items()
    assert "11_writes_a_table: unchanged" in succeeds(reported, "lab report")
    assert reported.results() == finished.results()


# What something else damaged is made anew by the next run; what it did not touch is not.

MENDED = {
    "table damaged": (changed("report/figures/counts.csv", half), "11"),
    "figure gone": (changed("report/figures/line.png", gone), "10"),
    "executed notebook damaged": (changed("report/notebooks/11_writes_a_table.ipynb", half), "11"),
    "record of the runs cut short": (changed("report/run.json", half), "10 11"),
    "record without what a run made": (changed("report/run.json", to(b'{"notebooks": {"11": {}}}')), "10 11"),
    "page damaged": (changed("report/index.html", half), ""),
    "page gone": (changed("report/index.html", gone), ""),
}


@pytest.mark.parametrize(("damage", "made"), MENDED.values(), ids=MENDED.keys())
def test_damaged_results_are_made_anew(damage, made, reported, finished):
    reported.at_end.enter_context(damage(reported))
    out = succeeds(reported, "lab report")
    assert re.findall("^(..)_.*: .* s, made", out, re.M) == made.split()
    assert reported.results() == finished.results()


# What is no fault


def test_without_data_and_network_goes_on_with_stand_in_images_loudly(reported):
    with no_network(reported):
        before = reported.state()
        done = reported.lab("lab report 11")
    assert done.returncode == 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("CIFAR-10: ")]
    assert [line.partition(": ")[0] for line in lines] == ["WARNING", "WARNING"]
    assert "CIFAR-10 could not be downloaded" in lines[0]
    assert "going on with stand-in images" in lines[1] and "nothing of it is a result on CIFAR-10" in lines[1]
    after = reported.state()
    assert "report/standin/index.html" in after and before.items() <= after.items()


def test_archive_that_writes_outside_is_read_without_unpacking(reported, tmp_path):
    """Even if it were the official one."""
    with tarfile.open(reported.root / ARCHIVE) as tar:
        batches = {member.name: tar.extractfile(member).read() for member in tar}
    outside = {f"{tmp_path}/absolute": b"", "../outside": b"", "cifar-10-batches-py/../../outside": b""}
    old = (reported.root / ARCHIVE).read_bytes()
    new = packed(outside | batches | {f"{name}/../../../outside": b"" for name in batches})
    constants = reported.root / "labhelpers" / "cifar10.py"
    replace(constants, hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest())
    replace(constants, f"ARCHIVE_BYTES = {len(old)}", f"ARCHIVE_BYTES = {len(new)}")
    (reported.root / ARCHIVE).write_bytes(new)
    before = set(tmp_path.rglob("*"))
    assert "verified" in succeeds(reported, f"lab data --data {ARCHIVE}")
    assert set(tmp_path.rglob("*")) - before <= set(reported.root.rglob("__pycache__/*"))


def test_works_in_the_c_locale(reported, finished):
    out = succeeds(reported, "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 lab report --force")
    assert f"the page: {reported.root}/report/index.html" in out
    assert reported.results() == finished.results()


@needs_rights
def test_works_in_a_project_that_may_not_be_written(reported):
    with read_only(".")(reported):
        before = reported.state()
        succeeds(reported, "LAB_OUT=../out lab report 11")
        assert reported.state() == before
    assert (reported.root.parent / "out" / "index.html").exists()


@needs_posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["lab data", "lab report"])
def test_output_that_nobody_reads_on_is_no_error(command, unbuffered, reported):
    """As in `lab report | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    reported.variables["PYTHONUNBUFFERED"] = unbuffered
    with reported.start(command, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        assert process.communicate()[1] == ""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_to_a_full_disk_is_told(unbuffered, reported):
    reported.variables["PYTHONUNBUFFERED"] = unbuffered
    with (
        Path("/dev/full").open("w") as full,
        reported.start("lab data", stdout=full, stderr=subprocess.PIPE) as process,
    ):
        assert process.communicate()[1] == "lab: can't write the output: No space left on device\n"
    assert process.returncode == 2
