"""Was it reproduced? Compare a notebook's run with the committed figures, and its networks with the recorded runs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from labhelpers import data, output, usage
from labhelpers.errors import LabError
from labhelpers.evaluation import percent, typeset
from labhelpers.parameters import declared
from labhelpers.paths import figures_dir, project
from labhelpers.study import human_labels, records, spread
from labhelpers.study.experiments import experiment

IDENTICAL, WITHIN = "identical", "within the spread of recorded runs"
NOT_COMPARABLE, OUTSIDE = "not comparable", "outside"
OUTCOMES = [IDENTICAL, WITHIN, NOT_COMPARABLE, OUTSIDE]  # of several parts, the last of them counts
# Files hold six digits of a number, and the last one may be rounded the other way.
SAME = 1.1e-5


def compare(notebook: str, networks=None) -> None:
    """Say whether this run of a notebook reproduced the committed one.

    Numbers that don't depend on training must be those in `figures/`. A trained network is compared with the recorded
    runs of its experiment (`spread`). The output of the cell also holds the result, for `lab report`.

    Args:
        notebook: its number, such as "02".
        networks: the networks that it trained, by the id of the experiment that each belongs to: what `training.fit`
            and `evaluation.evaluate` returned, and whether it is one more run of it (`Experiment.is_run`).

    Raises:
        LabError: there is no such notebook.
    """
    result = _result(notebook, networks or {})
    from IPython.display import Markdown, display

    display(Markdown(text(result)), metadata={"labhelpers": {"reproduction": result}})


def _result(notebook, networks) -> dict:
    """Return the comparison, as JSON can hold it."""
    reason = _not_comparable(notebook)
    parts = [_network(id, network, reason) for id, network in networks.items()]
    tables = [name for name, trained in output.saved.items() if not trained]
    parts += [{"name": name} | _table(name, reason) for name in tables]
    return _summed_up(notebook, parts)


def committed(result: dict) -> dict:
    """Return a result as it is once the run's tables are the committed ones."""
    parts = [part | ({"outcome": IDENTICAL, "what": ""} if "name" in part else {}) for part in result["parts"]]
    return _summed_up(result["notebook"], parts)


def _summed_up(notebook, parts) -> dict:
    """Add the outcome of a notebook, and a line that says it, with what is furthest out."""
    outcome = max((part["outcome"] for part in parts), key=OUTCOMES.index, default=IDENTICAL)
    causes = [part for part in parts if part["outcome"] == outcome and part.get("what")]
    worst = min(causes, key=lambda part: min(part.get("p", {"": 0.0}).values()), default=None)
    line = typeset(f"{outcome}: {worst['what']}" if worst else outcome)
    return {"notebook": notebook, "outcome": outcome, "line": line, "parts": parts}


def _not_comparable(notebook) -> str:
    """Return why nothing that differs would say anything; empty if there is no such reason."""
    if other := data.loaded_names - {"CIFAR-10"}:
        return ", ".join(sorted(other))
    shell = usage.shell()
    defaults = {name: parameter.default for name, parameter in declared(_parameters(notebook)).items()}
    given = {name: shell.user_ns.get(name, default) for name, default in defaults.items()} if shell else {}
    if changed := [f"{name} = {value}" for name, value in given.items() if value != defaults[name]]:
        return ", ".join(changed)
    if "human labels" in usage.used and human_labels.counts_path() is None:
        return f"{human_labels.COUNTS_FILE} is missing (see data/README.md)"
    return ""


def _parameters(notebook) -> str:
    """Return the cell with the parameters of a committed notebook."""
    paths = sorted((project() / "notebooks").glob(f"{notebook}_*.ipynb"))
    if not paths:
        raise LabError(
            f"there is no notebook {notebook}_….ipynb in notebooks/: give the number of this one, as in '02'"
        )
    cells = json.loads(paths[0].read_text(encoding="utf-8"))["cells"]
    return next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))


def _network(id, network, reason) -> dict:
    """Compare one network with the recorded runs of its experiment."""
    trained, tested, is_run = network
    of = experiment(id)
    held = records.read_all(of, of.all_seeds)[0]
    one = spread.runs([(trained, tested)])
    part = {"experiment": id, "numbers": dict(zip(spread.NUMBERS, one.numbers[0].tolist(), strict=True))}
    if not is_run:
        reason = reason or "the network or its settings are not those of the recorded runs"
    if len(held) < spread.FEWEST:
        reason = reason or f"there are {len(held)} recorded runs of {id}, and it takes {spread.FEWEST} to compare with"
    if reason:
        return part | {"outcome": NOT_COMPARABLE, "what": reason}
    found = spread.compare(one, spread.runs((record, record) for record in held))
    write = percent if found.furthest == "test accuracy" else "{:.3f}".format
    allowed = f"{write(found.low)} to {write(found.high)}" if found.low else f"up to {write(found.high)}"
    what = f"{found.furthest} {write(found.value)} ({id}; limits {allowed}, from {len(held)} recorded runs)"
    return part | {
        "outcome": WITHIN if found.inside else OUTSIDE,
        "what": f"furthest out is {what}" if found.inside else what,
        "p": found.p,
        "limit": found.limit,
        "detail": {"losses of single epochs": found.epochs, "cells of the confusion matrix": found.cells},
    }


def _table(name, reason) -> dict:
    """Compare a table that this run saved with the committed one."""
    committed = project() / "figures" / f"{name}.csv"
    if not committed.exists():
        return {"outcome": NOT_COMPARABLE, "what": reason or f"there is no figures/{committed.name}"}
    difference = _difference(*(_read(path) for path in (figures_dir() / committed.name, committed)))
    if difference is None:
        return {"outcome": IDENTICAL}
    if reason:
        return {"outcome": NOT_COMPARABLE, "what": reason}
    return {"outcome": OUTSIDE, "what": f"{committed.name} {difference}"}


def _read(path: Path):
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def _difference(ours, theirs) -> str | None:
    """Describe where two tables of texts differ most; None if they don't."""
    if list(ours.columns) != list(theirs.columns):
        return f"has the columns {', '.join(ours.columns)}; committed: {', '.join(theirs.columns)}"
    if len(ours) != len(theirs):
        return f"has {len(ours)} rows; committed: {len(theirs)}"
    gaps = np.array([[_gap(*pair) for pair in zip(ours[name], theirs[name], strict=True)] for name in ours])
    if not gaps.size or gaps.max() == 0:
        return None
    column, row = np.unravel_index(gaps.argmax(), gaps.shape)
    name = ours.columns[column]
    return f"has {name} {ours[name][row] or 'empty'} in row {row + 1}; committed: {theirs[name][row] or 'empty'}"


def _gap(ours: str, theirs: str) -> float:
    """Return the relative difference of two numbers as written, infinite for unequal integers and other texts."""
    if ours == theirs:
        return 0.0
    try:
        first, second = float(ours), float(theirs)
    except ValueError:
        return np.inf
    if not {".", "e", "n"} & set(ours + theirs):  # integers
        return np.inf
    gap = abs(first - second) / max(abs(first), abs(second))
    return 0.0 if gap <= SAME else gap


def text(result: dict) -> str:
    """Return the result of a notebook for its last cell, as Markdown."""
    what = result["line"].removeprefix(result["outcome"])
    sentences = [f"**{result['notebook']}: {result['outcome']}**{what}."]
    tables = [part for part in result["parts"] if "name" in part]
    same = sum(part["outcome"] == IDENTICAL for part in tables)
    if tables:
        sentences.append(
            f"Numbers that don't depend on training: {same} of {len(tables)} tables are the committed ones."
        )
    for part in result["parts"]:
        counts = [f"{outside} of {n} {name}" for name, (outside, n) in part.get("detail", {}).items()]
        if counts:
            sentences.append(
                f"{part['experiment']}: the smallest p is {min(part['p'].values()):.2g}; the limit is {part['limit']:.2g}. "
                f"In {percent(spread.FALSE_ALARMS)} of all reports with nothing wrong, a network is below its limit. "
                f"Only a detail: {' and '.join(counts)} are outside their own 95 % intervals; by chance, 5 % are."
            )
    return typeset("\n\n".join(sentences))
