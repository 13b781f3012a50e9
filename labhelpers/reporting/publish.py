"""Copy the results of a report into the repository, and check that everything there is consistent."""

import re
from itertools import zip_longest

import nbformat
from PIL.PngImagePlugin import PngImageFile

from labhelpers.errors import LabError
from labhelpers.paths import FREE_SPACE, atomic_write, out_dir, project
from labhelpers.reporting import cache, notebooks
from labhelpers.study import improvements, reproduction, tables, verdicts

MACHINE_PATH = re.compile(r"(/home/|/root/|/Users/|/tmp/|[A-Z]:\\+Users)|site-packages")


def verdicts_table() -> str:
    """Return the verdicts as Markdown; raise a `LabError`, a line for each record, if some are damaged or stale."""
    judged, faults = verdicts.verdicts()
    if faults:
        raise LabError("\n".join(faults))
    return tables.as_markdown(judged)


# The tables in README.md
TABLES = {
    "verdicts": verdicts_table,
    "improvements": lambda: tables.improvements_as_markdown(improvements.summary(improvements.runs())),
}


def _table_in(readme, name):
    """Find the table in README.md; return the match and what to say if there is none."""
    marked = rf"(?<=<!-- {name}: written by lab refresh -->\n).*?(?=<!-- end of {name} -->)"
    lost = f"README.md has lost the comments that mark its table of the {name}: restore them with git"
    return re.search(marked, readme, re.DOTALL), lost


def refresh(names=()) -> list[str]:
    """Write `notebooks/`, `figures/` and README's tables from the report; return a line for each file that changed.

    Args:
        names: notebooks by number, stem or file; none means all that ran. The others stay as they are.

    Raises:
        LabError: no chosen notebook ran, or a run is not of CIFAR-10 with the notebook's own parameters, or is outdated;
            then nothing is written.
    """
    folder = out_dir()
    runs = notebooks.read_record(folder)["notebooks"]
    chosen = [path for path in notebooks.select(names) if names or path.stem in runs]
    if not chosen:
        raise LabError(f"no notebook was run into {folder}: run lab report first")
    refreshed = {path: _refreshed(path, runs.get(path.stem), folder) for path in chosen}
    readme = (project() / "README.md").read_text(encoding="utf-8")
    for name, make in TABLES.items():
        table, lost = _table_in(readme, name)
        if not table:
            raise LabError(lost)
        readme = readme[: table.start()] + make() + readme[table.end() :]
    contents: dict[str, bytes] = {}
    changed = []
    for path, notebook in refreshed.items():
        contents |= {name: (folder / name).read_bytes() for name in notebooks.made(notebook)}
        contents[f"notebooks/{path.name}"] = f"{nbformat.writes(notebook)}\n".encode()
    contents["README.md"] = readme.encode()
    for name, content in contents.items():
        target = project() / name
        if not target.exists() or target.read_bytes() != content:
            with atomic_write(target, FREE_SPACE) as temporary:
                temporary.write_bytes(content)
            changed.append(name)
    return changed or ["nothing to refresh"]


def _refreshed(path, run, folder):
    """Return a notebook with the outputs of its run, as it is committed."""
    source, stem = notebooks.read_source(path), path.stem
    if run is None:
        raise LabError(f"{stem} has no run in {folder}: run lab report {stem} first")
    if run["cifar"]["name"] != "CIFAR-10" or run["parameters"]:
        raise LabError(f"{stem} last ran with other parameters or data: run lab report {stem} first")
    reasons = cache.outdated(run["key"], source) + cache.damaged(folder, run["files"])
    if reasons:
        raise LabError(f"the run of {stem} is outdated ({', '.join(reasons)}): run lab report {stem} first")
    if files := run["key"].get("files"):
        raise LabError(f"{stem} reads {next(iter(files))}, which is not part of the project: take it out")
    if missing := [name for name, digest in run["key"].get("optional files", {}).items() if digest is None]:
        raise LabError(
            f"{stem} was run without {missing[0]}: put it where data/README.md says, run lab report, then this again"
        )
    executed = notebooks.read(folder / "notebooks" / path.name)
    for output in notebooks.outputs(executed):
        if result := notebooks.noted(output, "reproduction"):
            output.data["text/markdown"] = reproduction.text(reproduction.committed(result))
    return notebooks.with_provenance(notebooks.clean(notebooks.with_outputs(source, executed)), run)


def check() -> str:
    """Return a line that says that notebooks, figures, records and README are consistent.

    Raises:
        LabError: they are not: a line for each fault (for a number that differs, both rows and where each is), then one
            that says what to do.
    """
    faults: list[str] = []
    made: dict[str, str] = {}
    for path in notebooks.select():
        notebook = notebooks.read_source(path)
        made |= notebooks.made(notebook)
        faults += [f"{path.name}: {fault}" for fault in dict.fromkeys(_faults(notebook))]
    faults += cache.damaged(project(), made)
    for name in sorted(f"figures/{path.name}" for path in (project() / "figures").glob("*.*")):
        if name not in made:
            faults.append(f"{name} is made by no notebook")
        elif name.endswith(".png"):
            faults += _picture_faults(name)
    readme = (project() / "README.md").read_text(encoding="utf-8")
    for name, make in TABLES.items():
        written, lost = _table_in(readme, name)
        if written is None:
            faults.append(lost)
            continue
        try:
            faults += _difference(written.group(), make(), f"README.md, table of the {name}, has", "the records say")
        except LabError as error:
            faults += str(error).splitlines()
    if faults:
        advice = "take back with git what you didn't mean to change; after the rest, run lab report and lab refresh"
        raise LabError("\n".join(["not consistent:", *faults, advice]))
    return f"consistent: {len(notebooks.notebook_paths())} notebooks, {len(made)} files in figures/, README.md"


def _faults(notebook):
    """Yield what is wrong with a committed notebook by itself."""
    yield from notebooks.structure_faults(notebook)
    if notebooks.clean(notebook) != notebook:
        yield "is not cleaned"
    if not notebooks.is_as_run(notebook):
        yield "its code, a tag or an output is not that of the run it was taken from"
    elif reasons := cache.outdated(notebooks.provenance(notebook).get("key", {}), notebook):
        yield f"is outdated ({', '.join(reasons)})"
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None and cell.source.strip():
            yield "has a cell that was not executed"
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"has an error or a warning in the output of cell {cell.execution_count}"
            if MACHINE_PATH.search(f"{output.get('text')} {output.get('data', {}).get('text/plain')}"):
                yield f"has a path of a machine in the output of cell {cell.execution_count}"


def _picture_faults(name) -> list[str]:
    """Return a line if a picture does not show the numbers in the CSV beside it."""
    try:
        with PngImageFile(project() / name) as image:
            shown = image.text.get("numbers")
    except (OSError, SyntaxError):  # what Pillow raises for a file cut short, and for a damaged chunk
        return [f"{name} is damaged"]
    if shown is None:
        return [f"{name} doesn't say what numbers it shows"]
    table = f"{name[:-4]}.csv"
    if not (project() / table).exists():
        return []
    held = (project() / table).read_text(encoding="utf-8")
    return _difference(shown, held, f"{name} shows", f"{table} has")


def _difference(first, second, first_place, second_place) -> list[str]:
    """Return a line on the first row in which two tables differ, and how many more there are; none if they agree."""
    rows = zip_longest(first.splitlines(), second.splitlines(), fillvalue="")
    differing = [(row or "nothing", other or "nothing") for row, other in rows if row != other]
    more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
    return [f"{first_place}: {row}; {second_place}: {other}{more}" for row, other in differing[:1]]
