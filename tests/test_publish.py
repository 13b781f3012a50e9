"""`lab check` names what differs, with both values and where each is; `lab refresh` is in test_report.py."""

import re
import shutil
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from conftest import replace
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labhelpers import cifar10
from labhelpers.errors import LabError
from labhelpers.output import save_figure
from labhelpers.reporting import cache, notebooks, publish

TABLES = publish.TABLES  # those of README.md
TABLE = pd.DataFrame({"epoch": [1, 2], "loss": [1.61025, 1.27969], "kind": ["a & b", None]})
END = "## What this does not show\n\nMuch.\n\n## Your turn\n\nGo on with [the next one](02_second.ipynb)"
NOTEBOOK, CSV, README = "notebooks/01_first.ipynb", "figures/curve.csv", "README.md"


@pytest.fixture(scope="module")
def consistent(tmp_path_factory):
    """A consistent project: a notebook that shows a table and draws a figure of it, and the tables of the records."""
    root = tmp_path_factory.mktemp("consistent") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_OUT", str(root))
        patch.setenv("LAB_USAGE", "as in lab report")
        save_figure(Figure(), "curve", TABLE)
    shown = [
        new_output("display_data", {"text/html": TABLE.round(3).to_html()}),
        new_output("stream", text="2.0 points"),
    ]
    cells = [
        new_markdown_cell("# 1. A title\n\n**Question:** what is it that a figure of this kind can show us?"),
        new_code_cell("SEED = 0  # (0 to 9)", metadata={"tags": ["parameters"]}, execution_count=1),
        new_code_cell(
            "check_parameters(), draw(figure)",
            outputs=shown,
            execution_count=2,
            metadata={"tags": ["nbval-ignore-output"]},
        ),
        new_code_cell(""),
        new_markdown_cell(END),
    ]
    (root / NOTEBOOK).parent.mkdir()
    commit(new_notebook(cells=cells), root / NOTEBOOK)
    tables = {name: make() for name, make in TABLES.items()}
    marked = (
        f"<!-- {name}: written by lab refresh -->\n{table}<!-- end of {name} -->\n" for name, table in tables.items()
    )
    (root / README).write_text("# R\n\n" + "\n".join(marked))
    return SimpleNamespace(root=root, tables={name: lambda table=table: table for name, table in tables.items()})


@pytest.fixture
def project(consistent, tmp_path, monkeypatch):
    """A copy of the consistent project, in which the tables of the records are not made anew."""
    monkeypatch.setenv("LAB_OUT", str(tmp_path / "project"))
    monkeypatch.setenv("LAB_USAGE", "as in lab report")
    monkeypatch.setattr(publish, "TABLES", consistent.tables)
    for module in (publish, notebooks):
        monkeypatch.setattr(module, "project", lambda: tmp_path / "project")
    return shutil.copytree(consistent.root, tmp_path / "project")


def commit(notebook, path):
    """Write a notebook as `lab refresh` does after a run that made the files in figures/."""
    figures = {f"figures/{made.name}": cache.digest(made) for made in (path.parents[1] / "figures").iterdir()}
    used = {"modules": ["labhelpers.output"], "records": ["baseline-20000"], "data": ["CIFAR-10"]}
    run = {"files": figures, "key": cache.key(notebook, {}, used, cifar10.digest())}
    nbformat.write(notebooks.with_provenance(notebooks.clean(notebook), run), path)


def faults():
    """Return the lines of `lab check`."""
    with pytest.raises(LabError) as caught:
        publish.check()
    first, *lines, last = str(caught.value).splitlines()
    assert first == "not consistent:" and last.endswith("run lab report and lab refresh")
    return lines


def test_consistent(project, monkeypatch):
    monkeypatch.setattr(publish, "TABLES", TABLES)
    assert publish.check() == "consistent: 1 notebooks, 2 files in figures/, README.md"


# After a change in a file, from one text to another: the lines of `lab check`, where … is any text.

NOT_AS_RUN = "01_first.ipynb: its code, a tag or an output is not that of the run it was taken from"
IN_README = "README.md, table of the"
CHANGES = {
    (CSV, "1.27969", "1.29"): [f"{CSV} changed", f"figures/curve.png shows: 2,1.27969,; {CSV} has: 2,1.29,"],
    (NOTEBOOK, "1.61", "1.71"): [NOT_AS_RUN],
    (NOTEBOOK, "2.0 points", "3.0 points"): [NOT_AS_RUN],
    (NOTEBOOK, "draw(figure)", "draw(other)"): [NOT_AS_RUN],
    (NOTEBOOK, "nbval-ignore-output", "another"): [NOT_AS_RUN],
    (README, "| 30 |  | 32 |", "| 30 |  | 31 |"): [
        f"{IN_README} verdicts, has: | D2 | …| 31 |…; the records say: | D2 | …| 32 |…"
    ],
    (README, "| 1 | the original's network |", "| 1 | a network |"): [
        f"{IN_README} improvements, has: | 1 | a network |…; the records say: | 1 | the original's network |…"
    ],
    (README, "|\n<!-- end of improvements -->", "|\n| 99 |\n<!-- end of improvements -->"): [
        f"{IN_README} improvements, has: | 99 |; the records say: nothing"
    ],
    (README, "<!-- end of improvements -->", ""): [
        "README.md has lost the comments that mark its table of the improvements: restore them with git"
    ],
}


@pytest.mark.parametrize(("change", "lines"), CHANGES.items())
def test_change_is_named(project, change, lines):
    file, old, new = change
    replace(project / file, old, new)
    for line, pattern in zip(faults(), lines, strict=True):
        assert re.fullmatch(re.escape(pattern).replace("…", ".*"), line)


def test_prose_may_change_after_the_run(project):
    replace(project / NOTEBOOK, "A title", "Another title")
    assert publish.check().startswith("consistent")


def test_what_a_committed_notebook_must_not_hold_is_named(project):
    notebook = nbformat.read(project / NOTEBOOK, 4)
    notebook.cells[1].execution_count = None
    notebook.cells[2].outputs = [new_output("stream", name="stderr", text="see /home/student/lab")]
    commit(notebook, project / NOTEBOOK)
    assert faults() == [
        "01_first.ipynb: has a cell that was not executed",
        "01_first.ipynb: has an error or a warning in the output of cell 2",
        "01_first.ipynb: has a path of a machine in the output of cell 2",
    ]


def test_what_other_tools_add_is_named(project):
    notebook = nbformat.read(project / NOTEBOOK, 4)
    notebook.metadata.papermill = {"duration": 3}
    nbformat.write(notebook, project / NOTEBOOK)
    assert faults() == ["01_first.ipynb: is not cleaned"]


def test_what_a_notebook_lacks_is_named(project):
    notebook = nbformat.read(project / NOTEBOOK, 4)
    notebook.cells[0].source, notebook.cells[4].source = "Without a title", "## Your turn"
    commit(notebook, project / NOTEBOOK)
    assert faults() == [
        "01_first.ipynb: the first cell is not a title that begins with '# '",
        "01_first.ipynb: the first cell has no **Question:**",
        "01_first.ipynb: not there, or not in this order: ## What this does not show and ## Your turn",
        "01_first.ipynb: the last text does not end with a link to a notebook",
        "01_first.ipynb: there are 6 words of text for 2 lines of code, fewer than 4 a line",
    ]


def test_long_cells_and_unnamed_figures_are_named():
    shown = new_output("display_data", metadata={"labhelpers": {"figure": "curve"}})
    cells = [new_markdown_cell("# T **Question:** " + 99 * "word "), new_code_cell("1\n" * 21, outputs=[shown])]
    assert notebooks.structure_faults(new_notebook(cells=[*cells, new_markdown_cell(END)])) == [
        "the first cell does not name the figures curve",
        "the second cell is not tagged `parameters`",
        "no cell after the parameters calls check_parameters()",
        "the longest cell has 21 lines of code, more than 20",
        "half of the cells have 21 lines of code or more, not at most 6",
    ]


@pytest.mark.parametrize("line", ["SEED = 0", "SEED = 0  # of the random generator", "SEED = 0.5 # from 0 to 9"])
def test_parameter_without_a_range_is_named(project, line):
    replace(project / NOTEBOOK, "SEED = 0  # (0 to 9)", line)
    assert faults()[0] == "01_first.ipynb: no comment limits the values of SEED, as (1 to 9) would"


def test_picture_that_is_damaged_or_carries_no_numbers_is_named(project):
    path = project / "figures/curve.png"
    path.write_bytes(path.read_bytes()[:-200])
    assert "figures/curve.png is damaged" in faults()
    Figure().savefig(path)
    assert "figures/curve.png doesn't say what numbers it shows" in faults()


def test_picture_of_another_run_is_named(project):
    curve = (project / CSV).read_bytes()
    save_figure(Figure(), "curve", TABLE * [1, 2, 1])
    (project / CSV).write_bytes(curve)
    line = "figures/curve.png shows: 1,3.2205,a & b; figures/curve.csv has: 1,1.61025,a & b, and 1 more"
    assert faults() == ["figures/curve.png changed", line]


def test_every_record_that_cannot_be_used_is_named_beside_other_faults(project, monkeypatch):
    lines = [f"data/runs/baseline-20000-seed{seed}.json is damaged" for seed in (3, 5)]
    monkeypatch.setattr(publish.verdicts, "verdicts", lambda: ([], lines))
    monkeypatch.setattr(publish, "TABLES", TABLES)
    (project / CSV).unlink()
    assert faults() == [f"{CSV} is missing", *lines]


def test_missing_and_foreign_figures_are_named(project):
    (project / "figures/curve.png").rename(project / "figures/other.png")
    assert faults() == ["figures/curve.png is missing", "figures/other.png is made by no notebook"]


def test_picture_without_its_numbers_is_named(project):
    (project / CSV).unlink()
    assert faults() == [f"{CSV} is missing"]


def test_results_that_are_outdated_are_named_whatever_the_human_labels_on_this_machine(project):
    notebook = nbformat.read(project / NOTEBOOK, 4)
    key = notebook.metadata.labhelpers.key
    key["optional files"] = {"cifar10h-counts.npy": "of another machine"}
    nbformat.write(notebook, project / NOTEBOOK)
    assert publish.check().startswith("consistent")
    key["records"]["baseline-20000"] = "0"
    nbformat.write(notebook, project / NOTEBOOK)
    assert faults() == ["01_first.ipynb: is outdated (records of baseline-20000 changed)"]
    key.clear()
    nbformat.write(notebook, project / NOTEBOOK)
    assert faults() == ["01_first.ipynb: is outdated (what it uses is not known)"]
