"""`lab check` names what differs, with both values and where each stands."""

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labhelpers import plots
from labhelpers.errors import LabError
from labhelpers.reporting import check, notebooks, readme
from labhelpers.study import claims, wording

TABLE = pd.DataFrame({"epoch": [1, 2], "loss": [1.61025, 1.27969], "kind": ["a & b", None]})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in step: a notebook that shows a table and draws a figure of it, and the verdicts of the records."""
    monkeypatch.setenv("LAB_OUT", str(tmp_path))
    monkeypatch.setattr(check, "project", lambda: tmp_path)
    path = tmp_path / "notebooks" / "01_first.ipynb"
    monkeypatch.setattr(notebooks, "notebook_paths", lambda: [path])
    plots.save_figure(Figure(), "curve", TABLE)
    table = wording.table(claims.verdicts()[0])
    plots.save_figure(Figure(), "verdicts", table)
    shown = [
        {"text/html": TABLE.round(3).to_html()},
        {"text/markdown": wording.as_markdown(claims.verdicts()[0])},
    ]
    source = 'plots.save_figure(fig, "curve", table)\nplots.save_figure(fig, "verdicts", table)'
    outputs = [new_output("display_data", data) for data in shown]
    notebook = new_notebook(
        cells=[new_markdown_cell("# 1."), new_code_cell(source, outputs=outputs, execution_count=1)]
    )
    path.parent.mkdir()
    nbformat.write(notebooks.sealed(notebooks.clean(notebook)), path)
    marked = (
        f"<!-- {name}: written by lab refresh -->\n{table.make()}<!-- end of {name} -->\n"
        for name, table in readme.TABLES.items()
    )
    (tmp_path / "README.md").write_text("# R\n\n" + "\n".join(marked))
    monkeypatch.setattr(readme, "project", lambda: tmp_path)
    return tmp_path


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_in_step(project):
    assert check.check() == "in step: 1 notebooks, 4 files in figures/, README.md"


def test_number_in_a_csv_is_named_beside_the_picture_and_the_notebook(project, tells):
    change(project / "figures/curve.csv", "1.27969", "1.29")
    with tells(
        LabError,
        "figures/curve.png shows loss 1.27969 in row 2 (2), figures/curve.csv has 1.29",
        "01_first.ipynb, cell 1 shows loss 1.28 in row 2 (2), figures/curve.csv has 1.29",
    ):
        check.check()


def test_number_that_rounds_to_what_the_notebook_shows_is_still_not_that_of_the_picture(project):
    change(project / "figures/curve.csv", "1.27969", "1.27971")
    with pytest.raises(LabError) as caught:
        check.check()
    assert "curve.png shows loss 1.27969" in str(caught.value) and "cell 1" not in str(caught.value)


def test_number_in_a_notebook_is_named(project, tells):
    change(project / "notebooks/01_first.ipynb", "1.61", "1.71")
    with tells(LabError, "cell 1 shows loss 1.71 in row 1 (1), figures/curve.csv has 1.61025"):
        check.check()


def test_verdict_in_a_notebook_is_named(project, tells):
    change(project / "notebooks/01_first.ipynb", "| 30 | 32 |", "| 30 | 31 |")
    with tells(LabError, "cell 1 shows ours (95 % interval) 31 in row 2 (D2), the records say 32"):
        check.check()


@pytest.mark.parametrize(
    ("old", "new"), [("2.0 points", "3.0 points"), ('fig, \\"curve', 'figure, \\"curve')]
)
def test_notebook_changed_after_its_run_is_named(project, tells, old, new):
    path = project / "notebooks/01_first.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[1].outputs.append(new_output("stream", text="a gain of 2.0 points"))
    notebook.cells[0].source = "# 1. Prose may change"
    nbformat.write(notebooks.sealed(notebook), path)
    assert check.check().startswith("in step")
    change(path, old, new)
    with tells(LabError, "01_first.ipynb: its code or an output is not that of the run"):
        check.check()


def test_picture_cut_short_is_named(project, tells):
    path = project / "figures/curve.png"
    path.write_bytes(path.read_bytes()[:-200])
    with tells(LabError, "figures/curve.png is damaged"):
        check.check()


def test_picture_of_another_run_is_named(project, tells):
    curve = (project / "figures/curve.csv").read_bytes()
    plots.save_figure(Figure(), "curve", TABLE * [1, 2, 1])
    (project / "figures/curve.csv").write_bytes(curve)
    with tells(
        LabError,
        "figures/curve.png shows loss 3.2205 in row 1 (1), figures/curve.csv has 1.61025, and 1 more",
    ):
        check.check()


def test_picture_that_carries_no_numbers_is_named(project, tells):
    Figure().savefig(project / "figures/curve.png")
    with tells(LabError, "figures/curve.png doesn't say what numbers it shows"):
        check.check()


def test_verdict_in_a_csv_is_named(project, tells):
    change(
        project / "figures/verdicts.csv",
        "D2,the images have 30x30 pixels,30,32",
        "D2,the images have 30x30 pixels,30,31",
    )
    with tells(
        LabError, "figures/verdicts.csv has ours (95 % interval) 31 in row 2 (D2), the records say 32"
    ):
        check.check()


def test_number_in_the_readme_is_named(project, tells):
    change(project / "README.md", "| 30 | 32 |", "| 30 | 31 |")
    with tells(LabError, "README.md, D2, ours (95 % interval): 31, but the records say 32"):
        check.check()


def test_number_of_the_ladder_in_the_readme_is_named(project, tells):
    row = next(row for row in readme.rows(readme.ladder_table()) if row["rung"] == "1")
    change(project / "README.md", f"| {row['runs']} | {row['minutes on two cores']} |", "| 99 | 0.1 |")
    with tells(LabError, f"README.md, {row['change']}, runs: 99, but the records say {row['runs']}"):
        check.check()


def test_row_that_the_readme_lost_is_named(project, tells):
    change(project / "README.md", "| D1 |", "| X1 |")
    with tells(LabError, "README.md, D1: has no row", "README.md, X1: is no claim"):
        check.check()


def test_missing_and_foreign_figures_are_named(project, tells):
    (project / "figures/curve.png").rename(project / "figures/other.png")
    with tells(LabError, "figures/curve.png is missing", "figures/other.png is made by no notebook"):
        check.check()
