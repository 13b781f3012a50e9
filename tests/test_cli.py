"""The `lab` command where it touches the terminal: help, options, data; user errors are in test_faults.py."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_faults import needs_posix

import labhelpers
from labhelpers import cli
from labhelpers.reporting import notebooks

ROOT = Path(__file__).parents[1]


def lab(*arguments, python=(sys.executable,), **variables):
    command, env = [*python, "-m", "labhelpers", *arguments], os.environ | variables
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=env, cwd=ROOT)


def test_a_minus_sign_is_printed_in_the_c_locale():
    done = lab("verdicts", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0 and "−4.0 points" in done.stdout


def test_help_names_the_commands_without_starting_anything_slow():
    done = lab("--help")
    assert done.returncode == 0
    for command in ("data", "report", "study", "predict", "verdicts", "refresh", "check", "jupyter"):
        assert command in done.stdout
    code = "import sys; import labhelpers.cli; print({'tensorflow', 'numpy', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_unknown_commands_and_options_are_refused():
    for arguments, word in ((["reprot"], "reprot"), (["verdicts", "--verbose"], "arguments: --verbose")):
        done = lab(*arguments)
        assert done.returncode == 2 and word in done.stderr


def test_version_is_printed():
    assert lab("--version").stdout == f"lab {labhelpers.__version__}\n"


@pytest.mark.parametrize("command", ["verdicts", "report", "doctor", "check"])
def test_python_without_the_packages_is_told_what_to_do(command):
    done = lab(command, python=(sys.executable, "-S"))
    assert done.returncode == 2 and all(line.startswith("good") for line in done.stdout.splitlines())
    assert re.fullmatch(rf"lab: {re.escape(sys.executable)} lacks the package \w+: run make setup, .*\n", done.stderr)


@needs_posix
@pytest.mark.parametrize("command", ["doctor", "report"])
def test_current_folder_that_was_deleted_is_named(command, tmp_path):
    code = f"import os; os.rmdir(os.getcwd()); from labhelpers.cli import main; raise SystemExit(main(['{command}']))"
    options = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, **options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lab: the current folder was deleted: change to another one\n"


def test_jupyter_passes_options_on(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(notebooks, "copy_for_student", lambda: tmp_path)
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setattr(os, "execv", lambda path, words: started.append(words[2:]))
    monkeypatch.setenv("LAB_OUT", "")
    cli.main(["jupyter", "--no-browser", "--port", "9999"])
    assert started == [["jupyter", "lab", "--no-browser", "--port", "9999"]]
    assert os.environ["LAB_OUT"] == str(tmp_path / "results")


def test_data_says_what_it_is():
    assert lab("data", "--data", "standin").stdout.startswith("stand-in images drawn by labhelpers.standin\ndigest ")


def test_data_verifies_the_real_files(real_cifar):
    done = lab("data", "--data", real_cifar.source)
    assert done.returncode == 0 and f", verified\ndigest {real_cifar.digest}\n" in done.stdout
