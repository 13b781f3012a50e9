"""Every user error: what was typed, the line it ends in, and what is left when it is over.

The tables are the specification. An error is reported in one line that says what to do; nothing is left half-written, no
kernel is left running, results of earlier runs stay as they were to the byte, and so, as soon as the cause is gone, the
next run succeeds. Each is caused for real, in a project with a good report of two notebooks. What is wrong with data
is in test_sources.py, and with values of parameters in test_parameters.py.
"""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labhelpers import cifar10
from labhelpers.paths import MARK

ARCHIVE = f"data/{cifar10.ARCHIVE}"
FIRST = "notebooks/10_makes_its_figure.ipynb"
IN_A_CELL = "report/.staging/60_waits/begun"  # written by the cell of 60_waits
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
NEEDS = {"mount": needs_mount, "rights": needs_rights, "posix": needs_posix}


# Causes: contexts that take the project. When one ends, the cause is gone.


def cause(function):
    """Make a generator a context that is called with the arguments first, then with the project."""
    return lambda *arguments: lambda project: contextmanager(function)(project, *arguments)


@cause
def changed(project, name, change):
    """The file `name` holds what `change` makes of its content; it is gone where that is None."""

    def write(content):
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)

    path = project.root / name
    content = path.read_bytes() if path.exists() else None
    write(change(content))
    yield
    write(content)


def half(content):
    return content[: len(content) // 2]


def to(content):
    """Return a change to this content; None: the file is gone."""
    return lambda before: content


gone = to(None)


@cause
def added(project, name):
    """The notebook `name` of tests/fixtures is there."""
    project.add(name)
    yield
    (project.root / "notebooks" / f"{name}.ipynb").unlink()


@cause
def cells(project, *sources):
    """The notebook 12_cells has these cells of code."""
    path = project.root / "notebooks" / "12_cells.ipynb"
    nbformat.write(new_notebook(cells=list(map(new_code_cell, sources))), path)
    yield
    path.unlink()


def killed_by(name):
    return cells("import os, signal", f"os.kill(os.getpid(), signal.{name})")


@cause
def edited(project, edit):
    """The notebook 10_makes_its_figure is as another tool left it."""
    path = project.root / FIRST
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    with changed(FIRST, to(nbformat.writes(notebook).encode()))(project):
        yield


def run_in_place(notebook):
    notebook.cells.insert(2, new_code_cell("FACTOR = 3", metadata={"tags": ["injected-parameters"]}))


def run_in_place_without_success(notebook):
    notebook.cells.insert(0, new_markdown_cell("An exception", metadata={"tags": ["papermill-error-cell-tag"]}))


def without_tags(notebook):
    for cell in notebook.cells:
        cell.metadata = {}


@cause
def no_network(project):
    """There is no archive, and no network: none at all where the system lets us, else a mirror that refuses."""
    project.variables |= {"LAB_OFFLINE": "0", "LAB_MIRRORS": "" if NAMESPACES else "http://127.0.0.1:1/"}
    project.prefix = ["unshare", "--net"] if NAMESPACES else []
    with changed(ARCHIVE, gone)(project):
        yield
    project.variables["LAB_OFFLINE"], project.prefix = "1", []


class Mirror(BaseHTTPRequestHandler):
    """Sends half of the archive, and the rest once it may."""

    def do_GET(self):
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(half(content))
        self.server.may_go_on.wait()
        self.wfile.write(content[len(half(content)) :])

    def log_message(self, *args):
        pass


@cause
def slow_mirror(project):
    """There is no archive, but a mirror on this machine that gets stuck; afterwards it does not."""
    server = project.at_end.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Mirror))
    server.content, server.may_go_on = (project.root / ARCHIVE).read_bytes(), threading.Event()
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    project.at_end.callback(server.shutdown)
    address = f"http://127.0.0.1:{server.server_port}/"
    project.variables |= {"LAB_OFFLINE": "0", "LAB_MIRRORS": address, "no_proxy": "127.0.0.1"}
    (project.root / ARCHIVE).unlink()
    yield
    server.may_go_on.set()


@cause
def full_disk(project, folder, free):
    """`folder` is on a disk of 2 MB that only the project's commands see, with `free` bytes left."""
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && echo mounted && exec sleep 600'
    arguments = ["unshare", "--mount", "sh", "-c", script, "sh", project.root / folder]
    holder = project.at_end.enter_context(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True))
    project.at_end.callback(holder.kill)
    assert holder.stdout.readline() == "mounted\n"
    project.prefix = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "env", "-C", project.root]
    project.seen = Path(f"/proc/{holder.pid}/root{project.root}")
    shutil.copytree(project.root / folder, project.seen / folder, dirs_exist_ok=True)
    filler = project.seen / folder / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(filler.parent).free - free))
    yield
    filler.unlink()


@cause
def read_only(project, folder):
    """Nothing in `folder` may be written."""
    if ROOT:  # nothing is forbidden to root, until it is taken from it
        project.prefix = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    paths = [project.root / folder, *(project.root / folder).rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    yield
    for path, mode in modes.items():
        path.chmod(mode)
    project.prefix = []


@cause
def interrupted(project, begun=IN_A_CELL):
    """Someone types Ctrl-C once the file `begun` is there, and no kernel is left behind."""

    def meanwhile(process):
        wait_for((project.root / begun).exists)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(120)
        assert not running(project)

    project.meanwhile = meanwhile
    with added("60_waits")(project):
        yield
    project.meanwhile = None


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def running(project):
    """The processes at work in the project's folder: commands and kernels."""
    processes = psutil.process_iter(["cwd"])
    return [process for process in processes if (process.info["cwd"] or "").startswith(str(project.root))]


# The table: name, causes, command, and what that needs of the system: the line. A line's … stands for anything.

ARCHIVE_DAMAGED = f"{ARCHIVE} is damaged…(its SHA-256 differs): delete it and … it again"
BY_HAND = "or put cifar-10-python.tar.gz into …/data by hand, or name a copy with LAB_DATA (LAB_DATA=standin …"
FREE_SPACE = "free some space or choose another folder with LAB_OUT, then run again"
NO_SPACE = f"No space left on device; {FREE_SPACE}"
KEPT = "(see …/report/failed/…; earlier results are kept)"
AT_WORK = "another lab report is at work in …/report: wait for it, or set LAB_OUT to another folder"
INTERRUPTED = "interrupted; what was finished is kept, run again to carry on"
THEIRS = (
    "… is not marked as a folder for results, and its files might be replaced: move them, or set LAB_OUT to a new or …"
)
RESTORE = "restore it, for example with git"
IN_PLACE = (
    f"…/{FIRST} was changed: papermill added cells to it when it was run in place; {RESTORE}, or delete these cells"
)
NO_TAGS = "10_makes_its_figure has no parameters in a cell with the tag `parameters`, so nothing can be set: restore …"
CELLS = "12_cells.ipynb failed in cell"
TRACEBACK = "Traceback (most recent call last):\n  import\nDLL load failed\n\nFailed to load TensorFlow.\nSee the web."
OTHER_TITLE = changed(FIRST, lambda text: text.replace(b"# A", b"# One"))

ERRORS = {
    # The data
    ("never other data than named", changed(ARCHIVE, half), "LAB_DATA=data lab report"): f"…/{ARCHIVE_DAMAGED}",
    ("nothing else is there", changed(ARCHIVE, half), "lab data"): (
        f"CIFAR-10 is not downloaded, …LAB_OFFLINE…: … (…/{ARCHIVE_DAMAGED})"
    ),
    ("offline", changed(ARCHIVE, gone), "LAB_OFFLINE=1 lab data"): (
        f"CIFAR-10 is not downloaded, …LAB_OFFLINE…: unset …, {BY_HAND}"
    ),
    ("data not writable", (slow_mirror(), read_only("data")), "lab data", "rights"): (
        "can't write …/data: Permission denied; …LAB_DATA…, then run again"
    ),
    ("interrupted download", (slow_mirror(), interrupted(f"{ARCHIVE}.part")), "lab data", "posix"): INTERRUPTED,
    # What was typed
    ("no such parameter", (), "lab report -p FACTR 3"): (
        "no chosen notebook has a parameter 'FACTR': choose from FACTOR, N_TRAIN, SHARE"
    ),
    ("not in every notebook", (), "lab report -p SHARE 1"): (
        "11_writes_a_table has no parameter 'SHARE': choose notebooks that have it, as in lab report 10"
    ),
    ("name and value in one word", (), "lab report -p FACTOR=3 10"): (
        "-p FACTOR=3: write name and value as two words, -p FACTOR 3"
    ),
    ("not whole", (), "lab report -p FACTOR 2.5"): "FACTOR=2.5: must be a whole number from 1 to 10",
    ("no number", (), "lab report 10 -p SHARE nan"): "SHARE=nan: must be a number from 0.0 to 1.0",
    ("no such notebook", (), "lab report 77"): (
        "there is no notebook '77': choose from 10_makes_its_figure, 11_writes_a_table"
    ),
    ("LAB_OUT is a file", (), "LAB_OUT=requirements.lock lab report"): (
        f"can't write …/requirements.lock: File exists; {FREE_SPACE}"
    ),
    ("LAB_OUT is the project", (), "LAB_OUT=. lab report"): THEIRS,
    ("report is not ours", changed(f"report/{MARK}", gone), "lab report"): THEIRS,
    ("README.md missing", (), "lab refresh"): (
        "can't use …/README.md: No such file or directory; check that it is there and that you have permission, then …"
    ),
    # A notebook that another tool has changed
    ("not valid JSON", changed("notebooks/11_writes_a_table.ipynb", half), "lab report"): (
        f"…/notebooks/11_writes_a_table.ipynb is not a valid notebook (…): {RESTORE}"
    ),
    ("merge conflict", changed(FIRST, lambda text: text.replace(b"{", b"<<<<<<< HEAD\n{", 1)), "lab report"): (
        f"…/{FIRST} is not a valid notebook (a merge left its conflicts in it): {RESTORE}"
    ),
    ("same number", changed("notebooks/10_copy.ipynb", to(b"")), "lab report 10"): (
        "10_copy.ipynb and 10_makes_its_figure.ipynb have the same number: rename or delete one of them"
    ),
    ("run in place", edited(run_in_place), "lab report"): IN_PLACE,
    ("run in place, refresh", edited(run_in_place), "lab refresh"): IN_PLACE,
    ("run in place without success", edited(run_in_place_without_success), "lab check"): IN_PLACE,
    ("without tags", edited(without_tags), "lab report --quick"): NO_TAGS,
    ("without tags, a value", edited(without_tags), "lab report 10 -p FACTOR 3"): NO_TAGS,
    # A notebook that fails
    ("no figure", added("20_draws_nothing"), "lab report"): (
        f"20_draws_nothing.ipynb ran to its end but did not make nothing.csv, nothing.png: check the cells … {KEPT}"
    ),
    ("error in a cell", cells("numbers = [1]", "numbers[3]"), "lab report"): (
        f"{CELLS} 2 with IndexError: list index out of range {KEPT}"
    ),
    ("traceback within", cells(f"raise ImportError({TRACEBACK!r})"), "lab report"): (
        f"{CELLS} 1 with ImportError: DLL load failed {KEPT}"
    ),
    ("sys.exit()", cells("import sys", "sys.exit()", "print()"), "lab report"): (
        f"12_cells.ipynb ended early in cell 2, with sys.exit(): take that out {KEPT}"
    ),
    ("kernel killed", killed_by("SIGKILL"), "lab report", "posix"): (
        f"{CELLS} 2: its kernel was killed, most often for lack of memory; close other programs and run again {KEPT}"
    ),
    ("illegal instruction", killed_by("SIGILL"), "lab report", "posix"): (
        f"{CELLS} 2: its kernel died of an illegal instruction: this processor lacks instructions that TensorFlow needs; "
        f"see lab doctor {KEPT}"
    ),
    ("bus error", killed_by("SIGBUS"), "lab report", "posix"): (
        f"{CELLS} 2: its kernel died of SIGBUS, an error in a library that it loaded; see lab doctor {KEPT}"
    ),
    ("exit status", cells("import os\n\nos._exit(3)"), "lab report"): (
        f"{CELLS} 1: its kernel ended with exit status 3; take out what ends it, or see lab doctor {KEPT}"
    ),
    ("no kernel", changed("ipykernel_launcher.py", to(b"raise SystemExit(1)")), "lab report 11 --force"): (
        f"11_writes_a_table.ipynb could not start: its kernel ended with exit status 1; … see lab doctor {KEPT}"
    ),
    # The disk
    ("disk full", full_disk("report", 0), "lab report 11 --force", "mount"): (f"can't write …/report: {NO_SPACE}"),
    ("full for results", full_disk("report", 64_000), "lab report 11 --force", "mount"): (
        f"11_writes_a_table.ipynb failed in cell 2 with LabError: can't write …/counts.csv: {NO_SPACE} {KEPT}"
    ),
    ("full for the page", (OTHER_TITLE, full_disk("report", 8_000)), "lab report", "mount"): (
        f"can't write …/report/index.html: {NO_SPACE}"
    ),
    ("not writable", read_only("report"), "lab report 11 --force", "rights"): (
        f"can't write …/report: Permission denied; {FREE_SPACE}"
    ),
    # Stopped
    ("interrupted", interrupted(), "lab report", "posix"): INTERRUPTED,
}
# What leaves locks, a partial download or a failed notebook, which may stay, and must be of no harm to the next run.
RUN_AGAIN = {"interrupted download", "error in a cell", "kernel killed", "full for results", "interrupted"}


def matches(line, said):
    return re.fullmatch("lab: " + re.escape(line).replace("…", ".*"), said)


@pytest.mark.parametrize(
    ("causes", "command", "line", "again"),
    [
        pytest.param(causes, command, line, name in RUN_AGAIN, id=name, marks=[NEEDS[need] for need in needs])
        for (name, causes, command, *needs), line in ERRORS.items()
    ],
)
def test_error(causes, command, line, again, reported, finished):
    with ExitStack() as stack:
        for cause in causes if isinstance(causes, tuple) else (causes,):
            stack.enter_context(cause(reported))
        outside = set(reported.root.parent.iterdir())
        before = reported.state()
        done = reported.lab(command)
        assert done.returncode == (130 if line == INTERRUPTED else 2), done
        *others, last = done.stderr.strip("\n").splitlines()
        assert matches(line, last)
        assert all(other.startswith("CIFAR-10: ") for other in others), "one line, but for the mirrors tried"
        assert reported.state() == before
        assert set(reported.root.parent.iterdir()) == outside
    wait_for(lambda: not running(reported))
    if again:
        succeeds(reported, command)
        assert reported.results() == finished.results()


def succeeds(project, command):
    done = project.lab(command)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# `kill -9` of `lab report -p FACTOR 5 --force`, at the moment before a file is put in its place: when some results of the
# first notebook are in their places, and when the page is made.

KILLER = """
import os, signal


def replace(source, target, replace=os.replace):
    if str(target).endswith(os.environ.get("KILL", "?")) and ".staging" not in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)


os.replace = replace
"""


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    project = finished.copy(tmp_path_factory.mktemp("undisturbed") / "mes études {1}")
    succeeds(project, "lab report -p FACTOR 5")
    return project


@needs_posix
@pytest.mark.parametrize("name", ["figures/line.png", "index.html"])
def test_report_after_a_killed_one_comes_to_the_same_end(name, reported, undisturbed):
    (reported.root / "sitecustomize.py").write_text(KILLER)
    done = reported.lab(f"KILL={name} lab report -p FACTOR 5 --force")
    assert done.returncode == -signal.SIGKILL, done
    succeeds(reported, "lab report -p FACTOR 5")
    assert reported.results() == undisturbed.results()


@needs_posix
def test_report_at_work_keeps_others_out_and_killed_in_a_cell_leaves_no_kernel_and_costs_nothing(reported, finished):
    with added("60_waits")(reported):
        first = reported.start("lab report 60", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for((reported.root / IN_A_CELL).exists)
            assert len(running(reported)) == 2, "the command and its kernel"
            before = reported.state()
            second = reported.lab("lab report 11 --force")
            assert second.returncode == 2 and matches(AT_WORK, second.stderr.removesuffix("\n"))
            assert reported.state() == before
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
    wait_for(lambda: not running(reported))
    assert finished.state().items() <= reported.state().items()
    assert "11_writes_a_table: unchanged" in succeeds(reported, "lab report")
    assert reported.results() == finished.results()


# The next run makes damaged results again, and only those.

DAMAGES = [("notebooks/11_writes_a_table.ipynb", half, "11"), ("run.json", half, "10 11"), ("index.html", half, "")]


@pytest.mark.parametrize(("name", "change", "made"), DAMAGES)
def test_damaged_results_are_made_again(name, change, made, reported, finished):
    reported.at_end.enter_context(changed(f"report/{name}", change)(reported))
    out = succeeds(reported, "lab report")
    assert re.findall("^(..)_.*: .* s, made", out, re.M) == made.split()
    assert reported.results() == finished.results()


# What is not an error


def test_without_data_and_network_the_report_uses_stand_in_images_with_warnings(reported):
    with no_network()(reported):
        before = reported.state()
        done = reported.lab("lab report 11")
    assert done.returncode == 0
    first, second = [line for line in done.stderr.splitlines() if not line.startswith("CIFAR-10: ")]
    unreachable = (
        f"CIFAR-10 could not be downloaded (…can't be reached (…): check the network and run again…, {BY_HAND}"
    )
    assert matches(unreachable, first.replace("WARNING", "lab", 1))
    assert second.startswith("WARNING: going on with stand-in images") and "nothing of it is a result" in second
    after = reported.state()
    assert "report/standin/index.html" in after and before.items() <= after.items()


def test_copies_of_notebooks_are_left_out_and_named(reported):
    names = ["10_makes_its_figure-Copy1.ipynb", "10_makes_its_figure (1).ipynb", "Copy of 10_makes_its_figure.ipynb"]
    for name in names:
        shutil.copy(reported.root / FIRST, reported.root / "notebooks" / name)
    done = reported.lab("lab report")
    assert done.stdout.startswith("10_makes_its_figure: unchanged\n11_writes_a_table: unchanged\n")
    assert re.findall("^WARNING: (.+) is left out: ", done.stderr, re.M) == sorted(names)


@pytest.mark.parametrize(
    "variables",
    [
        "HOME=/proc/none MPLCONFIGDIR=",
        "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 PYTHONSTARTUP={own} JUPYTER_PATH={data}",
    ],
    ids=["a home that cannot be written", "the C locale and settings of Jupyter"],
)
def test_what_this_machine_is_set_to_changes_no_byte(variables, reported, finished):
    home = reported.root.parent / "home"
    own, data, used = home / ".ipython/profile_default/startup/own.py", home / ".local/share/jupyter", home / "used"
    kernel = data / "kernels/python3/kernel.json"
    for path, content in (own, f"open({str(used)!r}, 'w')"), (kernel, '{"argv": ["touch", "' + str(used) + '"]}'):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    out = succeeds(reported, f"{variables.format(own=own, data=data)} lab report 10 --force")
    assert "made line\n" in out and f"the page: {reported.root}/report/index.html" in out
    assert reported.results() == finished.results() and not used.exists()


@needs_rights
def test_works_in_a_project_that_may_not_be_written(reported):
    with read_only(".")(reported):
        before = reported.state()
        succeeds(reported, "LAB_OUT=../out lab report 11")
        assert reported.state() == before
    assert (reported.root.parent / "out" / "index.html").exists()


NO_HOME = ["unshare", "--user", "--map-user=12345", "--map-group=12345", "env", "-u", "HOME"]  # nor a name


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run([*NO_HOME, "true"], stderr=subprocess.DEVNULL).returncode != 0,
    reason="this system doesn't let its users be someone else",
)
def test_user_without_a_home_lacks_jupyter_alone(reported, finished):
    reported.prefix = NO_HOME
    assert succeeds(reported, "lab data").startswith(f"CIFAR-10 in {reported.root / ARCHIVE}, verified\n")
    succeeds(reported, "lab verdicts")
    succeeds(reported, "lab report 10 --force")
    assert reported.results() == finished.results()
    done = reported.lab("lab doctor")
    faults = [line for line in done.stdout.splitlines() if not line.startswith("good  ")]
    assert faults == ["FIX   kernel: this user has no home folder, which Jupyter needs: set HOME to a folder"]
    assert (done.returncode, done.stderr) == (2, "lab: 1 to fix, see above: kernel\n")


@needs_posix
@pytest.mark.parametrize("command", ["lab data", "PYTHONUNBUFFERED=1 lab report"])
def test_output_that_is_not_read_to_its_end_is_not_an_error(command, reported):
    """As in `lab report | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with reported.start(command, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        assert process.communicate()[1] == ""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_to_a_full_disk_is_an_error(reported):
    with Path("/dev/full").open("w") as full:
        process = reported.start("lab data", stdout=full, stderr=subprocess.PIPE)
        reason = "No space left on device; free some space, then run again"
        assert process.communicate()[1] == f"lab: can't write the output: {reason}\n"
    assert process.returncode == 2
