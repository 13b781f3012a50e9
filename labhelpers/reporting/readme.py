"""The tables in README.md that are made from the committed numbers."""

import re

import pandas as pd

from labhelpers.errors import LabError
from labhelpers.paths import atomic_write, project

MARKED = re.compile(
    r"(?<=<!-- results: written by lab refresh -->\n).*?(?=<!-- end of results -->)", re.DOTALL
)


def results_table() -> str:
    """Return the table original / ours as Markdown, from the committed `figures/table*.csv`."""
    paths = sorted((project() / "figures").glob("table*.csv"))
    if not paths:
        raise LabError("there are no figures/table*.csv yet: run lab report, then lab refresh")
    # Table 2 repeats the baseline, to compare with: one row a claim and measure is enough.
    rows = pd.concat(map(pd.read_csv, paths)).drop_duplicates(["claim", "measure"])
    lines = ["| claim | network | measure | original | ours (95 % interval) |", "|---|---|---|---|---|"]
    for row in rows.itertuples():
        ours = f"**{_number(row.measure, row.ours)}**"
        if row.low == row.low:  # not missing
            ours += f" ({_number(row.measure, row.low)} to {_number(row.measure, row.high)})"
        original = f"{100 * row.original:.0f} %" if row.measure == "test accuracy" else f"{row.original:.2f}"
        lines.append(f"| {row.claim} | {row.network} | {row.measure} | {original} | {ours} |")
    return "\n".join(lines) + "\n"


def is_current() -> bool:
    """Whether README.md holds the table as it would be written now."""
    found = MARKED.search(_path().read_text(encoding="utf-8"))
    return found is not None and found.group() == results_table()


def refresh() -> bool:
    """Write the table into README.md; returns whether that changed it."""
    text = _path().read_text(encoding="utf-8")
    if not MARKED.search(text):
        raise LabError(
            "README.md has lost the comments that mark its table of results: restore them with git"
        )
    if is_current():
        return False
    with atomic_write(_path()) as temporary:
        temporary.write_text(MARKED.sub(lambda _: results_table(), text), encoding="utf-8")
    return True


def _path():
    return project() / "README.md"


def _number(measure, value):
    return f"{100 * value:.1f} %" if measure == "test accuracy" else f"{value:.3f}"
