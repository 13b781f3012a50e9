"""Interactive figures: a cell of the confusion matrix shows images behind it, a dot of a strip chart its run.

Both are made of plain HTML, which a screen reader reads as what it is; style.css and script.js do the rest.
"""

import json
from math import floor, log10
from pathlib import Path

import numpy as np
import pandas as pd

from labhelpers.cifar10 import CLASS_NAMES, GROUPED, VEHICLES
from labhelpers.evaluation import percent
from labhelpers.study import human_labels, records, text
from labhelpers.study.experiments import experiment
from labhelpers.study.verdicts import Verdict, strips

MARGIN = 0.06  # of a strip's width, free at both ends


def matrix(counts: pd.DataFrame, examples: Path, of_cifar: bool) -> dict:
    """Return a confusion matrix as cells to be asked, vehicles before animals.

    Args:
        counts: columns `true`, `predicted` (names of classes) and `images`.
        examples: file that `output.save_examples` wrote.
        of_cifar: whether it is of the images that human annotators judged, too.

    Returns:
        `names` of the classes, how many are `vehicles`; `rows`, each a list of cells with `key`, `share` (0 to 1) and
        `label`; `data`, JSON: by key what is `said` of a cell, and its `images`; and `of_cifar`.
    """
    names = [CLASS_NAMES[label] for label in GROUPED]
    pairs = pd.MultiIndex.from_product([names, names])
    images = counts.set_index(["true", "predicted"])["images"].reindex(pairs, fill_value=0)
    matrix = images.to_numpy().reshape(len(names), len(names))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    behind = dict(list(pd.read_csv(examples).groupby(["true", "predicted"])))
    rows, data = [], {}
    for row, true in enumerate(GROUPED):
        cells = []
        for column, predicted in enumerate(GROUPED):
            key = f"{true}-{predicted}"
            label = _answered(true, predicted, matrix[row, column], shares[row, column])
            cells.append({"key": key, "share": float(shares[row, column]), "label": label})
            shown = behind[true, predicted].to_dict("records") if (true, predicted) in behind else []
            data[key] = {
                "said": f"{label}. {_by_humans(true, predicted) if of_cifar else ''}".strip(),
                "images": [_example(one, true, predicted) for one in shown],
            }
        rows.append(cells)
    told = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
    return {"names": names, "vehicles": len(VEHICLES), "rows": rows, "data": told, "of_cifar": of_cifar}


def _answered(true, predicted, images, share):
    name, of = CLASS_NAMES[true].capitalize(), f"{images:,} images, {percent(share)} of the class"
    return (
        f"{name} recognised: {of}"
        if true == predicted
        else f"{name} taken for {CLASS_NAMES[predicted]}: {of}"
    )


def _by_humans(true, predicted):
    said = human_labels.CONFUSION_MATRIX[true]
    share = percent(said[predicted] / said.sum())
    return f"Human annotators say {CLASS_NAMES[predicted]} in {share} of their answers to test images of this class."


def _example(row, true, predicted):
    return {
        "webp": row["webp"],
        "text": f"test image {row['image']}: {CLASS_NAMES[true]}, answered {CLASS_NAMES[predicted]}",
        "probability": f"{row['probability']:.0%} sure",
    }


def strip_charts(verdicts: list[Verdict]) -> list[dict]:
    """Return the strip chart of each verdict that rests on runs, for the page, where each run can be asked.

    Returns:
        For each: `claim`, `statement`, `verdict`, `unit`; `ticks` and `runs`, each with a place `at` and a `label`, a
        run also with what is `said` of it; `bar`, `band` and `rounded`, pairs of places; the places `mean` and `line`,
        and what the line is `against`. Places are in per cent of the width; without a number `band` and `rounded` are
        empty.
    """
    return [_chart(strip) for strip in strips(verdicts)]


def _chart(strip):
    claim, (start, end) = strip.verdict.claim, strip.span
    width = max(end - start, 1e-9)

    def at(number):
        return round(100 * (MARGIN + (1 - 2 * MARGIN) * (number - start) / width), 2)

    runs = records.read_all(experiment(strip.experiment))[0] if len(strip.dots) else []
    return {
        "claim": claim.id,
        "statement": text.statement(claim),
        "verdict": strip.verdict.outcome,
        "unit": strip.axis,
        "ticks": [{"at": at(tick), "label": f"{tick:g}"} for tick in _ticks(start, width)],
        "bar": tuple(map(at, strip.interval)),
        "band": [at(end) for end in strip.band or ()],
        "rounded": [at(end) for end in strip.rounded or ()],
        "mean": at(strip.mean),
        "ours": text.ours(strip.verdict),
        "line": at(strip.line),
        "against": text.compared_with(strip.verdict),
        "runs": [_run(run, at(dot)) for run, dot in zip(runs, strip.dots, strict=True)],
    }


def _run(record, at):
    label = f"{record.experiment.id}, seed {record.seed}: test accuracy {percent(record.accuracy)}"
    return {
        "at": at,
        "label": label,
        "said": f"{label}, test loss {record.loss:.3f}, best epoch {record.best_epoch} of {len(record.history['loss'])}; "
        f"record data/runs/{records.path_of(record.experiment, record.seed).name}",
    }


def _ticks(start, width):
    """Return three to seven round numbers within the span."""
    rough = width / 5
    power = 10 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = np.ceil(start / step), np.floor((start + width) / step)
    return [round(float(n * step), 10) + 0.0 for n in np.arange(first, last + 1)]  # + 0.0: no -0
