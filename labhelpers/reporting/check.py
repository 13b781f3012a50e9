"""Are the committed notebooks, figures and README in step with one another?"""

import re

from labhelpers.errors import LabError
from labhelpers.paths import project
from labhelpers.reporting import notebooks, readme

MACHINE_PATH = re.compile(r"(/home/|/root/|/Users/|/tmp/|[A-Z]:\\\\Users)|site-packages")


def check() -> str:
    """Return a line that says all is in step.

    Raises:
        LabError: something is not, all of it named.
    """
    faults, expected = [], set()
    for path in notebooks.notebook_paths():
        notebook = notebooks.read(path)
        faults += [f"{path.name}: {fault}" for fault in _faults(notebook)]
        figures, tables = notebooks.expected_figures(notebook), notebooks.expected_tables(notebook)
        expected |= {f"{name}.png" for name in figures} | {f"{name}.csv" for name in figures + tables}
    committed = {path.name for path in (project() / "figures").glob("*.*")}
    faults = list(dict.fromkeys(faults))
    faults += [f"figures/{name} is missing" for name in sorted(expected - committed)]
    faults += [f"figures/{name} is made by no notebook" for name in sorted(committed - expected)]
    if not faults and not readme.is_current():
        faults.append("README.md: its table of verdicts is not that of the records")
    if faults:
        raise LabError(f"{'; '.join(faults)}: run lab report, then lab refresh")
    return (
        f"in step: {len(notebooks.notebook_paths())} notebooks, {len(expected)} files in figures/, README.md"
    )


def _faults(notebook):
    if notebooks.clean(notebook) != notebook:
        yield "is not cleaned"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if cell.execution_count is None:
                yield "has a cell that was not executed"
            for output in cell.outputs:
                if output.output_type == "error" or output.get("name") == "stderr":
                    yield f"has an error or a warning in the output of cell {cell.execution_count}"
                if MACHINE_PATH.search(
                    str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
                ):
                    yield f"has a path of a machine in the output of cell {cell.execution_count}"
