"""Interactive figures: a cell of the confusion matrix shows its images, a dot of a strip chart its run.

Both are plain HTML, which a screen reader can read; style.css and script.js do the rest.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from labhelpers.cifar10 import CLASS_NAMES, GROUPED, VEHICLES
from labhelpers.evaluation import percent, typeset
from labhelpers.study import human_labels, records, text
from labhelpers.study.experiments import experiment
from labhelpers.study.verdicts import Strip

MARGIN = 0.06  # of a strip's width, free at both ends


def matrix(counts: pd.DataFrame, examples: Path, of_cifar: bool) -> dict:
    """Return a confusion matrix as the template needs it, vehicles before animals.

    Args:
        counts: columns `true`, `predicted` (names of classes) and `images`.
        examples: file that `output.save_examples` wrote.
        of_cifar: whether it is of CIFAR-10, the images that human annotators judged.

    Returns:
        `rows` of cells with `key`, `share` (0 to 1) and `label`; `data`, JSON: the `description` and the `images` of
        each key; `names` of the classes, how many are `vehicles`, and `of_cifar`.
    """
    names = [CLASS_NAMES[label] for label in GROUPED]
    pairs = pd.MultiIndex.from_product([names, names])
    images = counts.set_index(["true", "predicted"])["images"].reindex(pairs, fill_value=0)
    matrix = images.to_numpy().reshape(len(names), len(names))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    by_cell = dict(list(pd.read_csv(examples).groupby(["true", "predicted"])))
    rows, data = [], {}
    for i, true in enumerate(GROUPED):
        cells = []
        for j, predicted in enumerate(GROUPED):
            key, share = f"{true}-{predicted}", float(shares[i, j])
            verb = "recognised" if true == predicted else f"taken for {CLASS_NAMES[predicted]}"
            size = f"{matrix[i, j]:,} image{'s' * int(matrix[i, j] != 1)}, {percent(share)} of the class"
            label = f"{CLASS_NAMES[true].capitalize()} {verb}: {size}"
            cells.append({"key": key, "share": share, "label": label})
            shown = by_cell[true, predicted].itertuples() if (true, predicted) in by_cell else []
            classes = f"{CLASS_NAMES[true]}, answered {CLASS_NAMES[predicted]}"
            data[key] = {
                "description": f"{label}.{_human_answers(true, predicted) if of_cifar else ''}",
                "images": [
                    {"webp": row.webp, "text": f"test image {row.image}: {classes}, {_sure(row.probability)}"}
                    for row in shown
                ],
            }
        rows.append(cells)
    json_data = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
    return {"names": names, "vehicles": len(VEHICLES), "rows": rows, "data": json_data, "of_cifar": of_cifar}


def _sure(probability):
    return typeset(f"{100 * probability:.0f} % sure")


def _human_answers(true, predicted):
    answers = human_labels.CONFUSION_MATRIX[true]
    share = percent(answers[predicted] / answers.sum())
    return f" Human annotators say {CLASS_NAMES[predicted]} in {share} of their answers to test images of this class."


def strip_chart(strip: Strip) -> dict:
    """Return the strip chart of a verdict that rests on runs, as the template needs it.

    Places, such as `at` of ticks and runs, are in per cent of the width; claims without a number have no `band` and
    no `rounded`.
    """
    claim, (start, end) = strip.verdict.claim, strip.span
    end = max(end, start + 1e-9)
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(start, end)

    def at(number):
        return round(100 * (MARGIN + (1 - 2 * MARGIN) * (number - start) / (end - start)), 2)

    by_seed = {record.seed: record for record in strip.verdict.records[claim.experiments[0]]}
    measure = strip.verdict.evidence.shown

    def run(seed, number):
        told = f"{measure.name} {measure.write(number / measure.scale)}"
        return {"at": at(number), "description": _description(by_seed[seed], told)}

    return {
        "claim": claim.id,
        "unit": strip.axis + _of_what(strip.verdict.evidence),
        "ticks": [{"at": at(tick), "label": typeset(f"{tick:g}")} for tick in ticks if start <= tick <= end],
        "bar": [at(end) for end in strip.interval],
        "band": [at(end) for end in strip.band or ()],
        "rounded": [at(end) for end in strip.rounded or ()],
        "mean": at(strip.mean),
        "ours": text.ours(strip.verdict.evidence),
        "lines": [{"at": at(line), "label": _label(claim, line)} for line in strip.lines],
        "against": text.compared_with(strip.verdict),
        "runs": sorted((run(*dot) for dot in strip.dots.items()), key=lambda run: run["at"]),
    }


def _of_what(evidence):
    """Say which two experiments a difference is between."""
    labels = [experiment(id).label for id in evidence.measured]
    if len(labels) != 2 or evidence.claim.number is not None:
        return ""
    return f": {' minus '.join(reversed(labels) if evidence.best else labels)}"


def _label(claim, line):
    """Say what a dashed line is."""
    if claim.number is not None:
        return "original"
    return "margin" if line else "no difference"


def _description(record, told):
    numbers = (told, f"test accuracy {percent(record.accuracy)}", f"test loss {record.loss:.3f}")
    epochs = f"best epoch {record.best_epoch} of {len(record.history['loss'])}"
    file = records.path_of(record.experiment, record.seed).name
    run = f"{record.experiment.id}, seed {record.seed}"
    return f"{run}: {', '.join(dict.fromkeys(numbers))}, {epochs}; record data/runs/{file}"
