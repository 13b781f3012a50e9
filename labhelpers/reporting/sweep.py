"""Run one notebook with every combination of some parameters' values, and put the results into a table and a figure."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import joblib
import pandas as pd

from labhelpers import machine, plots
from labhelpers.errors import LabError
from labhelpers.output import STAMP
from labhelpers.paths import atomic_write, claim, out_dir
from labhelpers.progress import progress
from labhelpers.reporting import notebooks
from labhelpers.reporting.execute import find_or_stand_in, locked, settings
from labhelpers.study.spread import NUMBERS


def sweep(names, values: dict[str, list[str]], source=None, force=False) -> Path:
    """Run the combinations, as many at a time as there are cores; one that was run before is not run again.

    Each runs like `lab report` with these values, into a folder of its own below `sweeps` in the folder for reports.
    Returns the CSV with a row for each network that was trained; the figure is beside it.

    Raises:
        LabError: not one notebook is named, it has no such parameter or value, or it compares no network; or some
            combinations failed, and then the others are finished first.
    """
    if len(names) != 1:
        raise LabError("several values need one notebook, named before -p, as in lab report 02 -p EPOCHS 3 10")
    [path] = notebooks.select(names)
    notebook = notebooks.read_source(path)
    if not re.search(r"compare\(\s*\S+,", notebooks.code(notebook)[-1]):
        raise LabError(f"{path.stem} trains no network that its last cell compares: choose another one, such as 02")
    combinations = _combinations(path.stem, notebook, values)
    cifar = find_or_stand_in(source)
    folder = out_dir() / "sweeps" / path.stem / ("standin" if cifar.is_standin else "")
    claim(out_dir())
    workers = min(machine.threads(), len(combinations))
    threads = machine.threads() // workers
    rows: list[dict] = []
    failed: list[str] = []
    running: list[subprocess.Popen] = []
    tasks = [joblib.delayed(_run)(chosen, path.stem, folder, force, threads, running) for chosen in combinations]
    with locked(folder), progress(len(combinations), path.stem, unit="run") as bar:
        results = joblib.Parallel(workers, backend="threading", return_as="generator_unordered")(tasks)
        try:
            for done, (chosen, result) in enumerate(results, 1):
                name = ", ".join(f"{parameter} = {value}" for parameter, value in chosen.items())
                if isinstance(result, str):
                    failed.append(f"{name}: {result}")
                else:
                    rows += [chosen | row for row in result]
                bar.update()
                if bar.disable:
                    print(f"{done} of {len(combinations)}: {name}", flush=True)
        finally:  # leave no command running, so that the next one can go on at once
            for process in [*running]:
                process.terminate()
                process.wait()
        if rows:
            _save(pd.DataFrame(rows), [name for name in values if len({one[name] for one in combinations}) > 1], folder)
    if failed:
        raise LabError(f"{len(failed)} of {len(combinations)} combinations failed: {'; '.join(sorted(failed))}")
    return folder / "results.csv"


def _combinations(stem, notebook, values) -> list[dict]:
    """Return each combination once, with the values as Python has them, however they were typed."""
    parsed = [
        [settings({stem: notebook}, {name: text}, quick=False)[stem][name] for text in texts]
        for name, texts in values.items()
    ]
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*map(dict.fromkeys, parsed))]


def _run(chosen, stem, folder, force, threads, running):
    """Run one combination; return it with its results, a dictionary for each network, or with the line of its error."""
    # Each has its own folder, whatever signs are in a text.
    out = folder / quote(",".join(f"{name}={value}" for name, value in chosen.items()), safe="=,+")
    given = [word for name, value in chosen.items() for word in ("-p", name, str(value))]
    command = [sys.executable, "-P", "-m", "labhelpers", "report", stem, *given, *["--force"] * force]
    environment = os.environ | {"LAB_OUT": str(out), "LAB_THREADS": str(threads), "LAB_PROGRESS": "0"}
    pipe = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
    process = subprocess.Popen(command, env=environment, **pipe)
    running.append(process)
    errors = process.communicate()[1].strip().splitlines()
    running.remove(process)
    if process.returncode:
        said = [line.removeprefix("lab: ") for line in errors if line.startswith("lab: ")]
        short = "if that is -9, memory may be short, and LAB_THREADS=1 runs one at a time"
        return chosen, said[-1] if said else f"it ended with status {process.returncode}; {short}"
    run = notebooks.read_record(out / "standin" if folder.name == "standin" else out)["notebooks"][stem]
    about = {"outcome": run["reproduction"]["outcome"], "data": run["cifar"]["name"], "seconds": run["seconds"]}
    trained = [part for part in run["reproduction"]["parts"] if "numbers" in part]
    return chosen, [
        {"compared with": part["experiment"]} | {name: part["numbers"][name] for name in NUMBERS} | about
        for part in trained
    ]


def _save(table, swept, folder) -> None:
    """Write the table and the figure; the first parameter that has several values, but for the seed, is its axis."""
    table = table.sort_values([*swept, "compared with"], ignore_index=True)
    x, *others = [name for name in swept if name != "SEED"] or swept
    ax = plots.sweep(table, x, [*others, "compared with"])
    if set(table["data"]) != {"CIFAR-10"}:
        ax.set_title(STAMP)
    with atomic_write(folder / "results.csv") as csv, atomic_write(folder / "results.png") as png:
        table.to_csv(csv, index=False, float_format="%.6g")
        ax.figure.savefig(png, bbox_inches="tight", metadata={"Software": None}, format="png")
