"""Results go where LAB_OUT says, and a file is complete or not there at all."""

import errno
import os
import re
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


def test_lab_out_says_where_results_go_and_is_relative_to_the_directory_now(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_OUT", "élève 1")
    out, figures = paths.out_dir(), paths.figures_dir()
    monkeypatch.chdir("/")
    assert (out, figures) == (tmp_path / "élève 1", tmp_path / "élève 1" / "figures")


def test_runs_by_hand_leave_a_report_alone_and_lab_report_is_given_its_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LAB_OUT", str(tmp_path))
    paths.claim(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    assert paths.figures_dir() == tmp_path / "by_hand" / "figures"
    monkeypatch.setenv("LAB_USAGE", "notes.json")
    assert paths.figures_dir() == tmp_path / "figures"


def test_folder_of_someone_else_s_files_is_refused(monkeypatch, tmp_path, tells):
    paths.claim(tmp_path)
    (tmp_path / "figures").mkdir()
    paths.claim(tmp_path)  # again: it is marked
    theirs = tmp_path / "figures"
    (theirs / "run.json").write_text("{}")
    for folder in (theirs, PROJECT, PROJECT / "notebooks"):
        with tells(LabError, f"{folder} is not marked as a folder for results, and its files might be replaced: "):
            paths.claim(folder)
    assert [path.name for path in theirs.iterdir()] == ["run.json"]


@pytest.mark.parametrize("folder", ["report", "my_notebooks"])
@pytest.mark.parametrize("link", [True, False])
def test_usual_folders_are_no_exception(folder, link, monkeypatch, tmp_path, tells):
    monkeypatch.setattr(paths, "project", lambda: tmp_path)
    monkeypatch.setenv("LAB_OUT", folder if folder == "my_notebooks" else "")
    monkeypatch.chdir(tmp_path)
    theirs = tmp_path / ("theirs" if link else folder)
    theirs.mkdir()
    if link:
        (tmp_path / folder).symlink_to(theirs)
    (theirs / "index.html").write_text("mine")
    for function in (paths.figures_dir, paths.checkpoints_dir)[: 1 + (folder == "report")]:
        with tells(LabError, f"{tmp_path / folder} is not marked as a folder for results"):
            function()
    (theirs / "index.html").unlink()
    paths.figures_dir()  # it is empty now
    paths.figures_dir()
    assert [path.name for path in theirs.iterdir()] == [paths.MARK]


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


@pytest.mark.parametrize(
    ("package", "current", "said"),
    [
        ("site-packages", "clone/notebooks", "{0}/clone"),
        ("site-packages", ".", "LabError: the project's folder was not found: run this from inside a clone of …"),
        ("other", ".", "{0}/other"),
        ("other", "other/labhelpers", "{0}/other"),
        ("other", "clone/notebooks", "{0}/other"),
    ],
)
def test_project_is_that_of_the_package_or_else_of_the_current_folder(package, current, said, tmp_path):
    elsewhere, clone = tmp_path / package, tmp_path / "clone"
    (elsewhere / "labhelpers").mkdir(parents=True)
    if package == "other":
        (elsewhere / "notebooks").mkdir()
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
        cwd=tmp_path / current,
        env=os.environ | {"PYTHONPATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(re.escape(said.format(tmp_path)).replace("…", ".*"), run.stdout.strip("\n"))


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
