"""The interactive figures of the page, as data; how they behave in a browser is in test_notebooks.py."""

import json

import numpy as np
import pandas as pd

from labhelpers.data import CLASS_NAMES
from labhelpers.evaluation import typeset
from labhelpers.reporting import interactive
from labhelpers.study import human_labels, verdicts


def test_matrix_groups_classes_and_has_human_answers(tmp_path):
    pairs = [(true, predicted) for true in CLASS_NAMES for predicted in CLASS_NAMES]
    counts = pd.DataFrame(pairs, columns=["true", "predicted"]).assign(images=0)
    counts.loc[counts["true"] == "cat", "images"] = [0, 0, 0, 1, 0, 3, 0, 0, 0, 0]
    example = {"true": [3], "predicted": [5], "image": [17], "probability": [0.914], "webp": ["UklG"]}
    pd.DataFrame(example).to_csv(tmp_path / "examples.csv", index=False)
    matrix = interactive.matrix(counts, tmp_path / "examples.csv", of_cifar=True)
    names = matrix["names"]
    assert names[: matrix["vehicles"]] == ["airplane", "automobile", "ship", "truck"]
    cell = matrix["rows"][names.index("cat")][names.index("dog")]
    assert cell["share"] == 0.75 and cell["label"] == typeset("Cat taken for dog: 3 images, 75.0 % of the class")
    assert matrix["rows"][names.index("cat")][names.index("cat")]["label"].startswith("Cat recognised: 1 image, ")
    shown = json.loads(matrix["data"])[cell["key"]]
    share = human_labels.CONFUSION_MATRIX[3, 5] / human_labels.CONFUSION_MATRIX[3].sum()
    humans = f"Human annotators say dog in {100 * share:.1f} % of their answers to test images of this class."
    assert shown["description"] == typeset(f"{cell['label']}. {humans}")
    assert shown["images"] == [{"webp": "UklG", "text": typeset("test image 17: cat, answered dog, 91 % sure")}]
    elsewhere = interactive.matrix(counts, tmp_path / "examples.csv", of_cifar=False)
    assert "annotators" not in elsewhere["data"], "they judged CIFAR-10"


def test_strip_charts_show_what_the_figures_draw():
    judged, _ = verdicts.verdicts()
    charts = [interactive.strip_chart(strip) for strip in verdicts.strips(judged)]
    by_claim = {verdict.claim.id: verdict for verdict in judged}
    based_on_runs = [
        id for id, verdict in by_claim.items() if verdict.evidence.prediction or verdict.evidence.difference
    ]
    assert [chart["claim"] for chart in charts] == based_on_runs and len(charts) > 5
    units = dict.fromkeys(("B3 accuracy", "L1", "A2"), "test accuracy (%)")
    units |= {"B3 loss": "test loss (nats per image)", "B4 vehicles": "accuracy on vehicles minus animals (points)"}
    rates = "deeper, 40,000 images, Adam at 0.0003 minus deeper, 40,000 images"
    units["A4"] = f"difference in test accuracy (points): {rates}"
    for chart in charts:
        verdict = by_claim[chart["claim"]]
        runs = verdict.evidence.pairs
        runs = verdict.evidence.measured[verdict.claim.experiments[0]] if runs is None else runs
        places = [run["at"] for run in chart["runs"]]
        assert not places or np.ptp(runs) == 0 or np.corrcoef(places, sorted(runs))[0, 1] > 0.999
        lines = [line["at"] for line in chart["lines"]]
        assert all(0 < place < 100 for place in [*places, *chart["bar"], *chart["band"], *lines])
        compared = "original" if verdict.evidence.prediction else "margin" if verdict.evidence.null else "no difference"
        assert {line["label"] for line in chart["lines"]} == {compared}
        assert 2 <= len(chart["ticks"]) <= 8
        assert chart["unit"] == units.get(chart["claim"], chart["unit"])
        if verdict.outcome == verdicts.REPRODUCED and verdict.evidence.prediction:  # the two are seen to overlap
            assert chart["rounded"][0] <= chart["band"][1] and chart["band"][0] <= chart["rounded"][1]
