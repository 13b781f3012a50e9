"""`lab report`, `refresh` and `check` on tiny notebooks, through the command; user errors are in test_faults.py."""

import json
import re
import shutil

import nbformat
import pytest
from conftest import replace
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from test_faults import succeeds

from labhelpers.paths import MARK
from labhelpers.reporting import cache
from labhelpers.reporting.publish import TABLES

FIRST, SECOND = "10_makes_its_figure", "11_writes_a_table"
FIGURES = "report/figures"


def change(project, kind, text):
    """Add text to the last cell of a kind in the first notebook."""
    path = project.root / "notebooks" / f"{FIRST}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in reversed(notebook.cells) if cell.cell_type == kind).source += text
    nbformat.write(notebook, path)


def append(project, name):
    with (project.root / name).open("a") as file:
        file.write("\n# a line more\n")


def remove(project, name):
    (project.root / name).unlink()


def refuses(project, command, line):
    """The command ends in this line, and leaves what is committed as it was."""
    before = committed(project)
    done = project.lab(command)
    assert (done.returncode, done.stderr) == (2, f"lab: {line}\n")
    assert committed(project) == before


def committed(project):
    return {name: sha for name, sha in project.state().items() if not name.startswith("report/")}


def printed(folder):
    notebook = nbformat.read(folder / "notebooks" / f"{FIRST}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"][-2].outputs[0].text


def test_makes_figure_notebook_and_page(finished, untouched):
    out = finished.root / "report"
    assert (out / "figures" / "line.csv").read_text() == "value\n1\n2\n"
    assert (out / "figures" / "line.png").stat().st_size > 1000
    assert printed(out) == "factor 2 images 20000\n"
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "factor 2 images 20000" in page and "data:image/webp;base64" in page
    run = json.loads((out / "run.json").read_text())["notebooks"][FIRST]
    assert run["cifar"]["name"] == "CIFAR-10" and run["seconds"] > 0
    names = {MARK, "run.json", "index.html", "figures/line.csv", "figures/line.png", "figures/counts.csv"}
    names |= {f"notebooks/{FIRST}.ipynb", f"notebooks/{SECOND}.ipynb"}
    assert set(finished.state()) - set(committed(finished)) == {f"report/{name}" for name in names}
    assert committed(finished) == untouched.state(), "nothing else is written"


def test_runs_again_only_what_changed(reported):
    before = reported.state()
    assert succeeds(reported, "lab report").splitlines()[:5] == [
        f"{FIRST}: unchanged",
        f"{SECOND}: unchanged",
        "10: not comparable (when it last ran; --force compares again)",
        "11: not compared, because no cell calls compare() (when it last ran; --force compares again)",
        "total: 1 not comparable, 1 not compared",
    ]
    assert reported.state() == before
    change(reported, "markdown", "\n\n## Written again")
    assert f"{FIRST}: unchanged" in succeeds(reported, "lab report"), "prose alone needs no run"
    assert "Written again" in (reported.root / "report/index.html").read_text(encoding="utf-8"), "but is shown"
    change(reported, "code", "\nprint('more')")
    out = succeeds(reported, "lab report")
    assert "made line" in out and f"{SECOND}: unchanged" in out


def test_nothing_slow_is_loaded_if_nothing_changed(reported):
    done = reported.lab("PYTHONPROFILEIMPORTTIME=1 lab report")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "unchanged" in done.stdout and "nbformat" in loaded
    slow = {"papermill", "nbconvert", "pandas", "scipy.special", "matplotlib", "tensorflow"}
    assert not loaded & (slow | {"rfc3987_syntax.syntax_helpers"})


# After a change and with options: what `lab report --explain` says of the two notebooks; None stands for unchanged.

CHANGES = {
    ("code", lambda project: change(project, "code", "\n1 + 1"), ""): ("code changed", None),
    ("parameter", None, "-p FACTOR 3"): ("parameters changed",) * 2,
    ("wording", lambda project: append(project, "labhelpers/study/text.py"), ""): (None, None),
    ("module", lambda project: append(project, "labhelpers/style.py"), ""): ("labhelpers.style changed", None),
    ("lock file", lambda project: append(project, "requirements.lock"), ""): ("requirements.lock changed",) * 2,
    ("table", lambda project: append(project, f"{FIGURES}/counts.csv"), ""): (None, "figures/counts.csv changed"),
    ("figure", lambda project: remove(project, f"{FIGURES}/line.png"), ""): ("figures/line.png is missing", None),
    ("no run", lambda project: remove(project, "report/run.json"), ""): ("never ran to its end here",) * 2,
    ("run of another form", lambda project: replace(project.root / "report/run.json", '"key": {', '"": {', 2), ""): (
        ("never ran to its end here",) * 2
    ),
    ("no notes", lambda project: replace(project.root / "report/run.json", '"modules": {', '"no": {', 2), ""): (
        ("what it uses is not known",) * 2
    ),
    ("forced", None, "--force"): ("--force", "--force"),
}


@pytest.mark.parametrize(
    ("changed", "options", "reasons"), [pytest.param(*key[1:], reasons, id=key[0]) for key, reasons in CHANGES.items()]
)
def test_explains_what_would_run_and_runs_nothing(changed, options, reasons, reported):
    if changed:
        changed(reported)
    before = reported.state()
    lines = succeeds(reported, f"lab report --explain {options}").splitlines()
    for stem, reason, line in zip((FIRST, SECOND), reasons, lines, strict=True):
        assert line == f"{stem}: {f'would run: {reason}' if reason else 'unchanged'}"
    assert reported.state() == before


READS = """
from labhelpers import usage
from labhelpers.data import read_image
from labhelpers.study import records
from labhelpers.study.experiments import experiment

print(len(records.read_all(experiment("deeper-40000"))[0]), read_image(PICTURE).mean())
usage.note("networks", "deeper-40000-seed10")  # as weights.read does
"""


def test_records_and_pictures_count_if_a_notebook_opens_them(project, tmp_path):
    picture, runs = tmp_path / "mine.png", project.root / "data/runs"
    Image.new("RGB", (40, 40), "red").save(picture)
    cells = [new_code_cell('PICTURE = ""', metadata={"tags": ["parameters"]}), new_code_cell(READS)]
    nbformat.write(new_notebook(cells=cells), project.root / "notebooks/12_reads.ipynb")
    command = f"12 -p PICTURE '{picture}'"
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
    network = project.root / "data/networks/deeper-40000-seed10.npz"
    network.parent.mkdir()
    network.write_bytes(b"other weights")
    assert explained() == "would run: deeper-40000-seed10 changed"
    network.unlink()
    Image.new("RGB", (40, 40), "blue").save(picture)
    assert explained() == f"would run: {picture} changed"


@pytest.mark.parametrize(("used", "reasons"), [({}, []), ({"data": ["CIFAR-10"]}, ["CIFAR-10 changed"])])
def test_data_set_counts_if_it_is_used(used, reasons):
    notebook = new_notebook(cells=[new_code_cell("print()")])
    key = cache.key(notebook, {}, used | {"modules": []}, "one data set")
    assert cache.reasons(key, notebook, {}, "one data set") == []
    assert cache.reasons(key, notebook, {}, "another") == reasons


def test_module_that_is_edited_during_the_run_makes_its_results_outdated(project):
    edits = "from labhelpers import paths\n\nwith open(paths.__file__, 'a') as file:\n    file.write('# edited\\n')"
    nbformat.write(new_notebook(cells=[new_code_cell(edits)]), project.root / "notebooks/12_edits.ipynb")
    succeeds(project, "lab report 12")
    assert succeeds(project, "lab report 12 --explain") == "12_edits: would run: labhelpers.paths changed\n"


def test_sets_parameters(project):
    succeeds(project, "lab report 10 -p FACTOR 7 -p SHARE 1")
    out = project.root / "report"
    assert (out / "figures" / "line.csv").read_text() == "value\n1\n7\n"
    parameters = json.loads((out / "run.json").read_text())["notebooks"][FIRST]["parameters"]
    assert parameters == {"FACTOR": 7, "SHARE": 1.0}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "FACTOR = 7" in re.sub("<[^>]+>", "", page), "the page shows what was set"
    line = f"{FIRST} last ran with other parameters or data: run lab report {FIRST} first"
    refuses(project, "lab refresh", line)


def test_quick_has_its_own_folder(project):
    succeeds(project, "lab report 10 --quick")
    assert printed(project.root / "report/quick") == "factor 2 images 2000\n"
    assert not (project.root / "report/figures").exists()


@pytest.fixture(scope="module")
def published(finished, tmp_path_factory):
    """A project whose report was copied into the repository; to be copied, not to be changed."""
    project = finished.copy(tmp_path_factory.mktemp("published") / "mes études {1}")
    marks = [f"<!-- {name}: written by lab refresh -->\n<!-- end of {name} -->\n" for name in TABLES]
    (project.root / "README.md").write_text("\n".join(marks))
    written = succeeds(project, "lab refresh").splitlines()
    assert {f"notebooks/{FIRST}.ipynb", "figures/line.png", "figures/counts.csv", "README.md"} <= set(written)
    return project


@pytest.fixture
def refreshed(published, tmp_path):
    """A project whose report was copied into the repository."""
    return published.copy(tmp_path / "mes études {1}")


def test_refresh_copies_a_report_and_then_finds_nothing_to_do(refreshed):
    assert succeeds(refreshed, "lab check").startswith("consistent: 2 notebooks, 3 files")
    before = refreshed.state()
    assert succeeds(refreshed, "lab refresh") == "nothing to refresh\n"
    assert refreshed.state() == before


def test_refresh_of_the_only_notebook_that_ran_leaves_the_others(refreshed):
    shutil.rmtree(refreshed.root / "report")
    change(refreshed, "code", "\nprint('more')")
    before = committed(refreshed)
    assert "10: identical" in succeeds(refreshed, "lab report 10 --strict").splitlines()
    assert succeeds(refreshed, "lab refresh") == f"notebooks/{FIRST}.ipynb\n"
    after = committed(refreshed)
    assert [name for name in after if after[name] != before.get(name)] == [f"notebooks/{FIRST}.ipynb"]
    assert succeeds(refreshed, "lab check").startswith("consistent: 2 notebooks")


def test_a_run_that_differs_from_the_committed_one_is_named(refreshed):
    text = nbformat.read(refreshed.root / f"notebooks/{FIRST}.ipynb", as_version=4).cells[-1].outputs[0].data
    assert text["text/markdown"].startswith("**10: identical**."), (
        "once they are committed, its tables are the committed"
    )
    line = "10: outside: line.csv has value 2 in row 2; committed: 3"
    replace(refreshed.root / "figures/line.csv", "2", "3")
    done = refreshed.lab("lab report 10 --force --strict")
    assert done.returncode == 1 and done.stderr.startswith(f"lab: not reproduced: {FIRST};")
    assert line in done.stdout.splitlines()
    run = json.loads((refreshed.root / "report/run.json").read_text())["notebooks"][FIRST]
    assert run["reproduction"]["outcome"] == "outside"
    assert "1 outside, 1 not compared." in (refreshed.root / "report/index.html").read_text(encoding="utf-8")
    assert f"{line} (when it last ran; " in succeeds(refreshed, "lab report 10")


def test_refresh_leaves_a_figure_that_is_no_longer_made_and_check_names_it(refreshed):
    path = refreshed.root / f"notebooks/{FIRST}.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace('\\"line\\"', '\\"renamed\\"'), encoding="utf-8")
    succeeds(refreshed, "lab report")
    assert "figures/renamed.png" in succeeds(refreshed, "lab refresh").splitlines()
    assert "\nfigures/line.png is made by no notebook\n" in refreshed.lab("lab check").stderr


def test_refresh_copes_with_a_notebook_that_lost_its_metadata(refreshed):
    path = refreshed.root / f"notebooks/{SECOND}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {"labhelpers": "?"}
    nbformat.write(notebook, path)
    before = committed(refreshed)
    assert succeeds(refreshed, "lab refresh 10") == "nothing to refresh\n"
    assert committed(refreshed) == before
    done = refreshed.lab("lab check")
    assert f"{SECOND}.ipynb: its code, a tag or an output is not that of the run" in done.stderr
    assert succeeds(refreshed, "lab refresh 11") == f"notebooks/{SECOND}.ipynb\n"


def test_refresh_takes_no_run_without_the_human_labels(refreshed):
    path = refreshed.root / "report/run.json"
    record = json.loads(path.read_text())
    record["notebooks"][FIRST]["key"]["optional files"] = {"cifar10h-counts.npy": None}
    path.write_text(json.dumps(record))
    line = f"{FIRST} was run without cifar10h-counts.npy: put it where data/README.md says, run "
    refuses(refreshed, "lab refresh", f"{line}lab report, then this again")


def test_refresh_that_cannot_write_the_readme_s_tables_writes_nothing(reported):
    (reported.root / "README.md").write_text("# A title and no tables\n")
    lost = "README.md has lost the comments that mark its table of the verdicts: restore them with git"
    refuses(reported, "lab refresh", lost)


def test_refresh_takes_no_results_that_are_outdated(refreshed):
    append(refreshed, "labhelpers/style.py")
    append(refreshed, f"{FIGURES}/line.csv")
    reasons = "labhelpers.style changed, figures/line.csv changed"
    line = f"the run of {FIRST} is outdated ({reasons}): run lab report {FIRST} first"
    refuses(refreshed, "lab refresh", line)
