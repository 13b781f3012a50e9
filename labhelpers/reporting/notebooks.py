"""Read and write notebooks: their parameters, their outputs, and what is kept of both when they are committed."""

import ast
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import nbformat

from labhelpers.errors import LabError
from labhelpers.paths import FREE_SPACE, atomic_write, project, writing

OURS = "labhelpers"  # the key of our own metadata in notebooks and outputs
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


def copy_for_student() -> Path:
    """Copy the notebooks that aren't there yet into `my_notebooks`, out of git's sight; what is there stays as it is.

    Raises:
        LabError: the folder can't be written.
    """
    folder = project() / "my_notebooks"
    with writing(folder, FREE_SPACE):
        folder.mkdir(exist_ok=True)
        for path in notebook_paths():
            if not (folder / path.name).exists():
                shutil.copy(path, folder)
    return folder


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


def figure_of(output) -> str | None:
    """Return the name of the saved figure that an output shows, as `output.save_figure` noted it; None for others."""
    return output.get("metadata", {}).get(OURS, {}).get("figure")


def figures(notebook) -> list[str]:
    """Return the names of the saved figures that the notebook's outputs show, in order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [name for name in map(figure_of, outputs) if name]


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
    ours = {OURS: notebook.metadata[OURS]} if OURS in notebook.metadata else {}
    cleaned.metadata = nbformat.from_dict(kept | {"language_info": {"name": "python"}} | ours)
    for cell in cleaned.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                alt = output.metadata.get("image/png", {}).get("alt")
                named = {OURS: {"figure": figure_of(output)}, "image/png": {"alt": alt}}
                output.metadata = nbformat.from_dict(named if figure_of(output) else {})
    return cleaned


def with_provenance(notebook, run: dict):
    """Return the notebook with what `lab check` needs of the run that it is from.

    That is a digest of code and outputs, by which `is_as_run` sees a later change; the figures and tables that the
    run made; and its cache key.
    """
    copy = nbformat.from_dict(notebook)
    figures = {name: digest for name, digest in run["files"].items() if name.startswith("figures/")}
    copy.metadata[OURS] = {"sha256": _digest(notebook), "files": figures, "key": run["key"]}
    return copy


def is_as_run(notebook) -> bool:
    """Return whether code and outputs are still those of the run it was taken from; prose may change."""
    return notebook.metadata.get(OURS, {}).get("sha256") == _digest(notebook)


def made(notebook) -> dict[str, str]:
    """Return the files that the committed run made, such as "figures/verdicts.png", with their digests."""
    return notebook.metadata.get(OURS, {}).get("files", {})


def _digest(notebook) -> str:
    run = [(cell.source, cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()


def write(notebook, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    with atomic_write(path, FREE_SPACE) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def read_runs(folder: Path) -> dict:
    """Return what is known of the last run of each notebook, by its stem; nothing if that can't be read."""
    try:
        runs = _read_json(folder)["notebooks"]
        return {stem: run for stem, run in runs.items() if run["key"] and run["files"].keys()}
    except (KeyError, TypeError, AttributeError):
        return {}


def read_page(folder: Path) -> dict:
    """Return what is known of the page that was last written; nothing if that can't be read."""
    found = _read_json(folder)
    return found.get("page", {}) if isinstance(found, dict) else {}


def _read_json(folder):
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _is_injected(cell) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])
