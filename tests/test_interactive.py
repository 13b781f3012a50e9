"""The interactive figures of the page, as data; how they answer in a browser is in test_notebooks.py."""

import json

import numpy as np
import pandas as pd

from labhelpers.data import CLASS_NAMES
from labhelpers.reporting import interactive
from labhelpers.study import human_labels, verdicts


def test_matrix_groups_classes_and_tells_what_humans_say(tmp_path):
    pairs = [(true, predicted) for true in CLASS_NAMES for predicted in CLASS_NAMES]
    counts = pd.DataFrame(pairs, columns=["true", "predicted"]).assign(images=0)
    counts.loc[counts["true"] == "cat", "images"] = [0, 0, 0, 1, 0, 3, 0, 0, 0, 0]
    behind = {"true": [3], "predicted": [5], "image": [17], "probability": [0.914], "webp": ["UklG"]}
    pd.DataFrame(behind).to_csv(tmp_path / "examples.csv", index=False)
    it = interactive.matrix(counts, tmp_path / "examples.csv", of_cifar=True)
    assert it["names"][: it["vehicles"]] == ["airplane", "automobile", "ship", "truck"]
    row, column = it["names"].index("cat"), it["names"].index("dog")
    cell = it["rows"][row][column]
    assert cell["share"] == 0.75 and cell["label"] == "Cat taken for dog: 3 images, 75.0 % of the class"
    told = json.loads(it["data"])[cell["key"]]
    share = human_labels.CONFUSION_MATRIX[3, 5] / human_labels.CONFUSION_MATRIX[3].sum()
    assert told["said"].endswith(
        f"say dog in {100 * share:.1f} % of their answers to test images of this class."
    )
    assert told["images"] == [
        {"webp": "UklG", "text": "test image 17: cat, answered dog", "probability": "91% sure"}
    ]
    elsewhere = json.loads(interactive.matrix(counts, tmp_path / "examples.csv", of_cifar=False)["data"])
    assert not any("annotators" in told["said"] for told in elsewhere.values()), "they judged CIFAR-10"


def test_strips_show_what_the_charts_draw():
    judged, _ = verdicts.verdicts()
    strips = interactive.strip_charts(judged)
    assert [strip["claim"] for strip in strips] == [
        it.claim.id for it in judged if it.evidence.prediction or it.evidence.difference
    ]
    for strip in strips:
        it = next(it for it in judged if it.claim.id == strip["claim"])
        runs = it.evidence.measured[it.claim.experiments[0]]
        places = [run["at"] for run in strip["runs"]]
        assert not places or np.corrcoef(places, runs)[0, 1] > 0.999
        assert all(0 < place < 100 for place in [*places, *strip["bar"], *strip["band"], strip["line"]])
        assert 2 <= len(strip["ticks"]) <= 8
        expected = {"B3 loss": "test loss (nats per image)"} | dict.fromkeys(
            ("B3 accuracy", "L1", "A2"), "test accuracy (%)"
        )
        assert strip["unit"] == expected.get(it.claim.id, "difference (points)")
        if it.outcome == verdicts.REPRODUCED and it.evidence.prediction:
            assert strip["rounded"][0] <= strip["band"][1] and strip["band"][0] <= strip["rounded"][1], (
                "what is reproduced is seen to be"
            )
