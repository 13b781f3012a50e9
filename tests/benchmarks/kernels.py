"""What each trick of labhelpers.kernels gains: an epoch without it over one with it. `make bench` runs this.

Each network trains on the first N_TRAIN images in batches of 32, one epoch to warm up and EPOCHS timed ones, in turn with
all tricks, without each one that it could use, and without any; ROUNDS times.
"""

import os
import statistics
import sys
from pathlib import Path

import training as benchmark

ROUNDS, EPOCHS = 1, 3
N_TRAIN = 4_000
NETWORKS = {"ladder-deeper": ("adam", "halves", "loop"), "ladder-three-blocks": ("batch_normalization", "gelu")}
TABLE = Path(__file__).with_suffix(".md")


def main():
    os.environ["LAB_PROGRESS"] = "0"
    from labhelpers import data, kernels, training
    from labhelpers.study.experiments import experiment

    split = data.load().split(N_TRAIN)
    seconds = {}
    for turn in range(ROUNDS):
        for id, tricks in NETWORKS.items():
            for without in (frozenset(), *(frozenset({trick}) for trick in tricks), kernels.ALL):
                print(f"round {turn + 1} of {ROUNDS}: {id} without {sorted(without)}", file=sys.stderr)
                kernels.used = kernels.ALL - without
                settings = {"validation_data": split.validation, "epochs": 1 + EPOCHS}
                history = training.fit(experiment(id).build(0), *split.train, **settings)
                seconds.setdefault((id, without), []).extend(history.seconds[1:])
    TABLE.write_text(table(seconds), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def table(seconds):
    """Return the results as Markdown, with the machine they hold for."""
    lines = [
        "# What each trick of labhelpers.kernels gains",
        "",
        f"Written by `make bench`: median (smallest to largest) of {ROUNDS * EPOCHS} epochs of {N_TRAIN:,} images, in turn.",
        f"{benchmark.machine()}.",
        "",
        "| network | without | seconds | gain |",
        "|---|---|---|---|",
    ]
    for (id, without), values in seconds.items():
        name = ", ".join(sorted(without)) if len(without) < 2 else "all of them"
        gain = statistics.median(values) / statistics.median(seconds[id, frozenset()])
        spread = f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
        lines.append(f"| {id} | {name or 'none'} | {spread} | {gain:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
