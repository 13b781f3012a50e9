"""Was it reproduced? Compare a notebook's run with the committed figures, and its networks with the recorded runs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from labhelpers import data, output, usage
from labhelpers.errors import LabError
from labhelpers.evaluation import percent, typeset
from labhelpers.parameters import declared
from labhelpers.paths import figures_dir, optional_file, project
from labhelpers.study import records, spread
from labhelpers.study.experiments import experiment

IDENTICAL, WITHIN = "identical", "within the spread of recorded runs"
NOT_COMPARABLE, OUTSIDE = "not comparable", "outside"
NEW = "new"  # a table that was never committed, such as a student's own: it says nothing about the others
OUTCOMES = [IDENTICAL, WITHIN, NOT_COMPARABLE, OUTSIDE]  # of several parts, the last of them counts
# Files hold six digits of a number, and the last one may be rounded the other way.
SAME = 1.1e-5


def compare(notebook: str, networks=None, seed: int | None = None) -> None:
    """Say whether this run of a notebook reproduced the committed one.

    Numbers that don't depend on training must be those in `figures/`. A trained network is compared with the recorded
    runs of its experiment (`spread`). The output of the cell also holds the result, for `lab report`.

    Args:
        notebook: its number, such as "02".
        networks: the networks that it trained, by the id of the experiment that each belongs to: what `training.fit`
            and `evaluation.evaluate` returned, and whether it is one more run of it (`Experiment.is_run`).
        seed: of these networks; the recorded run with the same seed is left out.

    Raises:
        LabError: there is no such notebook.
    """
    result = _result(notebook, networks or {}, seed)
    from IPython.display import Markdown, display

    display(Markdown(text(result)), metadata={"labhelpers": {"reproduction": result}})


def _result(notebook, networks, seed) -> dict:
    """Return the comparison, as JSON can hold it."""
    source, names = _committed(notebook)
    standin = ", ".join(sorted(data.loaded_names - {"CIFAR-10"}))
    parts = [_network(id, network, seed, standin) for id, network in networks.items()]
    reason = standin or _changed(source)
    parts += [{"name": name} | _table(name, reason) for name, trained in output.saved.items() if not trained]
    if lost := sorted(names - output.saved.keys()):
        parts.append({"outcome": NOT_COMPARABLE, "what": f"{', '.join(lost)} not made: run all cells first"})
    return _summed_up(notebook, parts)


def _changed(source) -> str:
    """Return why tables may differ though nothing is wrong; empty if there is no such reason."""
    shell = usage.shell()
    given = shell.user_ns if shell else {}
    defaults = {name: parameter.default for name, parameter in declared(source).items()}
    changed = [f"{name} = {given[name]}" for name, default in defaults.items() if given.get(name, default) != default]
    missing = [name for name in sorted(usage.used.get("optional files", ())) if optional_file(name) is None]
    return ", ".join(changed or [f"{name} is missing (see data/README.md)" for name in missing])


def _committed(notebook) -> tuple[str, set[str]]:
    """Return the cell with the parameters of a committed notebook, and the names of the tables that its run made."""
    path = next((project() / "notebooks").glob(f"{notebook}_*.ipynb"), None)
    if path is None:
        raise LabError(
            f"there is no notebook {notebook}_….ipynb in notebooks/: give the number of this one, as in '02'"
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    tagged = ["".join(cell["source"]) for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    files = content["metadata"].get("labhelpers", {}).get("files", {})
    return "\n".join(tagged), {Path(name).stem for name in files if name.endswith(".csv")}


def _network(id, network, seed, reason) -> dict:
    """Compare one network with the recorded runs of its experiment."""
    trained, tested, is_run = network
    if not trained.history.get("val_loss"):
        return {"outcome": NOT_COMPARABLE, "what": "it was trained without validation images"}
    of = experiment(id)
    held, _ = records.read_all(of, [other for other in of.all_seeds if other != seed])
    run = spread.runs([(trained, tested)])
    part = {"experiment": id, "numbers": dict(zip(spread.NUMBERS, run.numbers[0].tolist(), strict=True))}
    if not is_run:
        reason = reason or "the network or its settings are not those of the recorded runs"
    if len(held) < spread.FEWEST:
        reason = reason or f"there are {len(held)} recorded runs of {id}, and it takes {spread.FEWEST} to compare with"
    if reason:
        return part | {"outcome": NOT_COMPARABLE, "what": reason}
    compared = spread.compare(run, spread.runs((record, record) for record in held))

    factor, digits, unit = (100, 2, " %") if compared.furthest == "test accuracy" else (1, 3, "")
    value, low, high = (f"{factor * number:.{digits}f}" for number in (compared.value, compared.low, compared.high))
    allowed = f"{low} to {high}{unit}" if compared.low else f"up to {high}"
    what = f"{compared.furthest} {value}{unit} ({id}; limits {allowed}, from {len(held)} recorded runs)"
    return part | {
        "outcome": WITHIN if compared.inside else OUTSIDE,
        "what": f"furthest out is {what}" if compared.inside else what,
        "p": compared.p,
        "limits": compared.limits,
        "detail": {"losses of single epochs": compared.epochs, "cells of the confusion matrix": compared.cells},
    }


def _table(name, reason) -> dict:
    """Compare a table that this run saved with the committed one."""
    path = project() / "figures" / f"{name}.csv"
    if not path.exists():
        return {"outcome": NEW}
    try:
        tables = [pd.read_csv(of, dtype=str, keep_default_na=False) for of in (figures_dir() / path.name, path)]
        difference = _difference(*tables)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        difference = "is damaged: restore it with git"
    if difference is None:
        return {"outcome": IDENTICAL}
    if reason:
        return {"outcome": NOT_COMPARABLE, "what": reason}
    return {"outcome": OUTSIDE, "what": f"{path.name} {difference}"}


def committed(result: dict) -> dict:
    """Return a result as it is once the run's tables are the committed ones."""
    networks = [part for part in result["parts"] if "experiment" in part]
    tables = [{"name": part["name"], "outcome": IDENTICAL} for part in result["parts"] if "name" in part]
    return _summed_up(result["notebook"], networks + tables)


def _summed_up(notebook, parts) -> dict:
    """Add the outcome of a notebook, and a line that says it, with what is furthest out."""
    outcomes = [part["outcome"] for part in parts if part["outcome"] != NEW]
    outcome = max(outcomes, key=OUTCOMES.index, default=NOT_COMPARABLE)
    causes = [part for part in parts if part["outcome"] == outcome and part.get("what")]
    line = typeset(f"{outcome}: {min(causes, key=_rarity)['what']}" if causes else outcome)
    return {"notebook": notebook, "outcome": outcome, "line": line, "parts": parts}


def _rarity(part) -> float:
    """Return the smallest p value of a network in proportion to its limit; 0 for what has none."""
    return min((p / part["limits"][test] for test, p in part.get("p", {}).items()), default=0.0)


def _difference(ours, theirs) -> str | None:
    """Describe where two tables of texts differ most; None if they don't."""
    if list(ours.columns) != list(theirs.columns):
        return f"has the columns {', '.join(ours.columns)}; committed: {', '.join(theirs.columns)}"
    if len(ours) != len(theirs):
        return f"has {len(ours)} row{'s' * (len(ours) != 1)}; committed: {len(theirs)}"
    gaps = np.array([[_gap(*pair) for pair in zip(ours[name], theirs[name], strict=True)] for name in ours])
    if not gaps.size or gaps.max() == 0:
        return None
    column, row = np.unravel_index(gaps.argmax(), gaps.shape)
    name = ours.columns[column]
    return f"has {name} {ours[name][row] or 'empty'} in row {row + 1}; committed: {theirs[name][row] or 'empty'}"


def _gap(ours: str, theirs: str) -> float:
    """Return the relative difference of two numbers as written, infinite for unequal integers and other texts."""
    try:
        first, second = float(ours), float(theirs)
    except ValueError:
        return 0.0 if ours == theirs else np.inf
    if first == second or ours == theirs:
        return 0.0
    if ours.lstrip("-").isdecimal() and theirs.lstrip("-").isdecimal() and max(abs(first), abs(second)) < 1e5:
        return np.inf  # integers; a larger number may have lost its decimals when it was written
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
            f"Of {len(tables)} tables that don't depend on training, {same} equal those stored with the notebooks."
        )
    for part in result["parts"]:
        if "detail" in part:
            counts = [f"{outside} of {n} {name}" for name, (outside, n) in part["detail"].items()]
            rarity = float(f"{_rarity(part):.2g}")  # two digits, without an exponent
            sentences.append(
                f"{part['experiment']}: in {len(part['p'])} tests, the smallest p in proportion to its limit is {rarity:g} "
                f"times that limit. ({percent(spread.FALSE_ALARMS, digits=0)} of reports with nothing wrong have a p below "
                f"its limit.) {' and '.join(counts)} are outside their own 95 % intervals; about 5 % are, by chance."
            )
    return typeset("\n\n".join(sentences))
