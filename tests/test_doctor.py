"""`lab doctor`: each check passes here, and says what to do where something is wrong."""

import os
import sys

import pytest

from labhelpers import doctor, machine
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
    assert len(found) == 10 and all(good for name, (good, _) in found.items() if name != "data")
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
    monkeypatch.setattr(doctor.paths, "project", lambda: tmp_path)
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
    with pytest.raises(LabError, match=words):
        doctor.tensorflow()


def test_settings_of_other_courses_are_named(monkeypatch, tmp_path):
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first", "floatx": "float32"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    text = doctor.settings()
    assert "keras.json (image_data_format: channels_first)" in text and "floatx" not in text
