"""Are the committed notebooks, figures and README in step with one another?"""

import csv
import html
import io
import re

from PIL import Image

from labhelpers.errors import LabError
from labhelpers.paths import project
from labhelpers.reporting import notebooks, readme
from labhelpers.study import claims, wording

MACHINE_PATH = re.compile(r"(/home/|/root/|/Users/|/tmp/|[A-Z]:\\\\Users)|site-packages")


def check() -> str:
    """Return a line that says all is in step.

    Raises:
        LabError: something is not, all of it named: a number that differs with both values and where each stands.
    """
    faults, expected, folder = [], set(), project() / "figures"
    judged = readme.rows(readme.results_table())
    committed = {path.name for path in folder.glob("*.*")}
    for path in notebooks.notebook_paths():
        notebook = notebooks.read(path)
        faults += [f"{path.name}: {fault}" for fault in _faults(notebook)]
        figures, tables = notebooks.expected_figures(notebook), notebooks.expected_tables(notebook)
        expected |= {f"{name}.png" for name in figures} | {f"{name}.csv" for name in figures + tables}
        held = [folder / f"{name}.csv" for name in figures + tables if f"{name}.csv" in committed]
        faults += [f"{path.name}, {fault}" for fault in _shown_otherwise(notebook, held, judged)]
    faults = list(dict.fromkeys(faults))
    faults += [f"figures/{name} is missing" for name in sorted(expected - committed)]
    faults += [f"figures/{name} is made by no notebook" for name in sorted(committed - expected)]
    for name in sorted(expected & committed):
        if name.endswith(".png") and f"{name[:-4]}.csv" in committed:
            faults += _drawn_otherwise(folder / name)
    faults += _judged_otherwise(folder / "verdicts.csv")
    faults += readme.differences()
    if faults:
        raise LabError(f"{'; '.join(faults)}: run lab report, then lab refresh")
    return (
        f"in step: {len(notebooks.notebook_paths())} notebooks, {len(expected)} files in figures/, README.md"
    )


def _drawn_otherwise(png):
    """Tell where a picture was drawn from other numbers than those beside it."""
    try:
        with Image.open(png) as image:
            drawn = image.text.get("numbers")
    except (OSError, SyntaxError):  # what Pillow raises for a file cut short, and for a damaged chunk
        return [f"figures/{png.name} is damaged"]
    if drawn is None:
        return [f"figures/{png.name} doesn't say what numbers it shows"]
    beside = png.with_suffix(".csv")
    difference = _difference(
        _rows(drawn), _read(beside), f"figures/{png.name} shows", f"figures/{beside.name} has"
    )
    return [difference] if difference else []


def _judged_otherwise(path):
    """Tell where the committed verdicts are not those of the records."""
    if not path.exists():
        return []
    now = wording.table(claims.verdicts()[0]).to_dict("records")
    difference = _difference(_read(path), now, f"figures/{path.name} has", "the records say")
    return [difference] if difference else []


def _shown_otherwise(notebook, paths, judged):
    """Tell where a table among a notebook's outputs is not that of the CSV, or of the records, with its columns and rows."""
    tables = {f"figures/{path.name} has": _read(path) for path in paths} | {"the records say": judged}
    for cell in notebook.cells:
        for shown in filter(None, map(_table, cell.get("outputs", []))):
            for place, held in tables.items():
                fits = len(shown) == len(held) and len(shown[0]) > 1 and set(shown[0]) <= set(held[0])
                here = f"cell {cell.execution_count} shows"
                if fits and (found := _difference(shown, held, here, place, _rounded)):
                    yield found


def _difference(first, second, first_place, second_place, equal=str.__eq__):
    """Return in words the first cell in which two tables differ, and how many more there are; nothing if none does."""
    if len(first) != len(second):
        return f"{first_place} {len(first)} rows, {second_place} {len(second)}"
    found = [
        f"{first_place} {column} {one[column] or 'nothing'} in row {number} ({next(iter(one.values()))}), "
        f"{second_place} {other.get(column) or 'nothing'}"
        for number, (one, other) in enumerate(zip(first, second, strict=True), 1)
        for column in one
        if not equal(one[column], other.get(column, ""))
    ]
    return found and found[0] + (f", and {len(found) - 1} more" if len(found) > 1 else "")


def _rounded(shown, held):
    """Whether a number, as shown, is the held one rounded; texts are to be the same."""
    try:
        digits = len(shown.partition(".")[2])
        return abs(float(shown) - float(held)) <= 0.501 * 10**-digits
    except ValueError:
        # A text that is missing is shown in the one way by pandas 3, in the other by pandas 2.
        return shown == held or (not held and shown in ("NaN", "None"))


def _read(path):
    return _rows(path.read_text(encoding="utf-8"))


def _rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def _table(output):
    """Return the table that an output shows, in HTML or Markdown, as a dictionary a row; nothing if it shows none."""
    data = output.get("data", {})
    if "text/html" not in data:
        return readme.rows(data.get("text/markdown", ""))
    lines = re.findall(r"<tr.*?</tr>", data["text/html"], re.DOTALL)
    cells = [re.findall(r"<t([hd])[^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    # The index is written as headings: only what it labels is compared.
    body = [[html.unescape(text) for kind, text in row if kind == "d"] for row in cells]
    body = [row for row in body if row]
    names = [html.unescape(text) for _, text in cells[0]][-len(body[0]) :] if body else []
    return [dict(zip(names, row, strict=False)) for row in body]


def _faults(notebook):
    if notebooks.clean(notebook) != notebook:
        yield "is not cleaned"
    if not notebooks.is_sealed(notebook):
        yield "its code or an output is not that of the run it was taken from"
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
