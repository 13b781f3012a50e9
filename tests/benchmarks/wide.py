"""Images a second for the widest network of the improvements: ours beside the same in PyTorch. `make bench` runs this.

Each contender trains three blocks of 64, 256 and 256 filters in batches of 500 with Nesterov's momentum, flips and shifts
included, in a process of its own: one epoch of N_TRAIN images to warm up, then EPOCHS timed ones. They take turns,
ROUNDS times.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import training

ROUNDS, EPOCHS = 2, 2
N_TRAIN, BATCH_SIZE = 5_000, 500
WIDTHS = (64, 256, 256)
TABLE = Path(__file__).with_suffix(".md")


def ours():
    """labhelpers.airbench.fit, in the precision that it chooses"""
    from labhelpers import airbench, backend, data, models

    x, y = data.load().split(N_TRAIN).train
    model = models.three_wide_blocks(dtype=backend.precision()[0])
    airbench.initialise(model, x)
    # Images are prepared an epoch ahead: the last one has none to prepare, so it does not count.
    settings = {"epochs": 2 + EPOCHS, "batch_size": BATCH_SIZE}
    history = airbench.fit(model, x, y, recipe=airbench.Recipe(whitening_epochs=0), **settings)
    return [N_TRAIN / seconds for seconds in history.seconds[1:-1]]


def torch_float32():
    """PyTorch, eager, channels_last, float32"""
    return torch_network("float32")


def torch_bfloat16():
    """PyTorch, eager, channels_last, bfloat16 by autocast"""
    return torch_network("bfloat16")


def torch_network(dtype):
    import torch
    from torch import nn

    def norm(filters):
        layer = nn.BatchNorm2d(filters)
        layer.weight.requires_grad_(False)  # ours has no scale
        return layer

    def block(before, after):
        return [
            *(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.MaxPool2d(2), norm(after), nn.GELU()),
            *(nn.Conv2d(after, after, 3, padding=1, bias=False), norm(after), nn.GELU()),
        ]

    first = nn.Conv2d(3, 24, 2)
    first.requires_grad_(False)  # its bias is, in the first epochs; neither contender does so here
    blocks = [layer for pair in zip((24, *WIDTHS), WIDTHS, strict=False) for layer in block(*pair)]
    end = [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(WIDTHS[-1], 10, bias=False)]
    model = nn.Sequential(first, nn.GELU(), *blocks, *end).to(memory_format=torch.channels_last)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1, momentum=0.85, nesterov=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.2)
    split = training.torch_split()
    images, labels = (
        training.normalised(split.train.images[:N_TRAIN]),
        torch.tensor(split.train.labels[:N_TRAIN]).long(),
    )

    def epoch():
        flipped = torch.where(torch.rand(N_TRAIN, 1, 1, 1) < 0.5, images.flip(-1), images)
        padded = nn.functional.pad(flipped, (2, 2, 2, 2), "reflect")
        for chosen in torch.randperm(N_TRAIN).split(BATCH_SIZE):
            down, right = torch.randint(5, (2,)).tolist()  # one shift a batch, which is less work than ours
            x = padded[chosen, :, down : down + 32, right : right + 32]
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                loss = criterion(model(x.contiguous(memory_format=torch.channels_last)), labels[chosen])
            loss.backward()
            optimizer.step()
            loss.item()

    epoch()
    rates = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        epoch()
        rates.append(N_TRAIN / (time.perf_counter() - started))
    return rates


def floor():
    """the arithmetic alone, at the machine's measured matrix-product rate in our precision"""
    from labhelpers import backend, models
    from labhelpers.backend import tf

    tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count())
    costs = models.layer_costs(models.three_wide_blocks())["multiplications"]
    first, second = costs[costs > 0].iloc[:2]
    an_image = 3 * costs.sum() - 2 * first - second  # the first layer is not learned: nothing goes back to it
    a = tf.ones((2048, 2048), backend.precision()[0].removeprefix("mixed_"))
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        tf.linalg.matmul(a, a).numpy()
        best = min(best, time.perf_counter() - started)
    return [float(2048**3 / best / an_image)]


CONTENDERS = {function.__name__: function for function in (ours, torch_float32, torch_bfloat16, floor)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", metavar="CONTENDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(CONTENDERS[options.one]()))
        return
    rates = {name: [] for name in CONTENDERS}
    for turn in range(ROUNDS):
        for contender in CONTENDERS:
            print(f"round {turn + 1} of {ROUNDS}: widest network, {contender}", file=sys.stderr)
            command = [sys.executable, __file__, "--one", contender]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(done.stderr)
            rates[contender] += json.loads(done.stdout.splitlines()[-1])
    TABLE.write_text(table(rates), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def table(rates):
    """Return the results as Markdown, with the machine they hold for."""
    lines = [
        "# Images a second, three blocks of 64, 256 and 256 filters, batch 500",
        "",
        "Written by `make bench`: median (smallest to largest), the contenders taking turns.",
        f"{training.machine()}.",
        "",
        "| what | images a second | ours / it |",
        "|---|---|---|",
    ]
    median = statistics.median(rates["ours"])
    for contender, function in CONTENDERS.items():
        values = rates[contender]
        middle = statistics.median(values)
        spread = f"{middle:.0f} ({min(values):.0f} to {max(values):.0f})"
        lines.append(f"| {function.__doc__} | {spread} | {median / middle:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
