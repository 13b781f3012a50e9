"""Take the last full report's outputs and figures, cleaned, to where they are committed."""

import shutil
from pathlib import Path

from labhelpers.errors import LabError
from labhelpers.paths import atomic_write, out_dir, project
from labhelpers.reporting import notebooks, readme
from labhelpers.reporting.fingerprints import is_intact, lacks_answers
from labhelpers.study import people


def refresh() -> list[str]:
    """Write `notebooks/`, `figures/` and the README's tables from the report; a second time changes nothing.

    Returns:
        A line for each file that changed.

    Raises:
        LabError: the report is not a full one on CIFAR-10 with the notebooks' own parameters and present code.
    """
    folder = out_dir()
    runs = notebooks.read_runs(folder)
    changed, figures = [], {}
    for path in notebooks.notebook_paths():
        source, run = notebooks.read(path), runs.get(path.stem)
        if run is None or not is_intact(folder, run):
            raise LabError(
                f"{path.stem} has no run on CIFAR-10 in {folder}, or something changed its files since: run lab report "
                "on CIFAR-10 first"
            )
        if run["cifar"]["name"] != "CIFAR-10" or run["parameters"]:
            raise LabError(
                f"{path.stem} last ran with other parameters or data: run lab report {path.stem} first"
            )
        if lacks_answers(source, run):
            raise LabError(
                f"{path.stem} was run without what people answered to each image: put {people.COUNTS_FILE} where "
                "data/README.md says, run lab report, then this again"
            )
        executed = notebooks.read(folder / "notebooks" / path.name)
        if notebooks.code(source) != notebooks.code(executed):
            raise LabError(f"the code of {path.stem} has changed since it ran: run lab report first")
        cleaned = notebooks.sealed(notebooks.clean(notebooks.with_outputs(source, executed)))
        if cleaned != source:
            notebooks.write(cleaned, path)
            changed.append(f"notebooks/{path.name}")
        figures |= {Path(name).name: folder / name for name in run["files"] if name.startswith("figures/")}
    changed += _refresh_figures(figures)
    if readme.refresh():
        changed.append("README.md")
    return changed or ["nothing to refresh"]


def _refresh_figures(figures: dict[str, Path]) -> list[str]:
    committed = project() / "figures"
    changed = []
    for old in committed.glob("*.*"):
        if old.name not in figures:
            old.unlink()
            changed.append(f"figures/{old.name} (removed)")
    for name, made in figures.items():
        target = committed / name
        if not target.exists() or target.read_bytes() != made.read_bytes():
            with atomic_write(target) as temporary:
                shutil.copyfile(made, temporary)
            changed.append(f"figures/{name}")
    return changed
