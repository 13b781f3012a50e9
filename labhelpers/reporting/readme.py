"""The table in README.md: a verdict on each claim, from the committed records."""

import re

from labhelpers.errors import LabError
from labhelpers.paths import atomic_write, project
from labhelpers.study import claims, wording

MARKED = re.compile(
    r"(?<=<!-- verdicts: written by lab refresh -->\n).*?(?=<!-- end of verdicts -->)", re.DOTALL
)


def results_table() -> str:
    """Return the verdicts as Markdown.

    Raises:
        LabError: a record is damaged or stale.
    """
    verdicts, faults = claims.verdicts()
    if faults:
        raise LabError(faults[0])
    return wording.as_markdown(verdicts)


def is_current() -> bool:
    """Whether README.md holds the table as it would be written now."""
    found = MARKED.search(_path().read_text(encoding="utf-8"))
    return found is not None and found.group() == results_table()


def differences() -> list[str]:
    """Return for each number or word of the table that is not that of the records where it is, and both."""
    found = MARKED.search(_path().read_text(encoding="utf-8"))
    if found is None:
        return ["README.md has lost the comments that mark its table of verdicts"]
    written, now = (_by_claim(text) for text in (found.group(), results_table()))
    faults = [f"README.md, {claim}: has no row" for claim in now if claim not in written]
    faults += [f"README.md, {claim}: is no claim" for claim in written if claim not in now]
    faults += [
        f"README.md, {claim}, {column}: {written[claim].get(column) or 'nothing'}, but the records say {value or 'nothing'}"
        for claim in now
        if claim in written
        for column, value in now[claim].items()
        if written[claim].get(column) != value
    ]
    # What is left are the rows' order and the table's shape.
    return faults or ([] if is_current() else ["README.md: its table of verdicts is not that of the records"])


def rows(markdown: str) -> list[dict[str, str]]:
    """Return the cells of the table in a text, a dictionary a row; none where there is no table."""
    lines = [line.strip().strip("|").split("|") for line in markdown.splitlines() if line.startswith("|")]
    columns, _, *body = [[cell.strip() for cell in line] for line in lines] or [[], []]
    return [dict(zip(columns, row, strict=False)) for row in body]


def _by_claim(markdown):
    return {row["claim"]: row for row in rows(markdown)}


def refresh() -> bool:
    """Write the table into README.md; returns whether that changed it."""
    text = _path().read_text(encoding="utf-8")
    if not MARKED.search(text):
        raise LabError(
            "README.md has lost the comments that mark its table of verdicts: restore them with git"
        )
    if is_current():
        return False
    with atomic_write(_path()) as temporary:
        temporary.write_text(MARKED.sub(lambda _: results_table(), text), encoding="utf-8")
    return True


def _path():
    return project() / "README.md"
