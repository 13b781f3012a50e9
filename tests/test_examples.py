"""The examples in docstrings run, and give what they show."""

import doctest
import functools
import importlib
import re
from pathlib import Path

import pytest

from labhelpers import standin

MODULES = ["training", "models", "airbench", "data", "evaluation", "plots", "exercises"]


@pytest.fixture(scope="module")
def drawn_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "draw", functools.cache(standin.draw))
        yield


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name, drawn_once, monkeypatch):
    monkeypatch.delenv("LAB_PROGRESS", raising=False)
    monkeypatch.setenv("LAB_DATA", "standin")
    module = importlib.import_module(f"labhelpers.{name}")
    names = {"models": importlib.import_module("labhelpers.models")}  # as in the notebooks
    failed, attempted = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS)
    assert attempted and not failed


def test_the_example_in_the_readme_runs(drawn_once, monkeypatch, capsys):
    monkeypatch.setenv("LAB_DATA", "standin")
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.+?)```", readme, re.DOTALL)
    names = {}
    exec(code.replace("20_000", "500").replace("epochs=10", "epochs=1"), names)
    assert names["result"].accuracy > 0.1
    assert capsys.readouterr().out.endswith(f"{names['result'].accuracy} {names['result'].interval}\n")
