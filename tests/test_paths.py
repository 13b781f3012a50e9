"""Results go where LAB_OUT says, and a file is complete or not there at all."""

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


def test_reports_go_to_report_from_any_directory_and_runs_by_hand_beside_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for value in ("", None):
        monkeypatch.setenv("LAB_OUT", value) if value is not None else monkeypatch.delenv("LAB_OUT")
        assert paths.project() == PROJECT
        assert paths.out_dir() == PROJECT / "report"
        assert paths.figures_dir() == PROJECT / "report" / "by_hand" / "figures"
        assert paths.examples_dir() == PROJECT / "report" / "by_hand" / "examples"


def test_lab_out_says_where_results_go_and_is_relative_to_the_directory_now(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_OUT", "élève 1")
    out, figures = paths.out_dir(), paths.figures_dir()
    monkeypatch.chdir("/")
    assert (out, figures) == (tmp_path / "élève 1", tmp_path / "élève 1" / "figures")


def test_runs_by_hand_leave_a_report_alone_and_lab_report_is_given_its_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LAB_OUT", str(tmp_path))
    (tmp_path / "run.json").write_text("{}")
    assert paths.figures_dir() == tmp_path / "by_hand" / "figures"
    monkeypatch.setenv("LAB_USAGE", "notes.json")
    assert paths.figures_dir() == tmp_path / "figures"


def test_folder_of_someone_else_s_files_is_refused(monkeypatch, tmp_path, tells):
    paths.claim(tmp_path)
    (tmp_path / "figures").mkdir()
    paths.claim(tmp_path)  # again: it is marked
    theirs = tmp_path / "figures"
    (theirs / "mine.png").write_text("mine")
    for folder in (theirs, PROJECT, PROJECT / "notebooks"):
        with tells(LabError, f"LAB_OUT names {folder}, whose files might be replaced: name a new or an empty folder"):
            paths.claim(folder)
    assert [path.name for path in theirs.iterdir()] == ["mine.png"]


def test_typed_path_is_found_here_or_where_the_command_was_typed(monkeypatch, tmp_path, tells):
    here, typed_in = tmp_path / "here", tmp_path / "typed in"
    for folder in (here, typed_in):
        folder.mkdir()
        (folder / "both.png").touch()
    (typed_in / "cat.png").touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PWD", str(typed_in))
    assert paths.typed("both.png") == here / "both.png"
    assert paths.typed("cat.png") == typed_in / "cat.png"
    assert paths.typed("nowhere.png") == here / "nowhere.png"
    assert paths.typed("x" * 5_000) == here / ("x" * 5_000)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.typed("~/cat.png") == tmp_path / "cat.png"
    with tells(LabError, "write the path in full"):
        paths.typed("~nobody-has-this-name/cat.png")


@pytest.mark.parametrize("inside", [True, False], ids=["inside a clone", "outside"])
def test_package_copied_elsewhere_finds_the_clone_it_is_run_from(inside, tmp_path):
    elsewhere, clone = tmp_path / "site-packages", tmp_path / "clone"
    (elsewhere / "labhelpers").mkdir(parents=True)
    for name in ("__init__", "errors", "paths", "usage"):
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
    assert line == str(clone) if inside else line.startswith("LabError: ") and "clone" in line


@pytest.mark.parametrize("earlier", ["earlier", None])
def test_file_gets_its_name_only_when_it_is_complete(earlier, tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    if earlier:
        path.parent.mkdir(parents=True)
        path.write_text(earlier)
    with paths.atomic_write(path) as temporary:
        temporary.write_text("complete")
        assert (path.read_text() if path.exists() else None) == earlier
        assert temporary.parent == path.parent and temporary.suffix == ".csv"
    assert path.read_text() == "complete"
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "ordinary").write_text("")
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize(
    "fault, raised",
    [
        (OSError(errno.ENOSPC, "No space left on device"), LabError),
        (BrokenPipeError(), BrokenPipeError),
        (ValueError("not of the disk"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["disk full", "output that is not read on", "error", "interrupted"],
)
def test_earlier_file_stays_when_writing_fails(fault, raised, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("earlier")
    with pytest.raises(raised) as caught, paths.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise fault
    if raised is LabError:
        assert str(caught.value) == f"can't write {path}: {fault.strerror}; {paths.OTHER_FOLDER}, then run again"
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made_is_an_error(tmp_path, tells):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "figures" / "table.csv"
    with tells(LabError, path, "LAB_OUT"), paths.atomic_write(path):
        pytest.fail("there is nowhere to write")


def test_folder_with_the_file_s_name_is_an_error_and_left_alone(tmp_path, tells):
    path = tmp_path / "table.csv"
    path.mkdir()
    with tells(LabError, path), paths.atomic_write(path) as temporary:
        temporary.write_text("complete")
    assert list(tmp_path.iterdir()) == [path] and path.is_dir()
