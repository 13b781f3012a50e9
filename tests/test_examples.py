"""The examples in docstrings run, and give what they show."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["training", "models", "airbench"])
def test_examples_give_what_they_show(name, monkeypatch):
    monkeypatch.delenv("LAB_PROGRESS", raising=False)
    module = importlib.import_module(f"labhelpers.{name}")
    failed, attempted = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert attempted and not failed
