"""Tables have a row for each claim or step, for Markdown and for a terminal of 98 columns."""

import numpy as np
import pandas as pd
import pytest
from made_up import around, found, rates, runs, runs_dir  # noqa: F401

from labhelpers import cli
from labhelpers.study import tables, text, verdicts
from labhelpers.study.claims import BASE, LARGER, SHORTER


@pytest.fixture(scope="module")
def judged():
    return verdicts.judge(
        found(
            runs(BASE, around(0.60, 0.004, 10), loss=around(1.12, 0.004, 10)),
            runs(BASE, around(0.50, 0.004, 10), first=True),
            runs(LARGER, around(0.63, 0.004, 9)),
            *rates(0.01, val_loss=0.9),
            runs(SHORTER, around(0.64, 0.003, 5)),
        )
    )


def test_the_table_and_its_markdown_have_a_row_for_each_claim(judged):
    table = tables.table(judged)
    assert table["claim"].tolist() == [it.claim.id for it in judged]
    assert table["verdict"].tolist() == [it.outcome for it in judged]
    parts = {"decided by": text.decided_by, "why": text.why, "remark": text.remark}
    assert table[tables.OURS].tolist() == [text.ours(it.evidence) for it in judged]
    assert table.set_index("claim")["first runs"]["B3 accuracy"] == "50.0\u00a0% (49.7 to 50.3)"
    for name, write in parts.items():
        assert table[name].tolist() == list(map(write, judged)) and any(table[name])
    assert table.set_index("claim")["runs"][["L1", "A4"]].tolist() == ["9 of 20, 10 of 20", "10 of 20, 5"]
    heading, rule, *rows = tables.as_markdown(judged).replace("\u00a0", " ").splitlines()
    columns = (
        "claim | verdict | the original says | original | one run of ours | ours (95 % interval) | decided by | runs"
    )
    assert heading == f"| {columns} |"
    cells = (
        "the baseline has “an accuracy of 60%” | 60 % | 59.1 to 60.9 % | 60.0 % (59.7 to 60.3) | q = 0.868 | 10 of 20"
    )
    assert f"| B3 accuracy | **reproduced** | {cells} |" in rows
    assert rule == "|" + " --- |" * 8 and len(rows) == len(judged)


@pytest.mark.parametrize("recorded", [True, False])
def test_the_terminal_shows_every_claim_within_100_columns(recorded, judged):
    shown = judged if recorded else verdicts.judge(found())
    out = tables.as_text(shown)
    heading = out.splitlines()[0]
    assert max(map(len, out.splitlines())) <= tables.WIDTH < 100 and "nan" not in out and "inf" not in out
    for it, paragraph in zip(shown, out.split("\n", 2)[2].split("\n\n"), strict=True):
        row, *reasons = paragraph.splitlines()
        assert row.startswith(f"{it.claim.id}  ") and row.endswith(it.outcome)
        cells = {"original": it.claim.number_text, "ours": text.ours(it.evidence), "decided": text.decided_by(it)}
        assert all(row[heading.index(column) :].startswith(cell) for column, cell in cells.items())
        assert all(line.startswith(tables.INDENT) for line in reasons)
        margin = f"; margin {text.margin(it.claim)}" if it.claim.margin else ""
        statement = f"Claim: {it.claim.statement}. Tested on: {text.experiments(it)}{margin}"
        if text.number_of_runs(it) and text.ours(it.first):
            statement += f". First runs: {text.ours(it.first)}"
        assert " ".join(line.strip() for line in reasons) == f"{statement} {text.why(it)} {text.remark(it)}".strip()


def test_the_command_prints_the_table(runs_dir, capsys):  # noqa: F811
    assert cli.main(["verdicts"]) == 0
    assert capsys.readouterr() == (tables.as_text(verdicts.judge(found())) + "\n", "")


def test_improvements_have_a_row_for_each_step():
    names = ["step", "change", "runs", "accuracy", "low", "high", "gain", "minutes"]
    rows = [
        (0, "a", 3, 0.62, 0.554, 0.686, np.nan, 2.0),
        (1, "b", 2, 0.81, np.nan, np.nan, 0.19, 4.04),
        (3, "c", 1, 0.8, np.nan, np.nan, -0.01, 1.0),
    ]
    table = tables.improvements_as_markdown(pd.DataFrame(rows, columns=names))
    assert table.replace("\u00a0", " ").splitlines() == [
        "| step | change | test accuracy (95 % interval) | gain | runs | minutes on two cores |",
        "| --- | --- | --- | --- | --- | --- |",
        "| 1 | a | 62.0 % (55.4 to 68.6) |  | 3 | 2.0 |",
        "| 2 | b | 81.0 % | +19.0 | 2 | 4.0 |",
        "| 4 | c | 80.0 % | −1.0 | 1 | 1.0 |",
    ]
