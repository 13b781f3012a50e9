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
