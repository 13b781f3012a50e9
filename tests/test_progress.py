"""Progress is shown to someone who watches and to no one else; an error is one line."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

WATCHED = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG", "VSCODE_PID")
BAR = """
from labhelpers.progress import progress

with progress(3, "climbing", unit="step") as bar:
    for _ in range(3):
        bar.update()
"""


@pytest.fixture(autouse=True)
def not_watched(monkeypatch):
    for name in (*WATCHED, "LAB_PROGRESS"):
        monkeypatch.delenv(name, raising=False)


def test_silent_if_stderr_is_not_a_terminal():
    run = subprocess.run([sys.executable, "-c", BAR], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def _on_a_terminal(**variables):
    """Run the bar with stderr on a terminal; returns what the terminal was sent."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    run = subprocess.Popen([sys.executable, "-c", BAR], stderr=theirs, env=os.environ | variables)
    os.close(theirs)
    sent = b""
    try:
        while piece := os.read(ours, 1024):
            sent += piece
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    assert run.wait() == 0
    return sent.decode()


def test_shown_on_a_terminal_and_wiped_at_the_end():
    sent = _on_a_terminal()
    assert "climbing" in sent and "/3" in sent and "step" in sent
    assert sent.count("\n") == 0
    assert sent.split("\r")[-2].strip() == "", "the bar's line is not wiped"


def test_silenced_by_lab_progress():
    assert _on_a_terminal(LAB_PROGRESS="0") == ""


class Watcher(NotebookClient):
    """Runs a notebook and keeps all texts that are displayed meanwhile."""

    def process_message(self, message, cell, index):
        texts = message["content"].get("data", {}).get("text/plain")
        if texts is not None:
            self.seen.append(texts)
        return super().process_message(message, cell, index)


def _run(*cells):
    """Run cells in a new kernel; returns the texts displayed meanwhile, and the notebook as it is kept."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = Watcher(notebook, kernel_name="python3", timeout=60, allow_errors=True)
    client.seen = []
    client.execute()
    return client.seen, notebook


@pytest.mark.parametrize("name", WATCHED)
def test_shown_in_a_notebook_someone_watches_and_gone_at_the_end(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    seen, notebook = _run(BAR)
    assert seen[0].startswith("climbing: 0%| ") and seen[0].endswith(" left")
    for output in notebook.cells[0].outputs:
        assert output.output_type == "display_data"
        assert list(output.data.values()) == [""]


def test_silent_in_a_watched_notebook_when_lab_progress_is_0(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "1")
    monkeypatch.setenv("LAB_PROGRESS", "0")
    assert _run(BAR)[0] == []


def test_silent_in_a_notebook_run_in_batch_where_an_error_is_one_line_without_a_traceback():
    seen, notebook = _run(BAR, "from labhelpers.errors import DataDamaged\nraise DataDamaged('unpack it again')")
    assert seen == [] and notebook.cells[0].outputs == []
    (output,) = notebook.cells[1].outputs
    assert output.output_type == "error" and output.traceback == ["DataDamaged: unpack it again"]
