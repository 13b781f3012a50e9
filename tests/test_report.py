"""`lab report` on tiny notebooks, each named for what must happen to it, through the command a person types."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
GOOD = "10_makes_its_figure"


@pytest.fixture
def project(tmp_path):
    """A copy of the project, in a folder with an awkward name, whose only notebook is a good fixture."""
    root = tmp_path / "mes études {1}"
    shutil.copytree(ROOT / "labhelpers", root / "labhelpers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", root)
    (root / "notebooks").mkdir()
    add(root, GOOD)
    return root


def add(root, name):
    shutil.copy(FIXTURES / f"{name}.ipynb", root / "notebooks")


def environment(root, **variables):
    kept = {name: value for name, value in os.environ.items() if name not in ("LAB_DATA", "LAB_OUT")}
    # No data is needed by these notebooks; the stand-in is named, so that no test depends on what lies around.
    return kept | {"PYTHONPATH": str(root), "LAB_DATA": "standin", "HOME": str(root)} | variables


def lab(root, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "labhelpers", *arguments],
        cwd=root,
        env=environment(root, **variables),
        capture_output=True,
        text=True,
        timeout=120,
    )


def results(root):
    """What a report left: the digest of every file, but for the locks."""
    files = [path for path in (root / "report").rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def one_line(done):
    """The only line on stderr of a command that failed as it should."""
    assert done.returncode == 2, done
    assert done.stderr.startswith("lab: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def change(root, name, kind, text):
    path = root / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in reversed(notebook.cells) if cell.cell_type == kind).source += text
    nbformat.write(notebook, path)


def test_makes_figure_notebook_and_page(project):
    done = lab(project, "report")
    out = project / "report" / "standin"
    assert done.returncode == 0, done.stderr
    assert f"{GOOD}: " in done.stdout and "made line" in done.stdout
    assert (out / "figures" / "line.csv").read_text() == "value\n1\n2\n"
    assert (out / "figures" / "line.png").stat().st_size > 1000
    executed = nbformat.read(out / "notebooks" / f"{GOOD}.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "factor 2 images 20000\n"
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "factor 2 images 20000" in page and "data:image/png;base64" in page and 'src="http' not in page
    run = json.loads((out / "run.json").read_text())["notebooks"][GOOD]
    assert run["cifar"]["name"] == "stand-in images" and run["seconds"] > 0
    assert not (out / ".staging").exists() or not any((out / ".staging").iterdir())


def test_runs_again_only_what_changed(project):
    assert lab(project, "report").returncode == 0
    before = results(project)
    assert f"{GOOD}: unchanged" in lab(project, "report").stdout
    assert results(project) == before
    change(project, GOOD, "markdown", ", told anew")
    assert f"{GOOD}: unchanged" in lab(project, "report").stdout, "prose alone needs no run"
    assert "told anew" in (project / "report/standin/index.html").read_text(encoding="utf-8"), "but is shown"
    change(project, GOOD, "code", "\nprint('more')")
    assert "made line" in lab(project, "report").stdout
    (project / "report/standin/figures/line.png").write_bytes(b"damaged")
    assert "made line" in lab(project, "report").stdout, "a damaged figure is made again"
    assert "made line" in lab(project, "report", "--force").stdout


def test_same_bytes_when_forced_twice(project):
    def figures():
        assert lab(project, "report", "--force").returncode == 0
        return {name: digest for name, digest in results(project).items() if "figures" in name}

    first = figures()
    assert first and figures() == first


def test_sets_parameters(project):
    done = lab(project, "report", "10", "-p", "FACTOR", "7", "-p", "SHARE", "1")
    assert done.returncode == 0, done.stderr
    assert (project / "report/standin/figures/line.csv").read_text() == "value\n1\n7\n"
    assert "FACTOR = 7" in (project / "report/standin/index.html").read_text(encoding="utf-8").replace(
        "</span>", ""
    ).replace('<span class="n">', "").replace('<span class="o">', "").replace('<span class="mi">', "")


def test_quick_has_a_folder_of_its_own(project):
    done = lab(project, "report", "--quick")
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(project / f"report/standin/quick/notebooks/{GOOD}.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "factor 2 images 2000\n"
    assert not (project / "report/standin/figures").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["-p", "FACTR", "3"],
            "no chosen notebook has a parameter 'FACTR': choose from FACTOR, N_TRAIN, SHARE",
        ),
        (["-p", "FACTOR", "0"], "FACTOR=0: must lie between 1 and 10"),
        (["-p", "FACTOR", "11"], "FACTOR=11: must lie between 1 and 10"),
        (["-p", "FACTOR", "two"], "FACTOR=two: must be a whole number, such as 2"),
        (["-p", "FACTOR", "2.5"], "FACTOR=2.5: must be a whole number, such as 2"),
        (["-p", "SHARE", "nan"], "SHARE=nan: must be a number, such as 0.5"),
        (["-p", "N_TRAIN", "60000"], "N_TRAIN=60000: must lie between 1 and 45000"),
        (["-p", "N_TRAIN", "-1"], "N_TRAIN=-1: must lie between 1 and 45000"),
        (["77"], "there is no notebook '77': choose from 10_makes_its_figure"),
        (["--data", "/nowhere/at/all"], "/nowhere/at/all does not exist"),
    ],
)
def test_refuses_before_anything_starts(project, arguments, says):
    assert says in one_line(lab(project, "report", *arguments))
    assert results(project) == {}


@pytest.mark.parametrize(
    ("notebook", "says"),
    [
        ("20_draws_nothing", "ran to its end but did not make nothing.png, nothing.csv"),
        ("30_fails_in_its_second_cell", "failed in cell 2 with IndexError: list index out of range"),
        (
            "40_asks_for_too_many_images",
            "failed in cell 1 with LabError: n_train is 60000: choose a whole number from",
        ),
        ("50_kills_its_kernel", "failed in cell 1: its kernel was killed"),
    ],
)
def test_failure_is_told_in_one_line_and_costs_nothing(project, notebook, says):
    assert lab(project, "report").returncode == 0
    before = results(project)
    add(project, notebook)
    line = one_line(lab(project, "report"))
    assert f"{notebook}.ipynb" in line and says in line and "earlier results are kept" in line
    after = {name: digest for name, digest in results(project).items() if "failed/" not in name}
    assert after == before
    (project / "notebooks" / f"{notebook}.ipynb").unlink()
    assert lab(project, "report").returncode == 0, "the next run succeeds"


def test_two_at_once_and_killed_in_the_middle(project):
    assert lab(project, "report").returncode == 0
    before = results(project)
    add(project, "60_waits")
    first = subprocess.Popen(
        [sys.executable, "-m", "labhelpers", "report", "60"],
        cwd=project,
        env=environment(project),
        start_new_session=True,
    )
    try:
        staging = project / "report/standin/.staging/60_waits"
        deadline = time.time() + 60
        while not staging.exists() and time.time() < deadline:
            time.sleep(0.1)
        assert "another lab report is at work in" in one_line(lab(project, "report"))
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    assert {name: digest for name, digest in results(project).items() if ".staging" not in name} == before
    (project / "notebooks/60_waits.ipynb").unlink()
    assert "unchanged" in lab(project, "report").stdout


def test_damaged_notebook(project):
    (project / "notebooks" / f"{GOOD}.ipynb").write_text("{ not a notebook")
    assert "is not a valid notebook" in one_line(lab(project, "report"))


def test_output_folder_that_cannot_be_written(project):
    (project / "a_file").write_text("in the way")
    assert "set LAB_OUT to another folder" in one_line(
        lab(project, "report", LAB_OUT=str(project / "a_file"))
    )


def test_without_cifar_goes_on_with_the_stand_in_loudly(project):
    done = lab(project, "report", LAB_DATA="", KERAS_HOME=str(project / "none"), LAB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert "WARNING: CIFAR-10 was not found" in done.stderr
    assert "WARNING: going on with stand-in images" in done.stderr
    assert (project / "report/standin/index.html").exists() and not (project / "report/index.html").exists()
