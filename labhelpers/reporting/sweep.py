"""Run one notebook with every combination of some parameters' values, and put the results into a table and a figure."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import joblib
import pandas as pd

from labhelpers import machine, plots
from labhelpers.errors import LabError
from labhelpers.output import STAMP
from labhelpers.paths import atomic_write, claim, exclusive, out_dir, writing
from labhelpers.progress import progress
from labhelpers.reporting import notebooks
from labhelpers.reporting.execute import settings
from labhelpers.study.spread import NUMBERS


def sweep(names, values: dict[str, list[str]], options=()) -> Path:
    """Run the combinations, as many at a time as there are cores; one that was run before is not run again.

    Each runs like `lab report` with these values, into a folder of its own below `sweeps` in the folder for reports.

    Args:
        names: the notebook, by number, stem or file, as the only item.
        values: of each parameter, as text.
        options: further ones of `lab report`, as on the command line.

    Returns:
        The CSV with a row for each network that was trained; the figure is beside it.

    Raises:
        LabError: not one notebook is named, or it has no such parameter or value; or some combinations failed, and then
            the others are finished first.
    """
    if len(names) != 1:
        raise LabError("several values need one notebook, named before -p, as in lab report 02 -p EPOCHS 3 10")
    [path] = notebooks.select(names)
    notebook = {path.stem: notebooks.read_source(path)}
    parsed = {
        (name, text): settings(notebook, {name: text}, quick=False)[path.stem][name]
        for name, texts in values.items()
        for text in texts
    }
    combinations = [dict(zip(values, texts, strict=True)) for texts in itertools.product(*values.values())]
    folder = out_dir() / "sweeps" / path.stem
    claim(out_dir())
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    failed: list[str] = []
    running: list[subprocess.Popen] = []
    busy = f"another lab report is at work in {folder}: wait for it, or set LAB_OUT to another folder"
    with exclusive(folder / ".lock", busy), progress(len(combinations), path.stem, unit="run") as bar:
        try:
            for done, (texts, result) in enumerate(_run_all(combinations, path.stem, folder, options, running), 1):
                name = ", ".join(f"{parameter} = {text}" for parameter, text in texts.items())
                if isinstance(result, str):
                    failed.append(f"{name}: {result}")
                chosen = {name: parsed[name, text] for name, text in texts.items()}
                rows += [chosen | part for part in result if isinstance(part, dict)]
                bar.update()
                if bar.disable:
                    print(f"{done} of {len(combinations)}: {name}", flush=True)
        finally:
            for process in running:
                process.terminate()
        if rows:
            _save(pd.DataFrame(rows), [name for name, texts in values.items() if len(texts) > 1], folder)
    if failed:
        raise LabError(f"{len(failed)} of {len(combinations)} combinations failed: {'; '.join(sorted(failed))}")
    return folder / "results.csv"


def _run_all(combinations, stem, folder, options, running):
    """Yield each combination when it is done, with what `_run` returns."""
    workers = min(machine.threads(), len(combinations))
    threads = machine.threads() // workers
    tasks = [joblib.delayed(_run)(texts, stem, folder, options, threads, running) for texts in combinations]
    return joblib.Parallel(workers, backend="threading", return_as="generator_unordered")(tasks)


def _run(texts, stem, folder, options, threads, running):
    """Run one combination; return it with its results, a dictionary for each network, or with the line of its error."""
    name = re.sub(r"[^\w.,=+-]", "_", ",".join(f"{parameter}={text}" for parameter, text in texts.items()))
    given = [word for parameter, text in texts.items() for word in ("-p", parameter, text)]
    environment = os.environ | {"LAB_OUT": str(folder / name), "LAB_THREADS": str(threads), "LAB_PROGRESS": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "labhelpers", "report", stem, *given, *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    running.append(process)
    errors = process.communicate()[1].strip().splitlines()
    running.remove(process)
    if process.returncode:
        return texts, errors[-1].removeprefix("lab: ") if errors else "it was ended"
    folders = [path.parent for path in (folder / name).rglob("run.json")]  # one below it, for stand-in images
    run = notebooks.read_record(folders[0])["notebooks"][stem]
    about = {"data": run["cifar"]["name"], "seconds": run["seconds"]}
    trained = [part for part in (run["reproduction"] or {"parts": []})["parts"] if "numbers" in part]
    if not trained:
        return texts, "there is no result to collect, since no network was trained that its last cell compares"
    numbers = [{name: part["numbers"][name] for name in NUMBERS} for part in trained]  # in this order
    named = zip(trained, numbers, strict=True)
    return texts, [{"experiment": part["experiment"]} | of_network | about for part, of_network in named]


def _save(table, swept, folder) -> None:
    """Write the table and the figure; the first parameter that has several values, but for the seed, is its axis."""
    table = table.sort_values([*swept, "experiment"], ignore_index=True)
    x, *others = [name for name in swept if name != "SEED"] or swept
    ax = plots.sweep(table, x, [*others, "experiment"])
    if set(table["data"]) != {"CIFAR-10"}:
        ax.set_title(STAMP)
    with atomic_write(folder / "results.csv") as csv, atomic_write(folder / "results.png") as png:
        table.to_csv(csv, index=False, float_format="%.6g")
        ax.figure.savefig(png, bbox_inches="tight", metadata={"Software": None}, format="png")
