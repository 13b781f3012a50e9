"""The tables in README.md, from the committed records: a verdict on each claim, and the ladder."""

import re
from collections.abc import Callable
from typing import NamedTuple

from labhelpers.errors import LabError
from labhelpers.paths import atomic_write, project
from labhelpers.study import claims, ladder, wording


def results_table() -> str:
    """Return the verdicts as Markdown.

    Raises:
        LabError: a record is damaged or stale.
    """
    verdicts, faults = claims.verdicts()
    if faults:
        raise LabError(faults[0])
    return wording.as_markdown(verdicts)


def ladder_table() -> str:
    """Return the ladder as Markdown."""
    return ladder.as_markdown(ladder.summary(ladder.runs()))


class Table(NamedTuple):
    """A table between two comments: how it is made, the column that names its rows, and what such a row is."""

    make: Callable[[], str]
    key: str
    row: str


TABLES = {
    "verdicts": Table(results_table, "claim", "claim"),
    "ladder": Table(ladder_table, "change", "rung of the ladder"),
}


def is_current() -> bool:
    """Whether README.md holds the tables as they would be written now."""
    return not differences()


def differences() -> list[str]:
    """Return for each number or word of a table that is not that of the records where it is, and both."""
    text = _path().read_text(encoding="utf-8")
    return [fault for name in TABLES for fault in _differences(name, text)]


def _differences(name, text):
    found = _marked(name).search(text)
    if found is None:
        return [f"README.md has lost the comments that mark its table of the {name}"]
    made = TABLES[name].make()
    written, now = (_by_key(markdown, TABLES[name].key) for markdown in (found.group(), made))
    faults = [f"README.md, {key}: has no row" for key in now if key not in written]
    faults += [f"README.md, {key}: is no {TABLES[name].row}" for key in written if key not in now]
    faults += [
        f"README.md, {key}, {column}: {written[key].get(column) or 'nothing'}, but the records say {value or 'nothing'}"
        for key in now
        if key in written
        for column, value in now[key].items()
        if written[key].get(column) != value
    ]
    # What is left are the rows' order and the table's shape.
    of_shape = f"README.md: its table of the {name} is not that of the records"
    return faults or [of_shape] * (found.group() != made)


def rows(markdown: str) -> list[dict[str, str]]:
    """Return the cells of the table in a text, a dictionary a row; none where there is no table."""
    lines = [line.strip().strip("|").split("|") for line in markdown.splitlines() if line.startswith("|")]
    columns, _, *body = [[cell.strip() for cell in line] for line in lines] or [[], []]
    return [dict(zip(columns, row, strict=False)) for row in body]


def _by_key(markdown, key):
    return {row[key]: row for row in rows(markdown)}


def refresh() -> bool:
    """Write the tables into README.md; returns whether that changed it."""
    before = text = _path().read_text(encoding="utf-8")
    for name, table in TABLES.items():
        found = _marked(name).search(text)
        if not found:
            raise LabError(
                f"README.md has lost the comments that mark its table of the {name}: restore them with git"
            )
        text = text[: found.start()] + table.make() + text[found.end() :]
    if text == before:
        return False
    with atomic_write(_path()) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True


def _marked(name):
    return re.compile(
        rf"(?<=<!-- {name}: written by lab refresh -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL
    )


def _path():
    return project() / "README.md"
