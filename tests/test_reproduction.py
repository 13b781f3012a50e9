"""Whether a run was reproduced: tables against the committed ones, networks against recorded runs."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from made_up import record

from labhelpers import data, output, paths, usage
from labhelpers.errors import LabError
from labhelpers.reporting import notebooks
from labhelpers.study import records, reproduction, spread
from labhelpers.study.experiments import experiment


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one committed table and notebook; what this run saves goes into `results`."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_title.ipynb").write_text(
        '{"cells": [{"source": ["EPOCHS = 10  # passes (1 to 99)\\n"], "metadata": {"tags": ["parameters"]}}], '
        '"metadata": {}}'
    )
    table = pd.DataFrame({"class": ["cat", "dog"], "images": [10, 20], "share": [0.123456, 1.5e-7]})
    table.to_csv(tmp_path / "figures" / "shares.csv", index=False)
    monkeypatch.setattr(reproduction, "project", lambda: tmp_path)
    monkeypatch.setattr(data, "loaded_names", {"CIFAR-10"})
    monkeypatch.setattr(usage, "used", defaultdict(set))
    monkeypatch.setattr(output, "saved", {})
    monkeypatch.setattr(spread, "SIMULATED", 2_000)
    monkeypatch.setenv("LAB_OUT", str(tmp_path / "results"))
    return tmp_path


def saved(trained=False, **columns):
    table = pd.DataFrame({"class": ["cat", "dog"], "images": [10, 20], "share": [0.123456, 1.5e-7]} | columns)
    output.save_table("shares", table, trained=trained)


def said(networks=None, seed=None):
    """Return what the last cell of a notebook would say: the outcome and the line."""
    result = reproduction._result("02", networks or {}, seed)
    return result["outcome"], result["line"]


def test_the_same_numbers_are_identical(project):
    saved(share=[0.1234561, 1.5e-7 * (1 + 1e-7)])
    assert said() == ("identical", "identical")


@pytest.mark.parametrize(
    "columns, difference",
    [
        ({"share": [0.123466, 3e-7]}, "has share 3e-07 in row 2; committed: 1.5e-07"),
        ({"images": [1_000_000, 20]}, "has images 1000000 in row 1; committed: 10"),
        ({"class": ["cat", "fox"]}, "has class fox in row 2; committed: dog"),
        ({"share": [0.123456, np.nan]}, "has share empty in row 2; committed: 1.5e-07"),
        ({"more": [1, 2]}, "has the columns class, images, share, more; committed: class, images, share"),
    ],
)
def test_a_difference_is_named(columns, difference, project):
    saved(**columns)
    assert said() == ("outside", f"outside: shares.csv {difference}")


def test_other_rows_are_named(project):
    output.save_table("shares", {"class": ["cat"], "images": [10], "share": [0.5]})
    assert said()[1] == "outside: shares.csv has 1 row; committed: 2"


def test_a_table_of_one_s_own_decides_nothing(project):
    output.save_table("mine", {"a": [1]})
    assert said() == ("not comparable", "not comparable")
    saved()
    assert said() == ("identical", "identical")
    assert "Of 2 tables that don't depend on training, 1 equal" in reproduction.text(
        reproduction._result("02", {}, None)
    )


def test_a_committed_table_that_was_not_made_is_named(project):
    path = project / "notebooks/02_title.ipynb"
    files = '{"figures/shares.csv": "", "figures/shares.png": "", "figures/more.csv": ""}'
    path.write_text(
        path.read_text().replace('"metadata": {}}', f'"metadata": {{"labhelpers": {{"files": {files}}}}}}}')
    )
    saved()
    assert said() == ("not comparable", "not comparable: more not made: run all cells first")


@pytest.mark.parametrize("damaged", [b'a,b\n1,2,3\n"', b""])
def test_a_damaged_table_is_named(damaged, project):
    saved()
    (project / "figures/shares.csv").write_bytes(damaged)
    assert said()[1] == "outside: shares.csv is damaged: restore it with git"


@pytest.mark.parametrize(
    "ours, theirs, equal",
    [
        ("0.0", "0", True),
        ("-0", "0", True),
        ("1e-300", "0", False),
        ("123457", "123456", True),  # of 123456.5, written with six digits
        ("12345", "12346", False),
        ("", "0", False),
        ("nan", "nan", True),
    ],
)
def test_numbers_that_are_written_differently(ours, theirs, equal):
    assert (reproduction._gap(ours, theirs) == 0) is equal


def test_stand_in_images_are_not_comparable(project, monkeypatch):
    monkeypatch.setattr(data, "loaded_names", {"stand-in images"})
    saved(images=[1, 2])
    assert said() == ("not comparable", "not comparable: stand-in images")


def test_tables_that_depend_on_training_are_not_compared(project):
    saved(trained=True, images=[1, 2])
    assert said() == ("not comparable", "not comparable")  # there was nothing else


def test_a_network_of_one_s_own_is_not_comparable_but_its_numbers_are_kept(project):
    one = recorded_runs()
    networks = {"baseline-20000": (one, one, False)}
    why = "the network or its settings are not those of the recorded runs"
    assert said(networks) == ("not comparable", f"not comparable: {why}")
    [part] = reproduction._result("02", networks, None)["parts"]
    assert part["numbers"]["test accuracy"] == one.accuracy and part["numbers"]["test loss"] == one.loss


def recorded_runs(change=0.0, seed=7):
    """A record of the study as if it were a run of today, with losses that are larger by `change`."""
    of = experiment("baseline-20000")
    last = records.read(of, seed)
    one = record("baseline-20000", accuracy=last.accuracy, loss=last.loss, confusion_matrix=last.confusion_matrix)
    one.history.update({name: (values + change).tolist() for name, values in last.history.items()})
    return one


def test_a_network_like_the_recorded_ones_but_for_that_with_its_seed(project):
    one = recorded_runs(seed=7)
    of = experiment("baseline-20000")
    outcome, line = said({"baseline-20000": (one, one, True)}, seed=7)
    assert outcome == reproduction.WITHIN
    assert line.startswith("within the spread of recorded runs: furthest out is ")
    assert line.endswith(f"from {len(of.all_seeds) - 1} recorded runs)")
    assert said({"baseline-20000": (one, one, True)}, seed=1234)[1].endswith(f"from {len(of.all_seeds)} recorded runs)")


def test_a_network_unlike_the_recorded_ones_decides_over_identical_tables(project):
    saved()
    one = recorded_runs(0.5)
    outcome, line = said({"baseline-20000": (one, one, True)})
    assert outcome == "outside" and "(baseline-20000; limits " in line


def test_other_parameters_are_not_comparable(project, monkeypatch):
    class Shell:
        user_ns = {"EPOCHS": 3}  # noqa: RUF012

    monkeypatch.setattr(usage, "shell", lambda: Shell)
    saved(images=[1, 2])
    assert said() == ("not comparable", "not comparable: EPOCHS = 3")
    one = recorded_runs()
    parts = reproduction._result("02", {"baseline-20000": (one, one, True)}, 7)["parts"]
    assert parts[0]["outcome"] == reproduction.WITHIN, (
        "whether a network is a run of the experiment is another question"
    )
    Shell.user_ns["EPOCHS"] = 10
    assert said()[0] == "outside"


def test_an_unknown_notebook(project):
    with pytest.raises(LabError, match="there is no notebook 09"):
        reproduction.compare("09")


def test_the_text_counts_tables_and_details(project):
    saved()
    one = recorded_runs()
    text = reproduction.text(reproduction._result("02", {"baseline-20000": (one, one, True)}, None))
    assert text.startswith("**02: within the spread of recorded runs**")
    assert (
        "Of 1 tables that" in text
        and "of 100 cells" in text
        and "of 20 losses" in text
        and "2\N{NO-BREAK SPACE}%" in text
    )


def test_after_refresh_the_tables_are_the_committed_ones(project):
    saved(images=[1, 2])
    result = reproduction._result("02", {}, None)
    assert result["outcome"] == "outside"
    assert reproduction.committed(result)["line"] == "identical"


def test_outcomes_are_counted():
    results = [{"outcome": name} for name in ("identical", "outside", "identical")]
    assert notebooks.outcomes([*results, None]) == "2 identical, 1 outside, 1 not compared"


def test_paths_of_this_machine_are_not_in_the_result(project):
    saved(images=[1, 2])
    assert str(paths.figures_dir()) not in str(reproduction._result("02", {}, None))
