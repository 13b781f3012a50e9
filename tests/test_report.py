"""`lab report` on tiny notebooks, through the command a person types; what goes wrong is in test_faults.py."""

import json
import re

import nbformat
import pytest

from labhelpers.reporting import fingerprints
from labhelpers.reporting.readme import TABLES

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
    "labhelpers": (lambda project: append(project, "labhelpers/plots.py"), "", *["labhelpers changed"] * 2),
    "page": (lambda project: append(project, "labhelpers/reporting/page.py"), "", "unchanged", "unchanged"),
    "lock": (lambda project: append(project, "requirements.lock"), "", *["lock changed"] * 2),
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


def test_data_and_records_count_where_they_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "runs_dir", lambda: tmp_path)

    def fingerprint(source, data):
        cells = [nbformat.v4.new_code_cell(source)]
        return fingerprints.of_notebook(nbformat.v4.new_notebook(cells=cells), {}, data)

    def changed(source):
        before = fingerprint(source, "one")
        (tmp_path / f"{len(list(tmp_path.iterdir()))}-seed0.json").write_text("{}")
        after = fingerprint(source, "another")
        return [name for name in before if before[name] != after[name]]

    assert changed("print()") == []
    assert changed("cifar = load()") == ["data"]
    assert changed("from labhelpers.study import records") == ["records"]
    assert changed("from labhelpers.study import records\ndata.load()") == ["data", "records"]


def test_a_file_that_a_parameter_names_counts_with_its_content(tmp_path):
    picture, notebook = tmp_path / "mine.png", nbformat.v4.new_notebook()

    def fingerprint():
        return fingerprints.of_notebook(notebook, {"MY_IMAGE": str(picture), "EPOCHS": 1}, "")

    found = []
    for content in (None, b"a cat", b"a dog"):
        if content:
            picture.write_bytes(content)
        found.append(fingerprint()["parameters"])
    assert len(set(found)) == 3 and fingerprint()["parameters"] == found[-1]


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


def test_refresh_takes_a_report_over_and_then_finds_nothing_to_do(reported):
    marks = [f"<!-- {name}: written by lab refresh -->\n<!-- end of {name} -->\n" for name in TABLES]
    (reported.root / "README.md").write_text("\n".join(marks))
    (reported.root / "notebooks/11_writes_a_table.ipynb").unlink()  # in a way that lab check does not know
    taken = succeeds(reported, "lab refresh").splitlines()
    assert {f"notebooks/{GOOD}.ipynb", "figures/line.png", "figures/line.csv", "README.md"} <= set(taken)
    assert succeeds(reported, "lab check").startswith("in step: 1 notebooks")
    before = reported.state()
    assert succeeds(reported, "lab refresh") == "nothing to refresh\n"
    assert reported.state() == before


def test_refresh_takes_no_report_with_other_settings_or_other_code(reported):
    succeeds(reported, "lab report 10 -p FACTOR 7")
    before = reported.state()
    done = reported.lab("lab refresh")
    assert done.returncode == 2 and "other parameters or data: run lab report" in done.stderr
    succeeds(reported, "lab report")
    change(reported, "code", "\nprint('more')")
    done = reported.lab("lab refresh")
    assert done.returncode == 2 and "has changed since it ran: run lab report first" in done.stderr
    assert {name for name in reported.state() if name.startswith("figures/")} == {
        name for name in before if name.startswith("figures/")
    }
