"""A student's path through a notebook in JupyterLab, as `make lab` opens it, driven in a headless browser."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from chromium import PROGRAM, Chromium
from conftest import replace
from test_faults import needs_posix, wait_for

ROOT = Path(__file__).parents[1]
NOTEBOOK = "02_baseline.ipynb"
FIGURE = "figure2_baseline_losses"
CELLS = "jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code')"
DONE = f"{CELLS}.every(cell => cell.model.executionCount && !cell.node.textContent.includes('[*]'))"

# The bar is there for a second or two; only it says so.
WATCH_PROGRESS = """void new MutationObserver(() => {
    window.progressed ||= document.body.textContent.includes('epoch 1 of 2:');
}).observe(document.body, {subtree: true, childList: true, characterData: true})"""


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on copies of the notebooks, in a copy of the project; gives its address and the folder."""
    copy = tmp_path / "project"
    for folder in ("labhelpers", "notebooks", "data/runs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    # Few images, and no cells after the first training: what is looked at is the way through, not the result.
    path = copy / "notebooks" / NOTEBOOK
    replace(path, "N_TRAIN = 20_000", "N_TRAIN = 2_000")
    replace(path, "EPOCHS = 10", "EPOCHS = 1")
    notebook = nbformat.read(path, as_version=4)
    (last,) = (at for at, cell in enumerate(notebook.cells) if f'"{FIGURE}"' in cell.source)
    del notebook.cells[last + 1 :]
    nbformat.write(notebook, path)
    log = tmp_path / "lab.log"
    options = ("--no-browser", "--expose-app-in-browser", "--ip=127.0.0.1", "--port=0", "--allow-root")
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "labhelpers", "jupyter", *options],
            cwd=copy,
            env=os.environ | {"LAB_DATA": "standin", "PYTHONPATH": str(copy), "HOME": str(tmp_path)},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        address = re.compile(r"http://127\.0\.0\.1:\d+/lab\?token=\w+")
        wait_for(lambda: address.search(log.read_text()), 60)
        yield address.search(log.read_text()).group(), copy
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@needs_posix
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
def test_run_all_change_a_number_run_again(lab, tmp_path):
    address, copy = lab
    before = {path.name: path.read_bytes() for path in (copy / "notebooks").iterdir()}
    with Chromium(tmp_path) as browser:
        browser.open(address.replace("/lab?", f"/lab/tree/{NOTEBOOK}?"))
        wait_for(lambda: browser.see("Boolean(window.jupyterapp?.shell.currentWidget?.content?.widgets?.length)"), 60)
        browser.see("jupyterapp.shell.currentWidget.context.ready.then(() => 1)")
        browser.see("jupyterapp.shell.currentWidget.sessionContext.ready.then(() => 1)")
        browser.see("void jupyterapp.commands.execute('notebook:run-all-cells')")
        wait_for(lambda: browser.see(DONE), 600)
        source = f"{CELLS}[0].model.sharedModel"
        browser.see(f"{source}.setSource({source}.getSource().replace('EPOCHS = 1 ', 'EPOCHS = 2 '))")
        browser.see(WATCH_PROGRESS)
        browser.see("void jupyterapp.commands.execute('notebook:run-all-cells')")
        wait_for(lambda: browser.see("window.progressed"), 600)
        wait_for(lambda: browser.see(DONE), 600)
        browser.see("jupyterapp.commands.execute('docmanager:save').then(() => 1)")
    notebook = nbformat.read(copy / "my_notebooks" / NOTEBOOK, as_version=4)
    made = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert made and not [out for out in made if out.output_type == "error" or out.get("name") == "stderr"]
    assert {path.name: path.read_bytes() for path in (copy / "notebooks").iterdir()} == before
    assert (copy / "my_notebooks" / "results" / "figures" / f"{FIGURE}.png").exists()
