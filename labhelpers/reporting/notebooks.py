"""What a notebook declares (its parameters, its figures), and how outputs are carried over and cleaned."""

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from labhelpers.errors import LabError
from labhelpers.paths import atomic_write, project

SEAL = "labhelpers"  # in a committed notebook's metadata
RANGE = re.compile(r"\(([-+.\de_]+) to ([-+.\de_]+)\)")


@dataclass(frozen=True)
class Parameter:
    """An assignment of the cell tagged `parameters`; its comment says meaning and range, `(1 to 45000)`."""

    name: str
    default: object
    low: float | None = None
    high: float | None = None

    def parse(self, text: str):
        """Return `text` as a value of the default's type, within the range.

        Raises:
            LabError: it is neither.
        """
        kind = type(self.default)
        try:
            value = _literal(text) if kind is not str else text
            if kind is float and type(value) is int:
                value = float(value)
            if type(value) is not kind:
                raise ValueError
        except (ValueError, SyntaxError):
            kinds = {int: "a whole number", float: "a number", bool: "True or False"}
            raise LabError(
                f"{self.name}={text}: must be {kinds.get(kind, kind.__name__)}, such as {self.default!r}"
            ) from None
        if self.low is not None and not self.low <= value <= self.high:
            raise LabError(f"{self.name}={text}: must lie between {self.low} and {self.high}")
        return value


def notebook_paths() -> list[Path]:
    """Return the project's notebooks in reading order."""
    return sorted((project() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def select(names: list[str]) -> list[Path]:
    """Return the notebooks named by number, stem or file, in reading order; all of them for no names.

    Raises:
        LabError: a name fits none.
    """
    paths = notebook_paths()
    chosen = set()
    for name in names:
        stem = Path(name).name.removesuffix(".ipynb")
        stem = stem.zfill(2) if stem.isdecimal() else stem
        fits = [path for path in paths if path.stem == stem or path.stem.startswith(f"{stem}_")]
        if not fits:
            raise LabError(
                f"there is no notebook {name!r}: choose from {', '.join(path.stem for path in paths)}"
            )
        chosen.update(fits)
    return [path for path in paths if not names or path in chosen]


def read(path: Path):
    """Read a notebook.

    Raises:
        LabError: it is no valid notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError as error:
        raise LabError(f"can't read {path}: {error.strerror}") from error
    except Exception as error:  # nbformat raises what its JSON schema library raises
        reason = str(error).splitlines()[0]
        raise LabError(
            f"{path} is not a valid notebook ({reason}): restore it, for example with git"
        ) from error
    return notebook


def parameters(notebook) -> dict[str, Parameter]:
    """Return the parameters a notebook declares, by name; none if it has no cell tagged `parameters`."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    found = {}
    for line in "\n".join(cell.source for cell in cells).splitlines():
        code, _, comment = line.partition("#")
        if "=" in code:
            name, value = (side.strip() for side in code.split("=", 1))
            limits = RANGE.search(comment)
            low, high = map(_literal, limits.groups()) if limits else (None, None)
            found[name] = Parameter(name, _default(name, value), low, high)
    return found


def _literal(text):
    return ast.literal_eval(text.strip())


def _default(name, text):
    try:
        return _literal(text)
    except (ValueError, SyntaxError):
        raise LabError(
            f"the parameter {name} = {text} is no plain value: write a number, text or True"
        ) from None


def loads_data(notebook, settings: dict) -> bool:
    """Whether a run with these parameters loads the data set, or reads the records of the study alone.

    Where a notebook trains only if asked to, a function that loads it is taken to be for that.
    """
    live = parameters(notebook).get("TRAIN_LIVE")
    only_if_live = live and not settings.get("TRAIN_LIVE", live.default)
    return any(_loads(source, within_functions=not only_if_live) for source in code(notebook))


def _loads(source, within_functions):
    try:
        waiting = list(ast.parse(source).body)
    except SyntaxError:
        return bool(re.search(r"\bload\(", source))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "load":
            return True
        if within_functions or not isinstance(node, ast.FunctionDef):
            waiting += ast.iter_child_nodes(node)
    return False


def expected_figures(notebook) -> list[str]:
    """Return the names that the notebook's code hands to `save_figure`, in order."""
    return _names_handed_to("save_figure", 1, notebook)


def expected_figures_of(cell) -> list[str]:
    """Return the names that one cell hands to `save_figure`, in order."""
    return list(_handed_to("save_figure", 1, cell.source)) if cell.cell_type == "code" else []


def expected_tables(notebook) -> list[str]:
    """Return the names that the notebook's code hands to `save_table`, in order."""
    return _names_handed_to("save_table", 0, notebook)


def _names_handed_to(function, position, notebook):
    return [name for source in code(notebook) for name in _handed_to(function, position, source)]


def _handed_to(function, position, source):
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic, or a slip that the run will tell with its cell
        return
    for node in ast.walk(tree):
        called = isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called == function and len(node.args) > position:
            yield ast.literal_eval(node.args[position])


def code(notebook) -> list[str]:
    """Return the sources of the code cells, without those that papermill injected."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and not _is_injected(cell)]


def with_outputs(source, executed):
    """Return the source notebook with the outputs of an executed copy whose code is the same.

    Prose comes from the source, outputs from the copy, and the cell of parameters that papermill injected, if
    any, stays where it stood: the reader sees what was run.
    """
    merged = nbformat.from_dict(source)
    runs = iter([cell for cell in executed.cells if cell.cell_type == "code"])
    cells = []
    for cell in merged.cells:
        if cell.cell_type == "code":
            run = next(runs)
            if _is_injected(run):
                cells.append(run)
                run = next(runs)
            cell.outputs, cell.execution_count = run.outputs, run.execution_count
        cells.append(cell)
    merged.cells = cells
    return merged


def clean(notebook):
    """Return the notebook as it is committed: outputs stay, what differs from machine to machine goes."""
    cleaned = nbformat.from_dict(notebook)
    kept = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
    sealed = {SEAL: notebook.metadata[SEAL]} if SEAL in notebook.metadata else {}
    cleaned.metadata = nbformat.from_dict(kept | {"language_info": {"name": "python"}} | sealed)
    for cell in cleaned.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = {}
    return cleaned


def sealed(notebook):
    """Return the notebook with a digest of its code and outputs, by which `is_sealed` sees what is changed later."""
    copy = nbformat.from_dict(notebook)
    copy.metadata[SEAL] = {"sha256": _digest(notebook)}
    return copy


def is_sealed(notebook) -> bool:
    """Whether code and outputs are still those that were sealed; prose may change."""
    return notebook.metadata.get(SEAL) == {"sha256": _digest(notebook)}


def _digest(notebook) -> str:
    run = [(cell.source, cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()


def write(notebook, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def read_runs(folder: Path) -> dict:
    """Return what is known of the last run of each notebook, by its stem; nothing if that can't be read."""
    try:
        runs = json.loads((folder / "run.json").read_text(encoding="utf-8"))["notebooks"]
        return {stem: run for stem, run in runs.items() if run["fingerprint"] and run["files"].keys()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def read_page(folder: Path) -> dict:
    """Return what is known of the page that was last written; nothing if that can't be read."""
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))["page"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _is_injected(cell) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])
