"""Read and write notebooks: their structure, their outputs, and what is kept of them when they are committed."""

import hashlib
import json
import re
import shutil
import sys
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import nbformat

from labhelpers.errors import LabError
from labhelpers.parameters import Parameter, declared
from labhelpers.paths import FREE_SPACE, atomic_write, project, writing

OURS = "labhelpers"  # the key of our own metadata in notebooks and outputs
SECTIONS = ["## What this does not show", "## Your turn"]  # headings that every notebook has, in this order
GLOSSARY = "GLOSSARY.md"  # beside the notebooks; each links to it
LINK_AT_END = re.compile(r"\]\(\d\d_\w+\.ipynb\)\s*$")
NAME = re.compile(r"\d\d_\w+\.ipynb")
INJECTED = "injected-parameters"  # papermill's tag of the cell that it inserts
HIDDEN = "hide-input"  # tag of cells that only build a sentence, or save a figure: their code is folded
WIDEST = 88  # characters in a line of code, so that it fits beside JupyterLab's sidebar and on GitHub


def notebook_paths() -> list[Path]:
    """Return the project's notebooks in reading order; a copy such as `01_title-Copy1.ipynb` is none of them."""
    return sorted(path for path in (project() / "notebooks").glob("*.ipynb") if NAME.fullmatch(path.name))


def copy_for_student() -> Path:
    """Copy the notebooks, but for those that are there already, and the glossary into `my_notebooks`, which git ignores.

    The copies have no outputs, so that what a student sees is what the student ran.
    """
    folder = project() / "my_notebooks"
    with writing(folder, FREE_SPACE):
        folder.mkdir(exist_ok=True)
        shutil.copyfile(project() / "notebooks" / GLOSSARY, folder / GLOSSARY)
        for path in notebook_paths():
            if (folder / path.name).exists():
                continue
            notebook = clean(read(path))
            notebook.metadata.pop(OURS, None)  # what belongs to the committed run
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            with atomic_write(folder / path.name) as temporary:
                nbformat.write(notebook, temporary)
    return folder


def select(names=()) -> list[Path]:
    """Return the notebooks named by number, stem or file, in reading order; all of them for no names.

    A line on stderr names the files among the notebooks that are left out.

    Raises:
        LabError: no notebook has one of the names, a name is the path of another file, or two have the same number.
    """
    paths, folder = notebook_paths(), (project() / "notebooks").resolve()
    for path in sorted({*(project() / "notebooks").glob("*.ipynb")} - {*paths}):
        why = "the name of a notebook is two digits, _, then letters, digits or _: rename it, or delete it if it is a copy"
        print(f"WARNING: {path.name} is left out: {why}", file=sys.stderr)
    for first, second in pairwise(paths):
        if first.name[:2] == second.name[:2]:
            raise LabError(f"{first.name} and {second.name} have the same number: rename or delete one of them")
    chosen = set()
    for name in names:
        file = Path(name)
        if (file.name != name or file.is_file()) and file.resolve().parent != folder:
            how = "run a copy with papermill, or in JupyterLab (lab jupyter)"
            raise LabError(f"lab report runs the project's notebooks, and {name} is not in their folder: {how}")
        stem = file.name.removesuffix(".ipynb")
        stem = stem.zfill(2) if stem.isdecimal() else stem
        fitting = [path for path in paths if path.stem == stem or path.stem.startswith(f"{stem}_")]
        if not fitting:
            stems = ", ".join(path.stem for path in paths)
            raise LabError(f"there is no notebook {name!r}: choose from {stems}")
        chosen.update(fitting)
    return [path for path in paths if not names or path in chosen]


def read(path: Path):
    """Read a notebook; raise a `LabError` if it is missing or not valid."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if "<<<<<<< " in text:
            raise ValueError("a merge left its conflicts in it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells of older notebooks get an id when they are read
            notebook = nbformat.v4.upgrade(nbformat.reads(text, as_version=4))
            nbformat.validate(notebook, relax_add_props=True)
    except Exception as error:  # nbformat raises what its JSON schema library raises
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise LabError(f"{path} is not a valid notebook ({reason}): restore it, for example with git") from error
    return notebook


def read_source(path: Path):
    """Read a notebook of the project; raise a `LabError` if it is not valid, or papermill has added cells to it."""
    notebook = read(path)
    if any(_tags(cell) & {INJECTED, "papermill-error-cell-tag"} for cell in notebook.cells):
        how = "papermill added cells to it when it was run in place"
        raise LabError(f"{path} was changed: {how}; restore it, for example with git, or delete these cells")
    return notebook


def parameters(notebook, limited: bool = False) -> dict[str, Parameter]:
    """Return the parameters that a notebook declares in its cell tagged `parameters`, by name; see `declared`."""
    return declared("\n".join(cell.source for cell in notebook.cells if "parameters" in _tags(cell)), limited)


def structure_faults(notebook) -> list[str]:
    """Return what a notebook lacks of the structure that all notebooks of the report have, a line for each fault."""
    first, second = [*notebook.cells, *[nbformat.v4.new_raw_cell()] * 2][:2]
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = [line.strip() for line in prose.splitlines() if line.strip() in SECTIONS]
    unlimited = sorted(parameters(notebook).keys() - parameters(notebook, limited=True).keys())
    sources = code(notebook)
    unnamed = [name for name in figures(notebook) if f"`{name}`" not in first.source]
    last = sources[-1] if sources else ""
    lengths = sorted(len(source.splitlines()) for source in sources) or [0]
    widest = max((len(line) for source in sources for line in source.splitlines()), default=0)
    words, lines, median = len(prose.split()), sum(lengths), lengths[len(lengths) // 2]
    rules = {
        "the first cell is not a title that begins with '# '": first.source.startswith("# "),
        "the first cell has no **Question:**": "**Question:**" in first.source,
        f"the first cell does not name the figures {', '.join(unnamed)}": not unnamed,
        "the second cell is not tagged `parameters`": "parameters" in _tags(second),
        f"no comment limits the values of {', '.join(unlimited)}, as (1 to 9) would": not unlimited,
        "no cell after the parameters calls check_parameters()": "check_parameters()" in "".join(code(notebook)[1:2]),
        f"not there, or not in this order: {' and '.join(SECTIONS)}": headings == SECTIONS,
        "the last text does not end with a link to a notebook": LINK_AT_END.search(prose),
        "it saves figures, and its last cell does not call compare()": "compare(" in last
        or "save_" not in "".join(sources),
        f"a line of code has {widest} characters, more than {WIDEST}": widest <= WIDEST,
        f"the longest cell has {lengths[-1]} lines of code, more than 20": lengths[-1] <= 20,
        f"half of the cells have {median} lines of code or more, not at most 6": median <= 6,
        f"there are {words} words of text for {lines} lines of code, fewer than 4 a line": words >= 4 * lines,
    }
    return [fault for fault, kept in rules.items() if not kept]


def noted(output, kind: str):
    """Return what the library noted in an output; None in others.

    `save_figure` notes the name of the `figure` that it shows, and for its caption what it is the `caption_of`; `compare`
    notes its result, the `reproduction`.
    """
    return output.get("metadata", {}).get(OURS, {}).get(kind)


def outcomes(results) -> str:
    """Count the outcomes of the results of `compare`, None where there is none, in words."""
    counted = Counter(result["outcome"] if result else "not compared" for result in results)
    return ", ".join(f"{n} {outcome}" for outcome, n in counted.most_common())


def outputs(notebook) -> list:
    """Return the outputs of all cells, in order."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def figures(notebook) -> list[str]:
    """Return the names of the saved figures that the notebook's outputs show, in order."""
    return [name for output in outputs(notebook) if (name := noted(output, "figure"))]


def code(notebook) -> list[str]:
    """Return the sources of the code cells, without those that papermill injected."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and INJECTED not in _tags(cell)]


def with_outputs(source, executed):
    """Return the source notebook with the outputs, and injected parameters, of an executed copy with the same code."""
    merged = nbformat.from_dict(source)
    ran = iter([cell for cell in executed.cells if cell.cell_type == "code"])
    cells, merged.cells = merged.cells, []
    for cell in cells:
        if cell.cell_type == "code":
            run = next(ran)
            if INJECTED in _tags(run):
                merged.cells.append(run)
                run = next(ran)
            cell.outputs, cell.execution_count = run.outputs, run.execution_count
        merged.cells.append(cell)
    return merged


def clean(notebook):
    """Return the notebook as it is committed: outputs stay, what differs from machine to machine goes."""
    cleaned = nbformat.from_dict(notebook)
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    ours = {OURS: notebook.metadata[OURS]} if OURS in notebook.metadata else {}
    cleaned.metadata = nbformat.from_dict(metadata | ours)
    for cell in cleaned.cells:
        tags = cell.metadata.get("tags")
        folded = {"jupyter": {"source_hidden": True}} if HIDDEN in _tags(cell) else {}
        cell.metadata = nbformat.from_dict(({"tags": tags} if tags else {}) | folded)
        for output in cell.get("outputs", []):
            if "metadata" in output:
                alt = output.metadata.get("image/png", {}).get("alt")
                named = {OURS: {"figure": noted(output, "figure")}, "image/png": {"alt": alt}}
                is_caption = noted(output, "caption_of")
                kept = {OURS: output.metadata[OURS]} if is_caption else named if noted(output, "figure") else {}
                output.metadata = nbformat.from_dict(kept)
    return cleaned


def with_provenance(notebook, run: dict):
    """Return the notebook with a digest of its code and outputs, the files in figures/ of its run, and the cache key."""
    copy = nbformat.from_dict(notebook)
    made = {name: digest for name, digest in run["files"].items() if name.startswith("figures/")}
    copy.metadata[OURS] = {"sha256": _digest(notebook), "files": made, "key": run["key"]}
    return copy


def is_as_run(notebook) -> bool:
    """Return whether code, tags and outputs are still those of the committed run; prose may change."""
    return provenance(notebook).get("sha256") == _digest(notebook)


def made(notebook) -> dict[str, str]:
    """Return the files that the committed run made, such as "figures/verdicts.png", with their digests."""
    return provenance(notebook).get("files", {})


def provenance(notebook) -> dict:
    """Return what `with_provenance` noted; nothing if the notebook has lost it."""
    noted = notebook.metadata.get(OURS)
    return noted if isinstance(noted, dict) else {}


def read_record(folder: Path) -> dict:
    """Return the last run of each notebook (`notebooks`, by stem) and the key of the `page`, as noted in `run.json`."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if all(run["key"] and "files" in run for run in record["notebooks"].values()):
            return {"page": None} | record
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # missing or damaged: everything runs again
    return {"notebooks": {}, "page": None}


def _digest(notebook):
    run = [(cell.source, cell.outputs, sorted(_tags(cell))) for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()


def _tags(cell):
    return set(cell.metadata.get("tags", []))
