"""The `lab` command where it touches the terminal: help, data, errors."""

import os
import subprocess
import sys

import pytest

from labhelpers import cli
from labhelpers.reporting import notebooks


def lab(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "labhelpers", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )


def test_help_names_the_commands_without_starting_anything_slow():
    done = lab("--help")
    assert done.returncode == 0
    for command in ("data", "report", "study", "verdicts", "refresh", "check", "jupyter"):
        assert command in done.stdout
    slow = (
        "import sys; import labhelpers.cli; print({'tensorflow', 'numpy', 'matplotlib'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", slow], capture_output=True, text=True).stdout == "set()\n"


def test_unknown_command_is_refused():
    done = lab("reprot")
    assert done.returncode == 2 and "reprot" in done.stderr


def test_unknown_option_is_refused():
    done = lab("verdicts", "--verbose")
    assert done.returncode == 2 and "unrecognized arguments: --verbose" in done.stderr


def test_jupyter_hands_options_on(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(notebooks, "copy_for_student", lambda: tmp_path)
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setattr(os, "execv", lambda path, words: started.append(words[2:]))
    monkeypatch.setenv("LAB_OUT", "")
    cli.main(["jupyter", "--no-browser", "--port", "9999"])
    assert started == [["jupyter", "lab", "--no-browser", "--port", "9999"]]


def test_data_says_what_it_is():
    done = lab("data", "--data", "standin")
    assert done.returncode == 0 and done.stdout.startswith(
        "stand-in images drawn by labhelpers.standin\ndigest "
    )


def test_data_verifies_the_real_files(real_cifar):
    done = lab("data", "--verify", "--data", real_cifar.source)
    assert done.returncode == 0 and real_cifar.digest in done.stdout
    assert (
        len([line for line in done.stdout.splitlines() if "batch" in line and len(line.split()[0]) == 64])
        == 6
    )


@pytest.mark.parametrize("place", ["/nowhere/at/all", "/dev/null"])
def test_data_errors_are_one_line(place):
    done = lab("data", LAB_DATA=place)
    assert done.returncode == 2 and done.stderr.startswith("lab: ") and done.stderr.count("\n") == 1
