"""`lab check` names what differs, with both values and where each is; `lab refresh` is in test_report.py."""

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labhelpers import cifar10
from labhelpers.errors import LabError
from labhelpers.output import save_figure
from labhelpers.reporting import cache, notebooks, publish
from labhelpers.study import tables, verdicts

TABLE = pd.DataFrame({"epoch": [1, 2], "loss": [1.61025, 1.27969], "kind": ["a & b", None]})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A consistent project: a notebook that shows a table and draws a figure of it, and the verdicts of the records."""
    monkeypatch.setenv("LAB_OUT", str(tmp_path))
    monkeypatch.setattr(publish, "project", lambda: tmp_path)
    path = tmp_path / "notebooks" / "01_first.ipynb"
    monkeypatch.setattr(notebooks, "notebook_paths", lambda: [path])
    judged = verdicts.verdicts()[0]
    save_figure(Figure(), "curve", TABLE)
    save_figure(Figure(), "verdicts", tables.table(judged))
    shown = [{"text/html": TABLE.round(3).to_html()}, {"text/markdown": tables.as_markdown(judged)}]
    outputs = [new_output("display_data", output) for output in shown]
    code = new_code_cell("draw(figure)", outputs=outputs, execution_count=1)
    path.parent.mkdir()
    commit(new_notebook(cells=[new_markdown_cell("# 1."), code]), path)
    marked = (
        f"<!-- {name}: written by lab refresh -->\n{make()}<!-- end of {name} -->\n"
        for name, make in publish.TABLES.items()
    )
    (tmp_path / "README.md").write_text("# R\n\n" + "\n".join(marked))
    return tmp_path


def commit(notebook, path, settings=()):
    """Write a notebook as `lab refresh` does after a run with these parameters that made the files in figures/."""
    figures = {f"figures/{made.name}": cache.digest(made) for made in (path.parents[1] / "figures").iterdir()}
    used = {"modules": ["labhelpers.output"], "records": ["baseline-20000"], "data": ["CIFAR-10"]}
    key = cache.key(notebook, dict(settings), used, cifar10.digest())
    run = {"files": figures, "key": key}
    nbformat.write(notebooks.with_provenance(notebooks.clean(notebook), run), path)


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_consistent(project):
    assert publish.check() == "consistent: 1 notebooks, 4 files in figures/, README.md"


def test_number_in_a_csv_is_named_beside_the_picture_and_the_notebook(project, tells):
    change(project / "figures/curve.csv", "1.27969", "1.29")
    with tells(
        LabError,
        "figures/curve.png shows loss 1.27969 in row 2 (2), figures/curve.csv has 1.29",
        "01_first.ipynb, cell 1 shows loss 1.28 in row 2 (2), figures/curve.csv has 1.29",
    ):
        publish.check()


def test_number_that_rounds_to_what_the_notebook_shows_is_still_not_that_of_the_picture(project):
    change(project / "figures/curve.csv", "1.27969", "1.27971")
    with pytest.raises(LabError) as caught:
        publish.check()
    assert "curve.png shows loss 1.27969" in str(caught.value) and "cell 1" not in str(caught.value)


def test_number_in_a_notebook_is_named(project, tells):
    change(project / "notebooks/01_first.ipynb", "1.61", "1.71")
    with tells(LabError, "cell 1 shows loss 1.71 in row 1 (1), figures/curve.csv has 1.61025"):
        publish.check()


def test_verdict_in_a_notebook_is_named(project, tells):
    change(project / "notebooks/01_first.ipynb", "| 30 | 32 |", "| 30 | 31 |")
    with tells(LabError, "cell 1 shows ours (95 % interval) 31 in row 2 (D2), the records say 32"):
        publish.check()


@pytest.mark.parametrize(("old", "new"), [("2.0 points", "3.0 points"), ("draw(figure)", "draw(other)")])
def test_notebook_changed_after_its_run_is_named(project, tells, old, new):
    path = project / "notebooks/01_first.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[1].outputs.append(new_output("stream", text="a gain of 2.0 points"))
    notebook.cells[0].source = "# 1. Prose may change"
    commit(notebook, path)
    assert publish.check().startswith("consistent")
    change(path, old, new)
    with tells(LabError, "01_first.ipynb: its code or an output is not that of the run"):
        publish.check()


def test_picture_cut_short_is_named(project, tells):
    path = project / "figures/curve.png"
    path.write_bytes(path.read_bytes()[:-200])
    with tells(LabError, "figures/curve.png is damaged"):
        publish.check()


def test_picture_of_another_run_is_named(project, tells):
    curve = (project / "figures/curve.csv").read_bytes()
    save_figure(Figure(), "curve", TABLE * [1, 2, 1])
    (project / "figures/curve.csv").write_bytes(curve)
    with tells(
        LabError,
        "figures/curve.png shows loss 3.2205 in row 1 (1), figures/curve.csv has 1.61025, and 1 more",
    ):
        publish.check()


def test_picture_that_carries_no_numbers_is_named(project, tells):
    Figure().savefig(project / "figures/curve.png")
    with tells(LabError, "figures/curve.png doesn't say what numbers it shows"):
        publish.check()


def test_verdict_in_a_csv_is_named(project, tells):
    change(
        project / "figures/verdicts.csv",
        "D2,the images have 30x30 pixels,30,32",
        "D2,the images have 30x30 pixels,30,31",
    )
    with tells(
        LabError,
        "figures/verdicts.png shows ours (95 % interval) 32 in row 2 (D2), figures/verdicts.csv has 31",
        "figures/verdicts.csv changed",
    ):
        publish.check()


def test_number_in_the_readme_is_named(project, tells):
    change(project / "README.md", "| 30 | 32 |", "| 30 | 31 |")
    with tells(
        LabError,
        "README.md, table of the verdicts, has ours (95 % interval) 31 in row 2 (D2), the records say 32",
    ):
        publish.check()


def test_number_of_the_improvements_in_the_readme_is_named(project, tells):
    change(project / "README.md", "| 1 | the original's network | 66", "| 1 | the original's network | 99")
    with tells(
        LabError,
        "README.md, table of the improvements, has test accuracy (95 % interval) 99",
        "records say 66",
    ):
        publish.check()


def test_row_that_the_readme_lost_is_named(project, tells):
    change(project / "README.md", "| D1 |", "| X1 |")
    with tells(LabError, "README.md, table of the verdicts, has claim X1 in row 1 (X1), the records say D1"):
        publish.check()


def test_missing_and_foreign_figures_are_named(project, tells):
    (project / "figures/curve.png").rename(project / "figures/other.png")
    with tells(LabError, "figures/curve.png is missing", "figures/other.png is made by no notebook"):
        publish.check()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("modules", "labhelpers.output changed"),
        ("records", "records of baseline-20000 changed"),
        ("requirements.lock", "requirements.lock changed"),
        ("data", "CIFAR-10 changed"),
        ("parameters", "parameters changed"),
        (None, "what it uses is not known"),
    ],
)
def test_results_that_are_outdated_are_not_accepted(project, tells, changed, reason):
    path = project / "notebooks/01_first.ipynb"
    notebook = nbformat.read(path, 4)
    key = notebook.metadata.labhelpers.key
    if changed is None:
        key.clear()
    else:
        key[changed] = dict.fromkeys(key[changed], "0") if isinstance(key[changed], dict) else "0"
    nbformat.write(notebook, path)
    with tells(LabError, f"01_first.ipynb: is outdated ({reason}): run lab report, then lab refresh"):
        publish.check()


def test_human_labels_need_not_be_on_the_machine_that_checks(project):
    path = project / "notebooks/01_first.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.metadata.labhelpers.key["human labels"] = {"cifar10h-counts.npy": "of another machine"}
    nbformat.write(notebook, path)
    assert publish.check().startswith("consistent")
