"""The page: what stands in it, and that it holds together; how it looks and answers is in test_notebooks.py."""

import base64
import json
import re
from collections import Counter

import matplotlib.image
import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labhelpers.data import CLASS_NAMES
from labhelpers.evaluation import percent
from labhelpers.paths import project
from labhelpers.reporting import answers, captions, findings, notebooks, page
from labhelpers.study import claims, ladder, people, records, wording

NUMBERS = "epoch,loss,val_loss\n1,2.5,2.4\n2,1.5,1.75\n3,1.0,1.9\n"


@pytest.fixture
def report(tmp_path, monkeypatch):
    """A function that makes a page of one notebook that draws figures, as if it had run; returns its HTML."""

    def made(*names, prose="", name="CIFAR-10", settings=None):
        (tmp_path / "figures").mkdir()
        (tmp_path / "notebooks").mkdir()
        cells = [
            new_markdown_cell("# 1. A title\n\n" + prose),
            new_code_cell("SEED = 3  # a seed (0 to 9)", metadata={"tags": ["parameters"]}),
            new_markdown_cell("## Data & look"),
            new_code_cell("cifar = load()"),
        ]
        for figure in names:
            matplotlib.image.imsave(tmp_path / f"figures/{figure}.png", np.zeros((20, 30, 3)))
            (tmp_path / f"figures/{figure}.csv").write_text(NUMBERS)
            png = base64.b64encode((tmp_path / f"figures/{figure}.png").read_bytes()).decode()
            shown = new_output("display_data", {"image/png": png})
            cells.append(new_code_cell(f'plots.save_figure(fig, "{figure}", rows)', outputs=[shown]))
        path = tmp_path / "notebooks" / "01_first.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        monkeypatch.setattr(notebooks, "notebook_paths", lambda: [path])
        run = {
            "cifar": {"name": name, "digest": "abcdef0123456"},
            "seconds": 4.2,
            "ended": "2026-01-01T00:00:00Z",
        }
        run |= {"versions": {"tensorflow": "2.99", "keras": "3.99"}, "parameters": settings or {}}
        run |= {"fingerprint": {"code": ""}, "files": {"figures/my_own.png": ""}}
        (tmp_path / "run.json").write_text(json.dumps({"notebooks": {"01_first": run}}))
        return page.write(tmp_path).read_text(encoding="utf-8")

    return made


def test_figures_are_numbered_and_referred_to(report):
    text = report(
        "figure2_baseline_losses", "my_own", prose="See `my_own`, then `figure2_baseline_losses` and `load`."
    )
    assert re.findall(r"<b>Figure (\d)\.</b>", text) == ["1", "2"]
    assert '<a href="#figure-my_own">Figure 2</a>' in text and "<code>load</code>" in text
    assert '<a href="#figure-figure2_baseline_losses">Figure 1</a>' in text


def test_figure_comes_with_words_numbers_and_provenance(report):
    text = report("figure2_baseline_losses", "my_own", settings={"SEED": 7})
    assert "validation loss from 2.40 to 1.90; it is smallest, 1.75, after epoch 2." in text
    assert 'alt="A figure: My own."' in text, "one without a caption is called by its name"
    held = re.search(r'download="my_own.csv" href="data:text/csv;base64,([^"]*)"', text).group(1)
    assert base64.b64decode(held).decode() == NUMBERS
    assert (
        "01_first.ipynb with SEED = 7; CIFAR-10 abcdef01; TensorFlow 2.99, Keras 3.99; 4 s, ended 2026"
        in text
    )
    assert 'width="30"' in text and 'height="20"' in text, "nothing moves while it loads"


def test_headings_are_in_order_and_ids_differ(report):
    text = report("figure2_baseline_losses", prose="### A, too deep\n\n## B")
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert levels[:3] == [1, 2, 2] and min(levels[1:]) == 2
    ids = Counter(re.findall(r' id="([^"]+)"', text))
    assert max(ids.values()) == 1
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_claim_leads_to_its_chart(report):
    text = report("verdicts")
    led = set(re.findall('href="#verdict-([^"]+)"', text))
    assert led and led == set(re.findall('id="verdict-([^"]+)"', text))
    assert led == {strip["claim"].replace(" ", "-") for strip in answers.strips(claims.verdicts()[0])}


def test_a_record_that_cannot_be_used_is_told_when_the_page_is_made(report, monkeypatch, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/baseline-20000-seed1.json").write_text("{")
    monkeypatch.setattr(records, "runs_dir", lambda: tmp_path / "runs")
    report("my_own")
    told = capsys.readouterr().err
    assert told.startswith("WARNING: baseline-20000-seed1.json is damaged: restore it with git")


def test_stand_in_images_are_told_loudly(report):
    assert "nothing here is a result on CIFAR-10" in report("my_own", name="stand-in images")


@pytest.mark.parametrize("settings", [{}, {"SEED": 7}])
def test_other_settings_are_told(report, settings):
    assert ("other settings than the notebook" in report("my_own", settings=settings)) == bool(settings)


def test_asks_nothing_of_any_other_address(report):
    text = report("my_own")
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_abstract_and_verdicts_are_of_the_records():
    verdicts, _ = claims.verdicts()
    said = " ".join(findings.abstract(verdicts))
    counts = Counter(it.verdict for it in verdicts)
    assert all(f"{n} {verdict}" in said for verdict, n in counts.items())
    tested = [it for it in verdicts if it.claim.measure == "accuracy" and it.claim.number and it.estimate]
    for it in tested:
        value, interval = wording.ours(it)[:-1].split(" (")
        assert f"is right on {value} (95 % interval {interval}; " in said
        assert f"where the original has {wording.original(it.claim)}" in said
    assert "The claims are tested on" in said
    top = ladder.summary(ladder.runs()).iloc[-1]
    assert f"is right on {percent(top['accuracy'])} (" in said and "one person on 95.2 %" in said
    assert [row["verdict"] for row in findings.rows(verdicts)] == [it.verdict for it in verdicts]


def test_abstract_without_any_record():
    said = " ".join(findings.abstract(claims.judge({arm.name: [] for arm in claims.ARMS})))
    assert "too few recorded runs" in said and "are tested on 0 recorded runs" in said


@pytest.mark.parametrize("name", captions.CAPTIONS)
def test_alt_text_of_a_figure_without_numbers(name):
    assert captions.of(name).alt(pd.DataFrame()) == captions.CAPTIONS[name].drawn


def test_alt_texts_read_the_committed_numbers():
    for path in (project() / "figures").glob("*.csv"):
        if path.stem in captions.CAPTIONS:
            alt = captions.of(path.stem).alt(pd.read_csv(path))
            assert alt.endswith(".") and "nan" not in alt


def test_matrix_groups_classes_and_tells_what_people_say(tmp_path):
    pairs = [(true, predicted) for true in CLASS_NAMES for predicted in CLASS_NAMES]
    counts = pd.DataFrame(pairs, columns=["true", "predicted"]).assign(images=0)
    counts.loc[counts["true"] == "cat", "images"] = [0, 0, 0, 1, 0, 3, 0, 0, 0, 0]
    behind = {"true": [3], "predicted": [5], "image": [17], "probability": [0.914], "webp": ["UklG"]}
    pd.DataFrame(behind).to_csv(tmp_path / "examples.csv", index=False)
    it = answers.matrix(counts, tmp_path / "examples.csv", of_cifar=True)
    assert it["names"][: it["vehicles"]] == ["airplane", "automobile", "ship", "truck"]
    row, column = it["names"].index("cat"), it["names"].index("dog")
    cell = it["rows"][row][column]
    assert cell["share"] == 0.75 and cell["label"] == "Cat taken for dog: 3 images, 75.0 % of the class"
    told = json.loads(it["data"])[cell["key"]]
    share = people.CONFUSION_MATRIX[3, 5] / people.CONFUSION_MATRIX[3].sum()
    assert told["said"].endswith(f"say dog in {100 * share:.1f} % of their answers.")
    assert told["images"] == [
        {"webp": "UklG", "text": "test image 17: cat, answered dog", "probability": "91% sure"}
    ]
    elsewhere = json.loads(answers.matrix(counts, tmp_path / "examples.csv", of_cifar=False)["data"])
    assert not any("People" in told["said"] for told in elsewhere.values()), "they judged CIFAR-10"


def test_strips_show_what_the_charts_draw():
    verdicts, _ = claims.verdicts()
    strips = answers.strips(verdicts)
    assert [strip["claim"] for strip in strips] == [
        it.claim.name for it in verdicts if it.measured and it.estimate is not None
    ]
    for strip in strips:
        it = next(it for it in verdicts if it.claim.name == strip["claim"])
        runs = it.measured[it.claim.arms[0]]
        places = [run["at"] for run in strip["runs"]]
        assert not places or np.corrcoef(places, runs)[0, 1] > 0.999
        assert all(0 < place < 100 for place in [*places, *strip["bar"], *strip["band"], strip["line"]])
        assert 2 <= len(strip["ticks"]) <= 8
        expected = {"B3 loss": "test loss (nats per image)"} | dict.fromkeys(
            ("B3 accuracy", "L1", "A2"), "test accuracy (%)"
        )
        assert strip["unit"] == expected.get(it.claim.name, "difference (points)")
        if it.verdict == claims.REPRODUCED and it.prediction:
            assert strip["rounded"][0] <= strip["band"][1] and strip["band"][0] <= strip["rounded"][1], (
                "what is reproduced is seen to be"
            )
