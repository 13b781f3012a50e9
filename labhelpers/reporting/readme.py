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
    for claim in now:
        pairs = zip(COLUMNS, written.get(claim, []), now[claim], strict=False)
        faults += [
            f"README.md, {claim}, {column}: {old or 'nothing'}, but the records say {new or 'nothing'}"
            for column, old, new in pairs
            if old != new
        ]
    # What is left are the rows' order and the table's shape.
    return faults or ([] if is_current() else ["README.md: its table of verdicts is not that of the records"])


def _by_claim(text):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    return {row[0]: row for row in rows[2:]}


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
