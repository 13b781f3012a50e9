"""The parameters of a notebook: `EPOCHS = 10  # passes over the training images (1 to 1000)`, and values given for them."""

import ast
import difflib
import linecache
import math
import re
import textwrap
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from labhelpers import usage
from labhelpers.errors import LabError

NUMBER = r"([-+]?[\d_]*\.?\d+(?:e[-+]?\d+)?)"
RANGE = re.compile(rf"\({NUMBER} to {NUMBER}\)")
INJECTED = "# Parameters\n"  # how the cell that papermill inserts begins
KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}


@dataclass(frozen=True)
class Parameter:
    """A parameter as its line declares it; `kind` is a key of `KINDS`, both limits are None if there is no range."""

    name: str
    default: Any
    kind: type
    low: float | None
    high: float | None

    def parse(self, text: str):
        """Return `text` as a value of this kind; raise a `LabError` if it is none, or out of range."""
        try:
            value: Any = text if self.kind is str else ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            value = text
        self.check(value, text)
        return self.kind(value)

    def check(self, value: Any, shown: str | None = None) -> None:
        """Raise a `LabError` if a value is of another kind, or out of range; it says `shown` instead of the value."""
        if type(value) in (bool, str) or self.kind in (bool, str):
            fits = type(value) is self.kind
        else:  # Integral and Real also accept NumPy's numbers
            real = self.kind is float and isinstance(value, Real) and math.isfinite(value)
            fits = isinstance(value, Integral) or real
        in_range = self.low is None or self.high is None or (fits and self.low <= value <= self.high)
        if not (fits and in_range):
            kind = "" if fits else f" {KINDS[self.kind]}"
            limits = "" if self.low is None else f" from {self.low} to {self.high}"
            shown = textwrap.shorten(shown or repr(value), 200, placeholder=" …")
            raise LabError(f"{self.name}={shown}: must be{kind}{limits}")


def declared(source: str, limited: bool = False) -> dict[str, Parameter]:
    """Return the parameters that lines of code declare, by name.

    A range of whole numbers in the comment, such as `(1 to 9)`, means a whole number, one such as `(0.0 to 1.0)` a
    number, `(True or False)` a bool. Without any of them a parameter is of its default's kind.

    Args:
        source: of a cell.
        limited: count only names in capitals whose comment limits their values (a text needs no range), so that other
            assignments may change as they like.
    """
    found = {}
    for line in source.splitlines():
        try:
            statements = ast.parse(line).body
        except (SyntaxError, ValueError):  # such as a magic command
            continue
        match statements:
            case [ast.Assign([ast.Name(name)], value)] | [ast.AnnAssign(ast.Name(name), _, ast.expr() as value)]:
                comment = line.encode()[value.end_col_offset :].decode()
            case _:
                continue
        try:
            default = ast.literal_eval(value)
        except ValueError:
            default = ast.unparse(value)  # such as 2 * 10
        kind, low, high = bool if "(True or False)" in comment else type(default), None, None
        if limits := RANGE.findall(comment):
            low, high = (float(text) if set(text) & set(".e") else int(text) for text in limits[-1])
            kind = int if isinstance(low, int) and isinstance(high, int) else float
        is_limited = name.isupper() and "#" in comment and (low is not None or kind in (bool, str))
        if kind in KINDS and (is_limited or not limited):
            found[name] = Parameter(name, default, kind, low, high)
    return found


def check_parameters() -> None:
    """Check the values of a notebook's parameters, whoever set them: the notebook itself, papermill, or a person.

    It is called in the cell after the parameters. What values they may have is said by the comments in the cells that
    this kernel has run, the last one for each name; a cell that papermill inserts has none.

    Raises:
        LabError: a value is of another kind than declared, or out of its range; papermill set a name that is not
            declared; or no cell declares a parameter with its range.
    """
    shell = usage.shell()
    if shell is None:
        return
    # IPython keeps the cells' sources in its history, in order, but not what nbval runs; that is only where tracebacks
    # find it. Its entries there have no time of a file.
    cached = ["".join(entry[2]) for entry in linecache.cache.values() if len(entry) == 4 and entry[1] is None]
    cells = shell.history_manager.input_hist_raw
    parameters: dict[str, Parameter] = {}
    for source in [*cached, *cells]:
        parameters |= declared(source, limited=True)
    if not parameters:
        line = "EPOCHS = 10  # passes over the images (1 to 1000)"
        raise LabError(f"no cell that has run declares a parameter with its range, as in {line}: run or add that cell")
    before = cells[-2] if len(cells) > 1 else ""
    # Only the cell before this one, since others that begin alike may be a student's own.
    for name in re.findall(r"^(\w+) = ", before, re.MULTILINE) if before.startswith(INJECTED) else []:
        if name not in parameters and not name.startswith("PAPERMILL_"):  # the paths that papermill itself adds
            close = difflib.get_close_matches(name.upper(), parameters, 1) or sorted(parameters)
            raise LabError(f"this notebook has no parameter {name}: use {' or '.join(close)}")
    for name in parameters.keys() & shell.user_ns.keys():
        parameters[name].check(shell.user_ns[name])
