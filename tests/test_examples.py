"""The examples in docstrings run, and give what they show."""

import doctest
import functools
import importlib

import pytest

from labhelpers import standin

MODULES = ["training", "models", "data", "evaluation", "plots", "exercises"]


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
    failed, attempted = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert attempted and not failed
