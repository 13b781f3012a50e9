"""Take the results of a report over into the repository, and check that everything there is consistent."""

import csv
import io
import re
import shutil

from bs4 import BeautifulSoup
from PIL import Image

from labhelpers.errors import LabError
from labhelpers.paths import FREE_SPACE, atomic_write, out_dir, project
from labhelpers.reporting import cache, notebooks
from labhelpers.study import human_labels, improvements, tables, verdicts

MACHINE_PATH = re.compile(r"(/home/|/root/|/Users/|/tmp/|[A-Z]:\\+Users)|site-packages")


# The tables in README.md


def verdicts_table() -> str:
    """Return the verdicts as Markdown.

    Raises:
        LabError: a record is damaged or stale.
    """
    judged, faults = verdicts.verdicts()
    if faults:
        raise LabError(faults[0])
    return tables.as_markdown(judged)


def improvements_table() -> str:
    """Return the improvements as Markdown."""
    return tables.improvements_as_markdown(improvements.summary(improvements.runs()))


TABLES = {"verdicts": verdicts_table, "improvements": improvements_table}


def _marked(name):
    return re.compile(
        rf"(?<=<!-- {name}: written by lab refresh -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL
    )


# lab refresh


def refresh(names=()) -> list[str]:
    """Write `notebooks/`, `figures/` and README's tables from the report; a second time changes nothing.

    Args:
        names: notebooks by number, stem or file; none means all that ran. The others stay as they are committed.

    Returns:
        A line for each file that changed.

    Raises:
        LabError: no chosen notebook ran, or a run is not of CIFAR-10 with the notebook's own parameters, or is outdated;
            then nothing is written.
    """
    folder = out_dir()
    runs = notebooks.read_runs(folder)
    chosen = [path for path in notebooks.select(list(names)) if names or path.stem in runs]
    if not chosen:
        raise LabError(f"no notebook was run into {folder}: run lab report first")
    taken = {path: _taken_over(path, runs.get(path.stem), folder) for path in chosen}
    readme, readme_before = _readme()
    before = {path: notebooks.read(path) for path in notebooks.notebook_paths()}
    kept = {name for notebook in (before | taken).values() for name in notebooks.made(notebook)}
    removed = {f"figures/{path.name}" for path in (project() / "figures").glob("*.*")} - kept
    changed = []
    for path, notebook in taken.items():
        changed += [name for name in notebooks.made(notebook) if _copied(folder / name, project() / name)]
        if notebook != before[path]:
            notebooks.write(notebook, path)
            changed.append(f"notebooks/{path.name}")
    for name in sorted(removed):
        (project() / name).unlink(missing_ok=True)
        changed.append(f"{name} (removed)")
    if readme != readme_before:
        with atomic_write(project() / "README.md", FREE_SPACE) as temporary:
            temporary.write_text(readme, encoding="utf-8")
        changed.append("README.md")
    return changed or ["nothing to refresh"]


def _taken_over(path, run, folder):
    """Return a notebook with the outputs of its run, as it is committed."""
    source, stem = notebooks.read(path), path.stem
    if run is None:
        raise LabError(f"{stem} has no run in {folder}: run lab report {stem} first")
    if run["cifar"]["name"] != "CIFAR-10" or run["parameters"]:
        raise LabError(f"{stem} last ran with other parameters or data: run lab report {stem} first")
    reasons = cache.outdated(run, source) + cache.damaged(folder, run["files"])
    if reasons:
        raise LabError(f"the run of {stem} is outdated ({', '.join(reasons)}): run lab report {stem} first")
    if run["key"].get("files"):
        raise LabError(
            f"{stem} reads {next(iter(run['key']['files']))}, which is not part of the project: take it out"
        )
    if cache.lacks_human_labels(run):
        raise LabError(
            f"{stem} was run without the human labels of each image: put {human_labels.COUNTS_FILE} where "
            "data/README.md says, run lab report, then this again"
        )
    executed = notebooks.read(folder / "notebooks" / path.name)
    return notebooks.with_provenance(notebooks.clean(notebooks.with_outputs(source, executed)), run)


def _copied(source, target) -> bool:
    if target.exists() and target.read_bytes() == source.read_bytes():
        return False
    with atomic_write(target, FREE_SPACE) as temporary:
        shutil.copyfile(source, temporary)
    return True


def _readme() -> tuple[str, str]:
    """Return README.md with the tables of the records, and as it is."""
    before = text = (project() / "README.md").read_text(encoding="utf-8")
    for name, make in TABLES.items():
        found = _marked(name).search(text)
        if not found:
            raise LabError(
                f"README.md has lost the comments that mark its table of the {name}: restore them with git"
            )
        text = text[: found.start()] + make() + text[found.end() :]
    return text, before


# lab check


def check() -> str:
    """Return a line that says that notebooks, figures, records and README are consistent.

    Raises:
        LabError: something is not, all of it named: a number that differs with both values and where each is.
    """
    faults, made = [], {}
    now = {name: make() for name, make in TABLES.items()}
    for path in notebooks.notebook_paths():
        notebook = notebooks.read(path)
        made |= notebooks.made(notebook)
        csvs = [name for name in notebooks.made(notebook) if name.endswith(".csv")]
        held = {f"{name} has": _read(project() / name) for name in csvs if (project() / name).exists()}
        held |= {"the records say": _markdown_rows(now["verdicts"])}
        faults += [f"{path.name}: {fault}" for fault in _faults(notebook)]
        faults += [f"{path.name}, {fault}" for fault in _shown_otherwise(notebook, held)]
    faults = list(dict.fromkeys(faults)) + cache.damaged(project(), made)
    there = {f"figures/{path.name}" for path in (project() / "figures").glob("*.*")}
    faults += [f"{name} is made by no notebook" for name in sorted(there - set(made))]
    for name in sorted(name for name in there & set(made) if name.endswith(".png")):
        faults += _drawn_otherwise(name)
    readme = (project() / "README.md").read_text(encoding="utf-8")
    for name, table in now.items():
        found = _marked(name).search(readme)
        if found is None:
            faults.append(f"README.md has lost the comments that mark its table of the {name}")
        elif found.group() != table:
            written, place = _markdown_rows(found.group()), f"README.md, table of the {name}, has"
            shape = [f"{place} another form than lab refresh gives it"]
            faults += _difference(written, _markdown_rows(table), place, "the records say") or shape
    if faults:
        raise LabError(f"{'; '.join(faults)}: run lab report, then lab refresh")
    return (
        f"consistent: {len(notebooks.notebook_paths())} notebooks, {len(made)} files in figures/, README.md"
    )


def _faults(notebook):
    """Say what is wrong with a committed notebook by itself."""
    if notebooks.clean(notebook) != notebook:
        yield "is not cleaned"
    if not notebooks.is_as_run(notebook):
        yield "its code or an output is not that of the run it was taken from"
    elif reasons := cache.outdated(notebook.metadata.get(notebooks.OURS, {}), notebook):
        yield f"is outdated ({', '.join(reasons)})"
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


def _drawn_otherwise(name):
    """Say where a picture was drawn from other numbers than those beside it."""
    try:
        with Image.open(project() / name) as image:
            drawn = image.text.get("numbers")
    except (OSError, SyntaxError):  # what Pillow raises for a file cut short, and for a damaged chunk
        return [f"{name} is damaged"]
    if drawn is None:
        return [f"{name} doesn't say what numbers it shows"]
    beside = f"{name[:-4]}.csv"
    if not (project() / beside).exists():
        return []
    return _difference(_rows(drawn), _read(project() / beside), f"{name} shows", f"{beside} has")


def _shown_otherwise(notebook, held):
    """Say where a table in a notebook's outputs is not that of the CSV, or the records, with its columns and rows."""
    for cell in notebook.cells:
        for shown in filter(None, map(_table, cell.get("outputs", []))):
            for place, rows in held.items():
                if len(shown) == len(rows) and len(shown[0]) > 1 and set(shown[0]) <= set(rows[0]):
                    here = f"cell {cell.execution_count} shows"
                    yield from _difference(shown, rows, here, place, _rounded)


def _difference(first, second, first_place, second_place, equal=str.__eq__):
    """Return in words the first cell in which two tables differ, and how many more there are; none if none does."""
    if len(first) != len(second):
        return [f"{first_place} {len(first)} rows, {second_place} {len(second)}"]
    found = [
        f"{first_place} {column} {one[column] or 'nothing'} in row {number} ({next(iter(one.values()))}), "
        f"{second_place} {other.get(column) or 'nothing'}"
        for number, (one, other) in enumerate(zip(first, second, strict=True), 1)
        for column in one
        if not equal(one[column], other.get(column, ""))
    ]
    return [found[0] + (f", and {len(found) - 1} more" if len(found) > 1 else "")] if found else []


def _rounded(shown, held):
    """Return whether a number, as shown, is the held one rounded; texts are to be the same."""
    try:
        digits = len(shown.partition(".")[2])
        return abs(float(shown) - float(held)) <= 0.501 * 10**-digits
    except ValueError:
        # A text that is missing is shown in one way by pandas 3, in another by pandas 2.
        return shown == held or (not held and shown in ("NaN", "None"))


def _read(path):
    return _rows(path.read_text(encoding="utf-8"))


def _rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def _markdown_rows(markdown: str) -> list[dict[str, str]]:
    """Return the cells of the table in a text, a dictionary for each row; none where there is no table."""
    lines = [line.strip().strip("|").split("|") for line in markdown.splitlines() if line.startswith("|")]
    columns, _, *body = [[cell.strip() for cell in line] for line in lines] or [[], []]
    return [dict(zip(columns, row, strict=False)) for row in body]


def _table(output):
    """Return the table that an output shows, in HTML or Markdown, as a dictionary for each row; none if it has none."""
    data = output.get("data", {})
    if "text/html" not in data:
        return _markdown_rows(data.get("text/markdown", ""))
    rows = BeautifulSoup(data["text/html"], "html.parser").find_all("tr")
    # The index is written as headings: only what it labels is compared.
    body = [cells for row in rows if (cells := [cell.get_text() for cell in row.find_all("td")])]
    names = [cell.get_text() for cell in rows[0].find_all("th")][-len(body[0]) :] if body else []
    return [dict(zip(names, cells, strict=False)) for cells in body]
