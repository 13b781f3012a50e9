"""The page: what is in it, and that it holds together; how it looks and behaves is in test_notebooks.py."""

import base64
import json
import re
import sys
from collections import Counter

import matplotlib.pyplot as plt
import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labhelpers import cli, weights
from labhelpers.errors import LabError
from labhelpers.output import save_figure
from labhelpers.reporting import notebooks, page, pdf
from labhelpers.study import records, verdicts
from labhelpers.study.text import why

NUMBERS = {"epoch": [1, 2, 3], "loss": [2.5, 1.5, 1.0]}


@pytest.fixture
def report(tmp_path, monkeypatch):
    """A function that makes a page of one notebook with two figures, as if it had run; returns its HTML."""

    def make(prose="", name="CIFAR-10", settings=None, numbers=NUMBERS):
        monkeypatch.setenv("LAB_OUT", str(tmp_path))
        monkeypatch.setenv("LAB_USAGE", "as in lab report")
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        cells = [
            new_markdown_cell("# 1. A title\n\n" + prose),
            new_code_cell("SEED = 3  # a seed (0 to 9)", metadata={"tags": ["parameters"]}),
            new_markdown_cell("## Data & look"),
        ]
        for figure in ("figure2_losses", "my_own"):
            fig = plt.figure(figsize=(3, 2))
            save_figure(fig, figure, numbers, caption="50 % < all.", alt=f"The {figure}.")
            shown = new_output("display_data", {"image/png": ""}, metadata={"labhelpers": {"figure": figure}})
            caption = new_output("display_data", {"text/markdown": "*50\xa0% < all.*"})
            caption.metadata = {"labhelpers": {"caption_of": figure}}
            cells.append(new_code_cell("draw()", outputs=[shown, caption]))
        path = tmp_path / "notebooks" / "01_first.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        monkeypatch.setattr(notebooks, "notebook_paths", lambda: [path])
        run = {
            "cifar": {"name": name, "digest": "abcdef0123456"},
            "seconds": 4.2,
            "ended": "2026-01-01T00:00:00Z",
            "versions": {"tensorflow": "2.99", "keras": "3.99"},
            "parameters": settings or {},
            "key": {"code": "", "data": {name: ""}},
            "files": {"figures/my_own.png": ""},
        }
        (tmp_path / "run.json").write_text(json.dumps({"notebooks": {"01_first": run}}))
        return page.write(tmp_path).read_text(encoding="utf-8")

    return make


def test_figures_are_numbered_and_referred_to(report):
    text = report("See `my_own`, then `figure2_losses` and `load`.")
    assert re.findall(r"<b>Figure (\w+)\.</b>", text) == ["2", "S1"], "the original's keep its numbers"
    assert '<a href="#figure-my_own">Figure S1</a>' in text and "<code>load</code>" in text
    assert '<a href="#figure-figure2_losses">Figure 2</a>' in text


def test_figure_comes_with_words_numbers_and_provenance(report):
    text = report(settings={"SEED": 7})
    assert text.count("50\xa0% &lt; all.") == 2 and 'alt="The my_own."' in text
    held = re.search(r'download="my_own.csv" href="data:text/csv;base64,([^"]*)"', text).group(1)
    assert base64.b64decode(held).decode() == "epoch,loss\n1,2.5\n2,1.5\n3,1\n"
    made = "01_first.ipynb; SEED = 7; CIFAR-10 abcdef01; TensorFlow 2.99, Keras 3.99; <a"
    assert made in text and "other settings than the notebook" in text
    image = BeautifulSoup(text, "html.parser").find("img")
    assert 1.2 < int(image["width"]) / int(image["height"]) < 1.8, "nothing moves while it loads"


def test_headings_and_tables_are_in_order_with_their_words(report):
    text = report("### A, too deep\n\n## Cats & dogs, *a < b*\n\n| a | b |\n|---|---|\n| 1 | x & y |")
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert levels[:9] == [1] + [2] * 8 and min(levels[9:-2]) == 3 and levels[-2:] == [2, 2]
    ids = Counter(re.findall(r' id="([^"]+)"', text))
    assert max(ids.values()) == 1
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert "Cats &amp; dogs, <em>a &lt; b</em></h4>" in text and "<td>x &amp; y</td>" in text
    assert ">Cats &amp; dogs, a &lt; b</a>" in text, "the contents have the words alone"
    assert "<caption>Table S1. Cats &amp; dogs, a &lt; b</caption>" in text and 'aria-label="Table S1"' in text


def test_the_glossary_is_a_section_that_is_linked_to(report):
    text = report("Unknown word? See the [glossary](GLOSSARY.md).")
    assert '<a href="#GLOSSARY">glossary</a>' in text and '<h3 id="GLOSSARY">Glossary</h3>' in text
    assert 'href="#01_first">' in text, "it links to the notebooks that explain its words"


def test_a_claim_has_its_verdict_its_reason_and_if_it_rests_on_runs_their_strip(report):
    soup = BeautifulSoup(report(), "html.parser")
    judged = verdicts.verdicts()[0]
    with_runs = {strip.verdict.claim.id for strip in verdicts.strips(judged)}
    assert with_runs
    for it in judged:
        row = soup.find(id=f"verdict-{it.claim.id.replace(' ', '-')}")
        assert row.find(class_="verdict").get_text().endswith(it.outcome)
        assert " ".join(why(it).split()) in " ".join(row.find(class_="reason").get_text().split())
        assert bool(row.find(class_="strip")) == (it.claim.id in with_runs)


def test_the_result_comes_first_with_what_made_it(report):
    header = BeautifulSoup(report(), "html.parser").find("header")
    said = header.get_text(" ")
    assert "We ran everything again" in said and said.count("original 6") == 3
    assert "run on 2026-01-01" in said and "MIT licence" in said
    assert header.find("img") is None, "the improvements, whose notebook did not run"


def test_what_only_students_need_is_left_out(report):
    text = report("It **is**.\n\n**You will learn**\n\n- nothing\n\n## Your turn\n\nDo it.")
    assert "<strong>is</strong>" in text and "nothing\n" not in text and "Do it." not in text
    text = report("## Your turn\n\nDo it.\n\n## After\n\nStays.")
    assert "Stays." in text and "Do it." not in text and "Your turn" not in text
    assert "SEED = 3  #" not in text, "a cell that shows nothing"


def test_without_their_weights_no_networks_are_asked(report, monkeypatch, tmp_path):
    soup = BeautifulSoup(report(), "html.parser")
    assert soup.find(id="ask") and soup.find("a", href="#ask") and soup.find(id="networks-data")
    monkeypatch.setattr(weights, "path_of", lambda id, seed: tmp_path / f"{id}.npz")
    soup = BeautifulSoup(report(), "html.parser")
    assert not soup.find(id="ask") and not soup.find("a", href="#ask") and not soup.find(id="networks-data")


def test_record_that_cannot_be_used_is_reported(report, monkeypatch, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/baseline-20000-seed1.json").write_text("{")
    monkeypatch.setattr(records, "runs_dir", lambda: tmp_path / "runs")
    report()
    assert capsys.readouterr().err.startswith("WARNING: data/runs/baseline-20000-seed1.json is damaged: restore it")


def test_page_warns_of_stand_in_images_and_of_nothing_else_and_fetches_nothing(report):
    warning = "nothing here is a result on CIFAR-10"
    assert warning in report(name="stand-in images")
    usual = report()
    assert warning not in usual and "other settings than the notebook" not in usual
    assert "default-src &#39;none&#39;" in usual or "default-src 'none'" in usual
    assert not re.search(r'src="(?!data:)|<link|url\(', usual)


def test_without_a_browser_one_line_says_what_to_do_before_anything_runs(monkeypatch, capsys):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    monkeypatch.setattr(pdf, "PLACES", ())
    assert cli.main(["report", "--pdf"]) == 2
    line = "--pdf needs Chromium, Chrome or Edge, and none was found: print index.html from another browser"
    assert capsys.readouterr().err == f"lab: {line}\n"


def test_a_browser_that_prints_nothing_is_named(monkeypatch, tmp_path, tells):
    monkeypatch.setattr(pdf, "browser", lambda: sys.executable)
    with tells(LabError, f"{sys.executable} printed nothing: print {tmp_path / 'index.html'} from a browser"):
        pdf.write(tmp_path / "index.html")
    assert not list(tmp_path.iterdir())
