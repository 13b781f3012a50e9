"""Verdicts and improvements as tables: for notebooks, README, page and terminal."""

import textwrap
from math import isnan

import pandas as pd

from labhelpers.evaluation import percent, typeset
from labhelpers.study import text

WIDTH, INDENT = 98, "    "
RUN, OURS = "one run (95 % prediction interval)", "ours (95 % interval)"


def table(verdicts) -> pd.DataFrame:
    """Return the verdicts as text, a row for each claim: what it says, what we found, and why that is the verdict."""
    return pd.DataFrame(
        {
            "claim": verdict.claim.id,
            "statement": verdict.claim.statement,
            "original": verdict.claim.number_text,
            RUN: text.one_run(verdict.evidence),
            OURS: text.ours(verdict.evidence),
            "first runs": text.ours(verdict.first),
            "runs": text.number_of_runs(verdict),
            "experiments": text.experiments(verdict),
            "margin": text.margin(verdict.claim),
            "decided by": text.decided_by(verdict),
            "verdict": verdict.outcome,
            "why": text.why(verdict),
            "remark": text.remark(verdict),
        }
        for verdict in verdicts
    )


def as_markdown(verdicts) -> str:
    """Return the verdicts as a table in Markdown, without the reasons."""
    rows = table(verdicts).rename(columns={"statement": "the original says", RUN: "one run of ours"})
    rows = rows[["claim", "verdict", "the original says", "original", "one run of ours", OURS, "decided by", "runs"]]
    rows["verdict"] = "**" + rows["verdict"] + "**"
    return _markdown(rows.columns, rows.itertuples(index=False))


def improvements_as_markdown(steps: pd.DataFrame) -> str:
    """Return what `improvements.summary` gives as a table in Markdown."""
    columns = ["step", "change", "test accuracy (95 % interval)", "gain", "runs", "minutes on two cores"]
    rows = []
    for step in steps.to_dict("records"):
        accuracy = percent(step["accuracy"], None if isnan(step["low"]) else (step["low"], step["high"]))
        gain = "" if isnan(step["gain"]) else f"{100 * step['gain']:+.1f}"
        rows.append(
            (f"{step['step'] + 1}", step["change"], accuracy, gain, f"{step['runs']}", f"{step['minutes']:.1f}")
        )
    return _markdown(columns, rows)


def _markdown(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return typeset("".join(f"| {' | '.join(line)} |\n" for line in lines))


def as_text(verdicts) -> str:
    """Lay the verdicts out for a terminal, at most `WIDTH` columns wide."""
    rows = table(verdicts)
    columns = ["claim", "original", OURS, "decided by", "verdict"]
    widths = [max(len(name), rows[name].str.len().max()) for name in columns]

    def line(cells):
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    lines = [line(columns), line("-" * width for width in widths)]
    for _, row in rows.iterrows():
        margin = f"; margin {row['margin']}" if row["margin"] else ""
        lines.append(line(row[columns]))
        first = f". First runs: {row['first runs']}" if row["runs"] and row["first runs"] else ""
        tested = f"Claim: {row['statement']}. Tested on: {row['experiments']}{margin}{first}"
        for part in (tested, row["why"], row["remark"]):
            lines += textwrap.wrap(part, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)
        lines.append("")
    return typeset("\n".join(lines[:-1]))
