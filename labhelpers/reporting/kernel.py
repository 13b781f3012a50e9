"""Run one notebook in a kernel of its own, and say in one line why it failed."""

import logging
import signal
import sys
from pathlib import Path
from typing import ClassVar

import matplotlib
import papermill  # type: ignore[import-untyped]
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
from traitlets.config import Config

from labhelpers.errors import LabError
from labhelpers.paths import project
from labhelpers.reporting import notebooks

LONGEST = 80  # characters of the path of a folder of sockets; with their names, systems take 103 and more
# Why the system ends a process, by the signal, and what to do.
DEATHS = {
    9: "was killed, most often for lack of memory; close other programs and run again",
    4: "died of an illegal instruction: this processor lacks instructions that TensorFlow needs; see lab doctor",
}


class _Kernel(AsyncKernelManager):
    """A kernel that leaves the exit status of the last one, which papermill doesn't pass on; None while it lives."""

    status: ClassVar[int | None] = None

    async def _async_is_alive(self):
        if self.has_kernel:
            _Kernel.status = await self.provisioner.poll()
        return await super()._async_is_alive()

    is_alive = _async_is_alive


def run(notebook, stem: str, settings: dict, folder: str):
    """Run a notebook, with `settings` as its parameters; its cells are executed in the folder of the notebooks.

    As it was executed, it is returned, and written into `notebooks` in the current directory, also if the run fails. The
    kernel is reached through files in `folder`.

    Raises:
        LabError: a cell failed, or the kernel ended.
    """
    for logger in ("papermill", "asyncio", "tornado"):  # errors are reported below, in one line
        logging.getLogger(logger).setLevel(logging.CRITICAL + 1)
    matplotlib.get_cachedir()  # sets MPLCONFIGDIR for the kernel if its usual folder can't be written
    executed = f"notebooks/{stem}.ipynb"  # relative, since papermill writes it into the notebook
    try:
        ran = papermill.execute_notebook(
            notebook,
            executed,
            parameters=settings,
            kernel_name="python3",
            language="python",  # which a notebook from elsewhere may not say
            cwd=project() / "notebooks",
            progress_bar={"desc": stem, "leave": False, "disable": None},  # None: silent unless stderr is a terminal
            config=_config(f"{folder}/{stem[:2]}"),
        )
    except PapermillExecutionError as error:
        cause = _first_line(str(error.evalue)) or "no message"
        raise LabError(f"failed in cell {error.exec_count} with {error.ename}: {cause}") from error
    except RuntimeError as error:  # the kernel died, or never answered
        cells = notebooks.read(Path(executed)).cells
        begun = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.start_time]
        where = f"failed in cell {len(begun)}" if begun else "could not start"
        raise LabError(f"{where}: its kernel {_death(_Kernel.status, error)}") from error
    for cell in ran.cells:
        if cell.metadata.papermill.exception:  # papermill takes sys.exit() for success
            raise LabError(f"ended early in cell {cell.execution_count}, with sys.exit(): take that out")
    return ran


def _first_line(message):
    """Return the line that says the cause; TensorFlow's messages begin with the traceback of another error."""
    lines = message.strip().splitlines()
    return next((line for line in lines if line and not line.startswith((" ", "Traceback (most recent"))), "")


def _death(status, error):
    if status is None:
        return f"did not answer ({error}); close other programs and run again"
    number = -status if status < 0 else status - 128  # the latter from a shell around it
    if number in DEATHS:
        return DEATHS[number]
    if number in set(signal.Signals):
        return f"died of {signal.Signals(number).name}, an error in a library that it loaded; see lab doctor"
    return f"ended with exit status {status}; take out what ends it, or see lab doctor"


def _config(path) -> Config:
    """Return a configuration for one kernel, which is reached through files that begin with this path.

    They are safer than network ports, which other programs could take first (papermill#511).
    """
    manager = {"connection_file": f"{path}.json"}
    if sys.platform != "win32" and path.isascii() and len(path) <= LONGEST:
        manager["transport"] = "ipc"
    # Immediate: the cells have saved all results, and a kernel that ends by itself may still print errors.
    # 120 s: on a busy machine the last output may be late; the default of 4 s would end the run.
    client = {"shutdown_kernel": "immediate", "iopub_timeout": 120, "kernel_manager_class": _Kernel}
    return Config({"KernelManager": manager, "NotebookClient": client})
