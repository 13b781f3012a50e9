"""`lab report` on tiny notebooks, through the command a person types; what goes wrong is in test_faults.py."""

import json
import re
import shutil

import nbformat
import pytest
from conftest import replace
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from labhelpers.reporting import cache
from labhelpers.reporting.publish import TABLES

GOOD = "10_makes_its_figure"


def change(project, kind, text):
    """Add text to the last cell of a kind."""
    path = project.root / "notebooks" / f"{GOOD}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in reversed(notebook.cells) if cell.cell_type == kind).source += text
    nbformat.write(notebook, path)


def succeeds(project, command):
    done = project.lab(command)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_makes_figure_notebook_and_page(finished):
    out = finished.root / "report"
    assert (out / "figures" / "line.csv").read_text() == "value\n1\n2\n"
    assert (out / "figures" / "line.png").stat().st_size > 1000
    executed = nbformat.read(out / "notebooks" / f"{GOOD}.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "factor 2 images 20000\n"
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "factor 2 images 20000" in page and "data:image/png;base64" in page and 'src="http' not in page
    run = json.loads((out / "run.json").read_text())["notebooks"][GOOD]
    assert run["cifar"]["name"] == "CIFAR-10" and run["seconds"] > 0
    names = {"run.json", "index.html", "figures/line.csv", "figures/line.png", "figures/counts.csv"}
    names |= {f"notebooks/{GOOD}.ipynb", "notebooks/11_writes_a_table.ipynb"}
    assert {name for name in finished.state() if name.startswith("report/")} == {
        f"report/{name}" for name in names
    }


def test_writes_nothing_but_the_report(finished, untouched):
    elsewhere = {name: sha for name, sha in finished.state().items() if not name.startswith("report/")}
    assert elsewhere == untouched.state()


def test_runs_again_only_what_changed(reported):
    before = reported.state()
    assert succeeds(reported, "lab report").splitlines()[:2] == [
        f"{GOOD}: unchanged",
        "11_writes_a_table: unchanged",
    ]
    assert reported.state() == before
    change(reported, "markdown", ", told anew")
    assert f"{GOOD}: unchanged" in succeeds(reported, "lab report"), "prose alone needs no run"
    assert "told anew" in (reported.root / "report/index.html").read_text(encoding="utf-8"), "but is shown"
    change(reported, "code", "\nprint('more')")
    out = succeeds(reported, "lab report")
    assert "made line" in out and "11_writes_a_table: unchanged" in out


def test_nothing_changed_takes_no_time(reported):
    done = reported.lab("PYTHONPROFILEIMPORTTIME=1 lab report")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "unchanged" in done.stdout and "nbformat" in loaded
    slow = {
        "papermill",
        "nbconvert",
        "scipy.stats",
        "matplotlib",
        "tensorflow",
        "rfc3987_syntax.syntax_helpers",
    }
    assert not loaded & slow


# What `lab report --explain` says of the two notebooks after a change.

CHANGES = {
    "nothing": (lambda project: None, "", "unchanged", "unchanged"),
    "prose": (lambda project: change(project, "markdown", " more"), "", "unchanged", "unchanged"),
    "code": (lambda project: change(project, "code", "\n1 + 1"), "", "code changed", "unchanged"),
    "parameter": (lambda project: None, "-p FACTOR 3", "parameters changed", "unchanged"),
    "module": (
        lambda project: append(project, "labhelpers/plots.py"),
        "",
        "labhelpers.plots changed",
        "unchanged",
    ),
    "module of both": (
        lambda project: append(project, "labhelpers/paths.py"),
        "",
        *["labhelpers.paths changed"] * 2,
    ),
    "wording": (lambda project: append(project, "labhelpers/study/text.py"), "", "unchanged", "unchanged"),
    "page": (lambda project: append(project, "labhelpers/reporting/page.py"), "", "unchanged", "unchanged"),
    "lock": (lambda project: append(project, "requirements.lock"), "", *["requirements.lock changed"] * 2),
    "figure": (
        lambda project: (project.root / "report/figures/line.png").unlink(),
        "",
        "figures/line.png is missing",
        "unchanged",
    ),
    "table": (
        lambda project: append(project, "report/figures/counts.csv"),
        "",
        "unchanged",
        "figures/counts.csv changed",
    ),
    "no run": (
        lambda project: (project.root / "report/run.json").unlink(),
        "",
        *["never ran to its end here"] * 2,
    ),
    "no notes of what was used": (
        lambda project: replace(project.root / "report/run.json", '"modules": {', '"others": {', 2),
        "",
        *["what it uses is not known"] * 2,
    ),
    "asked for": (lambda project: None, "--force", "--force", "--force"),
}


def append(project, name):
    with (project.root / name).open("a") as file:
        file.write("\n# a line more\n")


@pytest.mark.parametrize(("changed", "options", "first", "second"), CHANGES.values(), ids=CHANGES.keys())
def test_explains_what_would_run_and_runs_nothing(changed, options, first, second, reported):
    changed(reported)
    before = reported.state()
    lines = succeeds(reported, f"lab report --explain {options}").splitlines()
    stems = (GOOD, "11_writes_a_table")
    assert lines == [
        f"{stem}: {why if why == 'unchanged' else f'would run: {why}'}"
        for stem, why in zip(stems, (first, second), strict=True)
    ]
    assert reported.state() == before


READS = """
from labhelpers.data import read_image
from labhelpers.study import records
from labhelpers.study.experiments import experiment

print(len(records.read_all(experiment("deeper-40000"))[0]), read_image(PICTURE).mean())
"""


def test_records_and_pictures_count_where_a_notebook_opens_them(project, tmp_path):
    picture, runs = tmp_path / "mine.png", project.root / "data/runs"
    Image.new("RGB", (40, 40), "red").save(picture)
    cells = [new_code_cell('PICTURE = ""', metadata={"tags": ["parameters"]}), new_code_cell(READS)]
    nbformat.write(new_notebook(cells=cells), project.root / "notebooks/12_reads.ipynb")
    command = f"-p PICTURE '{picture}' 12"
    succeeds(project, f"lab report {command}")

    def explained():
        return succeeds(project, f"lab report --explain {command}").strip().removeprefix("12_reads: ")

    assert explained() == "unchanged"
    runs.mkdir()
    (runs / "deeper-40000-adam-1e-4-seed0.json").write_text("{}")
    assert explained() == "unchanged", "this notebook reads no records of that experiment"
    (runs / "deeper-40000-seed0.json").write_text("{}")
    assert explained() == "would run: records of deeper-40000 changed"
    (runs / "deeper-40000-seed0.json").unlink()
    Image.new("RGB", (40, 40), "blue").save(picture)
    assert explained() == f"would run: {picture} changed"


def test_data_set_counts_where_it_is_used():
    notebook = new_notebook(cells=[new_code_cell("print()")])
    for used, reasons in (
        ({"modules": []}, []),
        ({"modules": [], "data": ["CIFAR-10"]}, ["CIFAR-10 changed"]),
    ):
        run = {"key": cache.key(notebook, {}, used, "one data set")}
        assert cache.reasons(run, notebook, {}, "one data set") == []
        assert cache.reasons(run, notebook, {}, "another") == reasons


def test_module_that_is_edited_during_the_run_makes_its_results_outdated(project):
    edits = new_code_cell(
        "from labhelpers import paths\n\nwith open(paths.__file__, 'a') as file:\n    file.write('# edited\\n')"
    )
    nbformat.write(new_notebook(cells=[edits]), project.root / "notebooks/12_edits.ipynb")
    succeeds(project, "lab report 12")
    assert succeeds(project, "lab report 12 --explain") == "12_edits: would run: labhelpers.paths changed\n"


def test_same_bytes_when_forced_again(reported, finished):
    assert "made line" in succeeds(reported, "lab report --force")
    assert reported.results() == finished.results()


def test_sets_parameters(project):
    succeeds(project, "lab report 10 -p FACTOR 7 -p SHARE 1")
    out = project.root / "report"
    assert (out / "figures" / "line.csv").read_text() == "value\n1\n7\n"
    assert json.loads((out / "run.json").read_text())["notebooks"][GOOD]["parameters"] == {
        "FACTOR": 7,
        "SHARE": 1.0,
    }
    injected = nbformat.read(out / "notebooks" / f"{GOOD}.ipynb", as_version=4).cells[2].source
    assert "FACTOR = 7" in injected
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "FACTOR = 7" in re.sub("<[^>]+>", "", page), "the page shows what was set"


def test_quick_has_a_folder_of_its_own(project):
    succeeds(project, "lab report 10 --quick")
    executed = nbformat.read(project.root / f"report/quick/notebooks/{GOOD}.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "factor 2 images 2000\n"
    assert not (project.root / "report/figures").exists()


@pytest.fixture
def refreshed(reported):
    """A project whose report was taken over into the repository."""
    marks = [f"<!-- {name}: written by lab refresh -->\n<!-- end of {name} -->\n" for name in TABLES]
    (reported.root / "README.md").write_text("\n".join(marks))
    taken = succeeds(reported, "lab refresh").splitlines()
    assert {f"notebooks/{GOOD}.ipynb", "figures/line.png", "figures/counts.csv", "README.md"} <= set(taken)
    return reported


def test_refresh_takes_a_report_over_and_then_finds_nothing_to_do(refreshed):
    assert succeeds(refreshed, "lab check").startswith("consistent: 2 notebooks, 3 files")
    before = refreshed.state()
    assert succeeds(refreshed, "lab refresh") == "nothing to refresh\n"
    assert refreshed.state() == before


def test_refresh_of_the_only_notebook_that_ran_leaves_the_others(refreshed):
    shutil.rmtree(refreshed.root / "report")
    change(refreshed, "code", "\nprint('more')")
    before = committed(refreshed)
    succeeds(refreshed, "lab report 10")
    assert succeeds(refreshed, "lab refresh") == f"notebooks/{GOOD}.ipynb\n"
    after = committed(refreshed)
    assert [name for name in after if after[name] != before.get(name)] == [f"notebooks/{GOOD}.ipynb"]
    assert succeeds(refreshed, "lab check").startswith("consistent: 2 notebooks")


def test_figure_that_is_no_longer_made_is_removed(refreshed):
    path = refreshed.root / f"notebooks/{GOOD}.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace('\\"line\\"', '\\"renamed\\"'), encoding="utf-8")
    succeeds(refreshed, "lab report")
    taken = succeeds(refreshed, "lab refresh").splitlines()
    assert {"figures/renamed.png", "figures/line.png (removed)"} <= set(taken)
    assert not (refreshed.root / "figures/line.png").exists()


def test_refresh_that_cannot_write_the_readme_s_tables_writes_nothing(reported):
    (reported.root / "README.md").write_text("# A title and no tables\n")
    before = reported.state()
    done = reported.lab("lab refresh")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "README.md has lost the comments that mark its table of the verdicts" in done.stderr
    assert reported.state() == before


def test_refresh_takes_no_report_with_other_parameters(refreshed):
    succeeds(refreshed, "lab report 10 -p FACTOR 7")
    before = committed(refreshed)
    done = refreshed.lab("lab refresh")
    assert done.returncode == 2 and "last ran with other parameters or data: run lab report" in done.stderr
    assert committed(refreshed) == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (lambda project: change(project, "code", "\nprint('more')"), "code changed"),
        (lambda project: append(project, "labhelpers/plots.py"), "labhelpers.plots changed"),
        (lambda project: append(project, "report/figures/line.csv"), "figures/line.csv changed"),
    ],
    ids=["code", "library", "figure"],
)
def test_refresh_takes_no_results_that_are_outdated(refreshed, changed, reason):
    changed(refreshed)
    before = committed(refreshed)
    done = refreshed.lab("lab refresh")
    line = f"lab: the run of {GOOD} is outdated ({reason}): run lab report {GOOD} first\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert committed(refreshed) == before


def test_check_accepts_no_results_that_are_outdated(refreshed):
    append(refreshed, "labhelpers/plots.py")
    done = refreshed.lab("lab check")
    assert done.returncode == 2
    assert f"{GOOD}.ipynb: is outdated (labhelpers.plots changed)" in done.stderr and "11_" not in done.stderr


def committed(project):
    return {name: sha for name, sha in project.state().items() if name.startswith(("figures/", "notebooks/"))}
