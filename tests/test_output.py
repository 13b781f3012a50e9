"""What is saved: complete or not at all, the same bytes each time, with the numbers and words that belong to it."""

import base64
import contextlib
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from labhelpers import data, output
from labhelpers.errors import LabError
from labhelpers.reporting import notebooks

NUMBERS = pd.DataFrame({"class": ["chat, 'gris'", "chien"], "images": [1_000, 7], "share": [1 / 3, 1e-7]})


@pytest.fixture
def folder(tmp_path):
    """Where figures go: the folder `figures` of LAB_OUT, which the first one makes."""
    return tmp_path / "out" / "figures"


def _save(numbers=NUMBERS, **words):
    fig, ax = plt.subplots()
    ax.plot([2.0, 1.2, 0.9])
    output.save_figure(fig, "figure", numbers, **words)
    return fig


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("words", "caption", "alt"),
    [
        ({}, "Figure.", "Figure."),
        ({"caption": "Un café à 50 %."}, "Un café à 50 %.", "Un café à 50 %."),
        ({"caption": "Losses.", "alt": "A line that falls."}, "Losses.", "A line that falls."),
    ],
    ids=["no words", "a caption", "both"],
)
def test_picture_holds_its_numbers_and_words(words, caption, alt, folder):
    _save(**words)
    first = _contents(folder)
    assert set(first) == {"figure.png", "figure.csv"} and b"\r" not in first["figure.csv"]
    with Image.open(folder / "figure.png") as image:
        assert image.format == "PNG" and min(image.size) > 400
        assert set(image.info) == {"dpi", "numbers", "caption", "alt"}  # no versions, no times
        assert image.info["numbers"] == (folder / "figure.csv").read_text()
        assert (image.text["caption"], image.text["alt"]) == (caption, alt)
    _save(**words)
    assert _contents(folder) == first, "the same bytes each time"


@pytest.mark.slow
def test_output_of_a_notebook_shows_the_figure_once_and_carries_its_name():
    """What a kernel shows is asked of IPython itself, as Jupyter runs a cell."""
    code = """
import matplotlib.pyplot as plt
from labhelpers.output import save_figure
fig, ax = plt.subplots()
save_figure(fig, "mine", {"x": [1]}, caption="Mine.", alt="Nothing.")
print(plt.get_fignums())
"""
    notebook = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3").execute()
    shown, caption, printed = sorted(notebook.cells[0].outputs, key=lambda output: output.output_type)
    assert "image/png" in shown.data and printed.text == "[]\n"
    assert notebooks.noted(shown, "figure") == "mine" and shown.metadata["image/png"].alt == "Nothing."
    assert caption.data["text/markdown"] == "*Mine.*"
    cleaned = notebooks.clean(notebook)
    assert notebooks.figures(cleaned) == ["mine"]
    assert [notebooks.noted(output, "caption_of") for output in notebooks.outputs(cleaned)].count("mine") == 1


@pytest.mark.parametrize(
    "numbers",
    [
        NUMBERS.to_dict("list"),
        NUMBERS.to_dict("records"),
        NUMBERS.set_index(pd.Index([5, 3])),
        NUMBERS.set_index("class"),
    ],
    ids=["columns", "rows", "table with an index", "table with a named index"],
)
def test_numbers_may_be_whatever_makes_a_table(numbers, folder):
    output.save_table("figure", numbers)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "figure.csv"), NUMBERS, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "loaded, stamps, bbox",
    [
        ({"CIFAR-10"}, 0, "tight"),
        ({"CIFAR-10", "stand-in images"}, 1, "tight"),
        ({"stand-in images"}, 1, None),  # matplotlib's own setting
    ],
)
def test_figure_is_stamped_once_stand_in_images_were_loaded(loaded, stamps, bbox, monkeypatch, folder):
    with plt.rc_context({"savefig.bbox": bbox}):
        _save()
        plain = _contents(folder)
        monkeypatch.setattr(data, "loaded_names", loaded)
        assert len([text for text in _save().texts if "not CIFAR-10" in text.get_text()]) == stamps
    assert (_contents(folder)["figure.png"] != plain["figure.png"]) == bool(stamps)
    assert _contents(folder)["figure.csv"] == plain["figure.csv"]


@contextlib.contextmanager
def _files_end_at(size):
    """No file can grow beyond `size` bytes, as on a disk that fills up while one is written."""
    resource = pytest.importorskip("resource", reason="this system cannot limit the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("size", "name"), [(2_000, "figure.png"), (10, "figure.csv")])
def test_files_that_do_not_fit_are_an_error_and_leave_what_was_there(size, name, folder, tells):
    with _files_end_at(size), tells(LabError, folder / name, "LAB_OUT"):
        _save()
    assert _contents(folder) == {}
    _save()
    earlier = _contents(folder)
    with _files_end_at(size), pytest.raises(LabError):
        _save(NUMBERS * 2)
    assert _contents(folder) == earlier, "a figure keeps its own numbers"


def test_examples_are_the_first_images_of_each_cell(folder):
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    labels, probabilities = np.zeros(40, int), np.full((40, 10), 0.02)
    probabilities[:, 3] = 0.82
    probabilities[5] = probabilities[5, ::-1]  # answered with class 6
    output.save_examples("matrix", images, labels, probabilities)
    table = pd.read_csv(folder.parent / "examples" / "matrix.csv")
    assert table["predicted"].tolist() == [3] * output.PER_CELL + [6]
    assert table["image"].tolist() == [0, 1, 2, 3, 4, *range(6, output.PER_CELL + 1), 5]
    assert set(table["true"]) == {0} and set(table["probability"]) == {0.82}
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(table["webp"].iloc[-1]))).convert("RGB"))
    assert decoded.shape == (32, 32, 3)
    assert np.abs(decoded.mean(axis=(0, 1)) - images[5].mean(axis=(0, 1))).max() < 4
