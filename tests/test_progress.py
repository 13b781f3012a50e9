"""Progress is shown to someone who watches and to no one else; an error is one line."""

import os
import subprocess
import sys
import textwrap

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
    """Runs a notebook and keeps all texts that are displayed meanwhile, by the cell."""

    def process_message(self, message, cell, index):
        texts = message["content"].get("data", {}).get("text/plain")
        if texts is not None:
            self.seen.setdefault(index, []).append(texts)
        return super().process_message(message, cell, index)


def test_shown_in_a_notebook_someone_watches_and_gone_at_the_end_and_an_error_has_no_traceback():
    """In a kernel, where a variable is set for one cell at a time, as Jupyter sets it for all."""
    watched = [{name: "1"} for name in WATCHED]
    batch = [{}, {"JPY_SESSION_NAME": "1", "LAB_PROGRESS": "0"}]
    during = "import os\nfrom unittest.mock import patch\n\nwith patch.dict(os.environ, {}):{}"
    cells = [during.format(variables, textwrap.indent(BAR, "    ")) for variables in [*watched, *batch]]
    cells.append("from labhelpers.errors import DataDamaged\nraise DataDamaged('unpack it again')")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = Watcher(notebook, kernel_name="python3", timeout=60, allow_errors=True)
    client.seen = {}
    client.execute()
    assert list(client.seen) == [0, 1, 2], "silent in batch, and with LAB_PROGRESS=0"
    for texts in client.seen.values():
        assert texts[0].startswith("climbing: 0%| ") and texts[0].endswith(" left")
    *bars, error = (cell.outputs for cell in notebook.cells)
    assert [[list(output.data.values()) for output in outputs] for outputs in bars] == [*3 * [[[""]]], [], []]
    [error] = error
    assert error.output_type == "error" and error.traceback == ["DataDamaged: unpack it again"]
