"""Save the project's numbers, and compare them later: a change of words or structure may change no digit.

    python tests/golden.py save FOLDER      # before: `lab verdicts`, the CSVs in figures/, the tables in README.md
    python tests/golden.py compare FOLDER   # after each step; exits with 1 if a number differs

Numbers are compared by their position in each line or row. Words, column titles and the names of figures may change.
"""

import csv
import re
import shutil
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[1]
RENAMED = {"improvements": "ladder"}  # figure names, new: old
# A minus counts as a sign only where a number can begin: not within "deeper-40000".
NUMBER = re.compile(r"(?:(?<![\w.)])[-−])?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, in order; 50,000 and 50000 are the same."""
    return [float(found.rstrip(",").replace(",", "").replace("−", "-")) for found in NUMBER.findall(text)]


def save(folder: Path) -> None:
    """Copy what is compared into a folder."""
    shutil.copytree(ROOT / "figures", folder / "figures", ignore=shutil.ignore_patterns("*.png"))
    shutil.copy(ROOT / "README.md", folder)
    command = [sys.executable, "-m", "labhelpers", "verdicts"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (folder / "verdicts.txt").write_text(told, encoding="utf-8")


def rows(folder: Path) -> dict[str, list[list[float]]]:
    """Return the numbers of each row of each table, titles left out; the lines of a verdict are one row."""
    found = {}
    for path in sorted((folder / "figures").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found[path.stem] = [numbers(" ".join(row)) for row in list(csv.reader(file))[1:]]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for number, table in enumerate(re.findall(r"(?:^\|.*\n)+", readme, re.M), 1):
        if "lab refresh" in readme[: readme.index(table)].splitlines()[-1]:
            found[f"README table {number}"] = [numbers(line) for line in table.splitlines()[2:]]
    paragraphs = (folder / "verdicts.txt").read_text(encoding="utf-8").split("\n", 2)[2].split("\n\n")
    return found | {"lab verdicts": [numbers(" ".join(text.split())) for text in paragraphs]}


def compare(folder: Path) -> list[str]:
    """Return a line for each row whose numbers differ from those saved."""
    now = folder / "now"
    shutil.rmtree(now, ignore_errors=True)
    now.mkdir()
    save(now)
    before, after = rows(folder), rows(now)
    renamed = {RENAMED.get(name, name): table for name, table in after.items()}
    differences = [
        f"{name}, row {number}: was {old}, is {new}"
        for name, table in before.items()
        for number, (old, new) in enumerate(zip_longest(table, renamed.get(name, [])), 1)
        if old != new
    ]
    return differences + [f"{name}: is new" for name in renamed if name not in before]


if __name__ == "__main__":
    action, target = sys.argv[1:]
    if action == "save":
        save(Path(target))
    else:
        found = compare(Path(target))
        print(*found or ["every number is as it was"], sep="\n")
        sys.exit(bool(found))
