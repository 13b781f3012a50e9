"""Results go where LAB_OUT says, and a file is whole or not there at all."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labhelpers import paths
from labhelpers.errors import LabError

PROJECT = Path(__file__).resolve().parents[1]


# Where things are


@pytest.mark.parametrize("value", [None, ""])
def test_results_go_to_report_wherever_one_stands(value, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAB_OUT")
    if value is not None:
        monkeypatch.setenv("LAB_OUT", value)
    assert paths.project() == PROJECT
    assert paths.out_dir() == PROJECT / "report"
    assert paths.figures_dir() == PROJECT / "report" / "figures"


def test_lab_out_says_where_results_go(monkeypatch, tmp_path):
    monkeypatch.setenv("LAB_OUT", str(tmp_path / "élève 1"))
    assert paths.out_dir() == tmp_path / "élève 1"
    assert paths.figures_dir() == tmp_path / "élève 1" / "figures"


def test_relative_lab_out_stays_where_it_was_when_the_directory_changes_later(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_OUT", "mine")
    out = paths.out_dir()
    monkeypatch.chdir("/")
    assert out == tmp_path / "mine"


@pytest.mark.parametrize("inside", [True, False], ids=["inside a clone", "outside"])
def test_package_copied_elsewhere_finds_the_clone_it_is_run_from(inside, tmp_path):
    elsewhere, clone = tmp_path / "site-packages", tmp_path / "clone"
    (elsewhere / "labhelpers").mkdir(parents=True)
    for name in ("__init__", "errors", "paths"):
        shutil.copy(PROJECT / "labhelpers" / f"{name}.py", elsewhere / "labhelpers")
    for name in ("notebooks", "labhelpers"):
        (clone / name).mkdir(parents=True)
    code = """
from labhelpers import errors, paths
try:
    print(paths.project())
except errors.LabError as error:
    print("LabError:", error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=clone / "notebooks" if inside else tmp_path,
        env=os.environ | {"PYTHONPATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = run.stdout.splitlines()
    if inside:
        assert line == str(clone)
    else:
        assert line.startswith("LabError: ") and "clone" in line


# Writing


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_under_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    with paths.atomic_write(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent and temporary.suffix == ".csv"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert _names(path.parent) == ["table.csv"]


def test_file_replaces_the_earlier_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("earlier")
    with paths.atomic_write(path) as temporary:
        temporary.write_text("later")
        assert path.read_text() == "earlier"
    assert path.read_text() == "later"
    assert _names(tmp_path) == ["table.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "ordinary").write_text("")
    with paths.atomic_write(tmp_path / "ours") as temporary:
        temporary.write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize(
    "fault, told",
    [
        (OSError(errno.ENOSPC, "No space left on device"), LabError),
        (BrokenPipeError(), BrokenPipeError),
        (ValueError("no fault of the disk"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["disk full", "output that nobody reads on", "error", "interrupted"],
)
def test_earlier_file_stays_when_writing_fails_in_the_middle(fault, told, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("earlier")
    with pytest.raises(told), paths.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise fault
    assert path.read_text() == "earlier"
    assert _names(tmp_path) == ["table.csv"]


def test_full_disk_is_told_with_what_to_do(tmp_path, tells):
    path = tmp_path / "table.csv"
    with tells(LabError, path, "No space left on device", "LAB_OUT"), paths.atomic_write(path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_folder_that_cannot_be_made_is_told(tmp_path, tells):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "figures" / "table.csv"
    with tells(LabError, path, "LAB_OUT"), paths.atomic_write(path):
        pytest.fail("there is nowhere to write")


def test_folder_in_the_file_s_place_is_told_and_left_alone(tmp_path, tells):
    path = tmp_path / "table.csv"
    path.mkdir()
    with tells(LabError, path), paths.atomic_write(path) as temporary:
        temporary.write_text("whole")
    assert _names(tmp_path) == ["table.csv"] and path.is_dir()
