"""`lab doctor`: each check passes here, and says what to do where something is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labhelpers import doctor, machine, paths
from labhelpers.errors import LabError

FAULTY_TENSORFLOW = "import os, signal\nos.kill(os.getpid(), signal.{})\n"


def findings(capsys):
    """The lines of the checks, by name: whether all is good, and the text."""
    faulty = doctor.doctor()
    lines = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()]
    found = {name.rstrip(":"): (mark == "good", text) for mark, name, text in lines}
    assert faulty == [name for name, (good, _) in found.items() if not good]
    return found


def test_here_all_is_good_but_perhaps_the_data(capsys):
    found = findings(capsys)
    assert len(found) == 11 and all(good for name, (good, _) in found.items() if name != "data")
    assert "TensorFlow 2." in found["tensorflow"][1] and "as in requirements.lock" in found["packages"][1]


@pytest.mark.parametrize(
    ("check", "variables", "files", "line"),
    [
        (
            "cores",
            {"LAB_THREADS": "4"},
            {"cpu.max": "200000 100000"},
            "4 threads would share 2 cores: set LAB_THREADS=2",
        ),
        (
            "cores",
            {"LAB_THREADS": "all"},
            {},
            "LAB_THREADS is 'all': set it to a whole number of at least 1, or unset it",
        ),
        (
            "memory",
            {},
            {"memory.max": "1200000000", "memory.current": "200000000"},
            "1.0 GB free, and a notebook takes up to 1.5: close other programs",
        ),
        (
            "data",
            {"LAB_DATA": ""},
            {},
            "not on this machine: lab data downloads it (170 MB), or name a copy with LAB_DATA",
        ),
        ("variables", {"LAB_DATEN": "x"}, {}, "LAB_DATEN has no meaning here: unset it, or choose from "),
        (
            "variables",
            {"LAB_OUT": "."},
            {"mine.txt": ""},
            "is not marked as a folder for results, and its files might be replaced: ",
        ),
        (
            "packages",
            {},
            {"requirements.lock": "numpy==1.0 \\\nnot-there==1.0\n"},
            "numpy of another version; not-there missing: ",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(check, variables, files, line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(paths, "project", lambda: tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LabError) as caught:
        getattr(doctor, check)()
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("raise ImportError('DLL load failed\\n\\nfor help, ask on the web')", "DLL load failed"),
        pytest.param(
            FAULTY_TENSORFLOW.format("SIGILL"),
            "an instruction that this processor",
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal"),
        ),
    ],
)
def test_tensorflow_that_does_not_load_is_reported_with_the_cause(content, words, monkeypatch, tmp_path):
    (tmp_path / "tensorflow.py").write_text(content)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    with pytest.raises(LabError, match=words) as caught:
        doctor.tensorflow()
    assert "run lab doctor" not in str(caught.value), "it is what they ran"


def doctor_says(folder, **variables):
    kept = {"LAB_DATA": "standin", "PYTHONPATH": str(Path(doctor.__file__).parents[1])}
    command = [sys.executable, "-m", "labhelpers", "doctor"]  # this way, Python looks for modules in the current folder
    done = subprocess.run(command, cwd=folder, env=os.environ | kept | variables, capture_output=True, text=True)
    assert done.returncode == 2, done
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("name", ["numpy", "random"])
def test_file_that_takes_the_place_of_a_module_is_named(name, tmp_path):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('an exercise of last week')")
    lines, line = doctor_says(tmp_path)
    assert lines == [f"FIX   modules: {name} is taken from {tmp_path / name}.py: rename it"]
    assert line == "lab: 1 to fix, see above: modules\n"


def test_packages_of_another_python_are_named(tmp_path):
    for name in ("numpy", "pandas", "mine"):
        (tmp_path / "old" / name).mkdir(parents=True)
        (tmp_path / "old" / name / "__init__.py").write_text("raise ImportError('compiled for Python 3.8')")
    places = os.pathsep.join([str(tmp_path / "gone"), str(tmp_path / "old"), str(Path(doctor.__file__).parents[1])])
    lines, _ = doctor_says(tmp_path, PYTHONPATH=places)
    found = tmp_path / "old" / "numpy" / "__init__.py"
    assert lines == [f"FIX   modules: numpy is taken from {found}: unset PYTHONPATH"]


@pytest.mark.filterwarnings("error")
def test_a_home_that_cannot_be_written_needs_no_fix(monkeypatch):
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.delenv("IPYTHONDIR", raising=False)
    assert doctor.kernel() == f"python3 is {sys.executable}"


def test_settings_of_other_courses_are_named(monkeypatch, tmp_path):
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first", "floatx": "float32"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    text = doctor.settings()
    assert "keras.json (image_data_format: channels_first)" in text and "floatx" not in text
