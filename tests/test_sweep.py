"""`lab report` with several values for a parameter: every combination, a table and a figure."""

import signal

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image
from test_faults import succeeds, wait_for

from labhelpers import cli, plots
from labhelpers.reporting import notebooks

FOLDER = "report/sweeps/12_gives_numbers"


@pytest.fixture
def swept(project):
    return project.add("12_gives_numbers")


def results(project):
    return pd.read_csv(project.root / FOLDER / "results.csv")


def runs(project):
    """When each combination was run to its end, by the name of its folder."""
    paths = (project.root / FOLDER).glob("*/notebooks/*.ipynb")
    return {path.parts[-3]: path.stat().st_mtime_ns for path in paths}


def test_every_combination_runs_once_into_its_own_folder_and_all_into_one_table(swept):
    done = swept.lab("lab report 12 -p FACTOR 2 -p SEED 0 3")
    failed = "12_gives_numbers.ipynb failed in cell 3 with ZeroDivisionError: division by zero"
    assert done.returncode == 2 and done.stderr.startswith("lab: 1 of 2 combinations failed: FACTOR = ")
    assert f"FACTOR = 2, SEED = 3: {failed}" in done.stderr
    assert results(swept)[["FACTOR", "SEED"]].to_numpy().tolist() == [[2, 0]]
    before = runs(swept)
    out = succeeds(swept, "lab report 12 -p FACTOR 4 2 4 -p SEED 0")
    assert f"{FOLDER}/results.csv" in out
    assert [line.partition(": ")[0] for line in out.splitlines()[:2]] == ["1 of 2", "2 of 2"]
    assert runs(swept).items() >= before.items()
    assert set(runs(swept)) == {"FACTOR=2,SEED=0", "FACTOR=4,SEED=0"}
    table = results(swept)
    assert table[["FACTOR", "SEED"]].to_numpy().tolist() == [[2, 0], [4, 0]]
    assert table["test accuracy"].tolist() == pytest.approx([0.2, 0.4])
    assert (table["mean training loss"] == 1.5).all() and (table["smallest validation loss"] == 1.5).all()
    assert set(table["compared with"]) == {"baseline-20000"} and set(table["data"]) == {"CIFAR-10"}
    with Image.open(swept.root / FOLDER / "results.png") as image:
        assert image.width > 600


def test_a_sweep_that_was_ended_continues(swept):
    def end(process):
        wait_for(lambda: len(runs(swept)) == 1)
        process.send_signal(signal.SIGTERM)

    swept.meanwhile = end
    command = "lab report 12 -p SECONDS 5 -p SEED 0 2"  # waits 0 and 10 s
    done = swept.lab(command)
    assert done.returncode == 130 and "run again to carry on" in done.stderr
    [(first, when)] = runs(swept).items()
    assert first == "SECONDS=5,SEED=0"
    swept.meanwhile = None
    succeeds(swept, command)
    assert runs(swept)[first] == when and results(swept)["SEED"].tolist() == [0, 2]


@pytest.mark.parametrize(
    "options, line",
    [
        ("12 -p FACTOR 2 11", "FACTOR=11: must be from 1 to 10"),
        ("-p FACTOR 2 3", "several values need one notebook, named before -p, as in lab report 02 -p EPOCHS 3 10"),
        ("12 -p FACTOR 2 3 -p FACTOR 4", "-p FACTOR is given twice: write all its values after one -p"),
        ("10 -p FACTOR 2 3", "10_makes_its_figure trains no network that its last cell compares: choose another one"),
        ("12 -p FACTOR", "-p FACTOR: write a value after it, as in -p FACTOR 3"),
        (
            "12 --strict -p SEED 0 1",
            "--quick, --explain, --strict and --pdf can't be combined with several values: leave them out",
        ),
    ],
)
def test_what_cannot_be_swept(options, line, swept, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "project", lambda: swept.root)
    assert cli.main(["report", *options.split()]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"lab: {line}")


def test_figure_has_a_line_for_each_other_value():
    table = pd.DataFrame({"EPOCHS": [3, 3, 10, 10], "N_TRAIN": [1, 2, 1, 2], "test accuracy": [0.2, 0.3, 0.4, 0.5]})
    ax = plots.sweep(table.assign(network="one"), "EPOCHS", ["N_TRAIN", "network"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["N_TRAIN = 1", "N_TRAIN = 2"]
    means = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert [line.get_ydata().tolist() for line in means] == [pytest.approx([20, 40]), pytest.approx([30, 50])]
    assert ax.get_xscale() == "linear" and [text.get_text() for text in ax.get_xticklabels()] == ["3", "10"]
    ax = plots.sweep(table.assign(EPOCHS=[1, 1, 1_000, 1_000]), "EPOCHS", [])
    assert ax.get_xscale() == "log" and [text.get_text() for text in ax.get_xticklabels()] == ["1", "1,000"]
    plt.close("all")
