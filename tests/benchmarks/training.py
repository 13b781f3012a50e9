"""Seconds per epoch: ours beside what a student would otherwise write. `make bench` runs this.

Every contender does the same work: the first 20,000 images in batches of 32, cross-entropy, Adam 1e-3, then loss
and accuracy on the 5,000 validation images. Each runs in a process of its own, which trains one epoch to warm up
and then EPOCHS timed ones. The processes take turns, ROUNDS times, so that a slow minute of the machine hits all.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS, EPOCHS = 2, 2
N_TRAIN, BATCH_SIZE = 20_000, 32
NETWORKS = ("baseline", "deeper")
TABLE = Path(__file__).with_suffix(".md")
sys.path.append(str(Path(__file__).parents[2] / ".bench"))  # PyTorch, installed for this alone


def ours(network):
    """labhelpers.training.fit"""
    from labhelpers import data, training
    from labhelpers.study.experiments import Experiment

    split, epochs = data.load().split(N_TRAIN), 1 + EPOCHS
    model = Experiment("bench", "bench", "", network, N_TRAIN, epochs, seeds=1).build(seed=0)
    settings = {"validation_data": split.validation, "epochs": epochs, "batch_size": BATCH_SIZE}
    return training.fit(model, *split.train, **settings).seconds[1:]


def keras_fit(network, **compile_options):
    """Keras `fit` with its defaults, on NumPy arrays"""
    import keras  # by itself: labhelpers.models would start TensorFlow with labhelpers' settings

    from labhelpers import data

    layers = keras.layers
    convolutions = {"baseline": [(18, 3)], "deeper": [(18, 5), (10, 3)]}[network]
    model = keras.Sequential([layers.Input((32, 32, 3), dtype="uint8"), layers.Rescaling(1 / 127.5, -1)])
    for filters, side in convolutions:
        model.add(layers.Conv2D(filters, side, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10)):
        model.add(layer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], **compile_options)
    split = data.load().split(N_TRAIN)

    def epoch():
        model.fit(*split.train, batch_size=BATCH_SIZE, validation_data=split.validation, verbose=0)

    return timed(epoch)


def keras_fit_grouped(network):
    """the same with `steps_per_execution=50`"""
    return keras_fit(network, steps_per_execution=50)


def torch_loop(network):
    """plain PyTorch loop, data in memory as float32, channels_last"""
    import torch

    split = torch_split()
    images, labels = (normalised(split.train.images), torch.tensor(split.train.labels).long())
    held_out, held_out_labels = (normalised(split.validation.images), torch.tensor(split.validation.labels).long())

    def batches():
        for chosen in torch.randperm(len(labels)).split(BATCH_SIZE):
            yield images[chosen], labels[chosen]

    def validation():
        yield from zip(held_out.split(500), held_out_labels.split(500), strict=True)

    return timed(torch_epoch(network, batches, validation))


def torch_loader(network):
    """the hand-out's way: PyTorch DataLoader, transforms per image, 2 workers"""
    import torch

    split = torch_split()

    def loader(part, shuffle):
        return torch.utils.data.DataLoader(PerImage(*part), BATCH_SIZE, shuffle=shuffle, num_workers=2)

    train, validation = loader(split.train, True), loader(split.validation, False)
    return timed(torch_epoch(network, lambda: train, lambda: validation))


class PerImage:
    """What torchvision's CIFAR10 does with ToTensor and Normalize, operation by operation, one image at a time.

    torchvision itself would bring a PyTorch of 5 GB.
    """

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        import numpy as np
        import torch
        from PIL import Image

        picture = Image.fromarray(self.images[index])
        # ToTensor
        tensor = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        tensor = tensor.view(picture.size[1], picture.size[0], len(picture.getbands()))
        tensor = tensor.permute((2, 0, 1)).contiguous()
        tensor = tensor.to(dtype=torch.get_default_dtype()).div(255)
        # Normalize
        tensor = tensor.clone()
        mean = torch.as_tensor((0.5, 0.5, 0.5), dtype=tensor.dtype, device=tensor.device)
        std = torch.as_tensor((0.5, 0.5, 0.5), dtype=tensor.dtype, device=tensor.device)
        if (std == 0).any():
            raise ValueError("division by zero")
        return tensor.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1)), int(self.labels[index])


def torch_split():
    import torch

    from labhelpers import data

    torch.manual_seed(0)
    return data.load().split(N_TRAIN)


def normalised(images):
    import torch

    scaled = torch.tensor(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return scaled.contiguous(memory_format=torch.channels_last)


def torch_epoch(network, batches, validation):
    """Return a function that trains one epoch and validates, for the report's networks in PyTorch."""
    import torch
    from torch import nn

    features = {
        "baseline": [nn.Conv2d(3, 18, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        "deeper": [
            *(nn.Conv2d(3, 18, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(18, 10, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        ],
    }
    flat = {"baseline": 18 * 16 * 16, "deeper": 10 * 8 * 8}[network]
    dense = [nn.Flatten(), nn.Linear(flat, 64), nn.ReLU(), nn.Linear(64, 10)]
    model = nn.Sequential(*features[network], *dense).to(memory_format=torch.channels_last)
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()

    def epoch():
        model.train()
        total = 0.0
        for x, y in batches():
            optimizer.zero_grad()
            logits = model(x)
            loss = criterion(logits, y)
            loss.backward()
            optimizer.step()
            total += loss.item() + (logits.argmax(1) == y).float().mean().item()
        model.eval()
        with torch.no_grad():
            for x, y in validation():
                logits = model(x)
                total += criterion(logits, y).item() + (logits.argmax(1) == y).float().mean().item()

    return epoch


def timed(epoch):
    epoch()
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    return seconds


def floor(network):
    """the arithmetic alone: multiplications over the machine's measured float32 matrix-product rate"""
    import numpy as np

    from labhelpers import cifar10, models
    from labhelpers.backend import keras, tf

    tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count())  # one product, all cores
    costs = models.layer_costs(getattr(models, network)())
    forward = costs["multiplications"].sum()
    first = costs.loc[costs["multiplications"] > 0, "multiplications"].iloc[0]
    # Backwards each layer forms two products of the same size, but the first needs none for the images.
    images = N_TRAIN * (3 * forward - first) + (cifar10.N_TRAIN - cifar10.N_TRAINABLE) * forward
    side = 2048
    a = keras.ops.convert_to_tensor(np.random.default_rng(0).random((side, side), np.float32))
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(a, a))
        best = min(best, time.perf_counter() - start)
    return [float(images / (side**3 / best))]


CONTENDERS = {
    function.__name__: function for function in (ours, keras_fit, keras_fit_grouped, torch_loop, torch_loader, floor)
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "NETWORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        contender, network = options.one
        print(json.dumps(CONTENDERS[contender](network)))
        return
    seconds = {}
    for turn in range(ROUNDS):
        for network in NETWORKS:
            for contender in CONTENDERS:
                print(f"round {turn + 1} of {ROUNDS}: {network}, {contender}", file=sys.stderr)
                command = [sys.executable, __file__, "--one", contender, network]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise SystemExit(done.stderr)
                seconds.setdefault((contender, network), []).extend(json.loads(done.stdout.splitlines()[-1]))
    TABLE.write_text(table(seconds), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def table(seconds):
    """Return the results as Markdown, with the machine they hold for."""
    lines = [
        "# Seconds per epoch, 20,000 images, batch 32, validation included",
        "",
        f"Written by `make bench`: median (smallest to largest) of {ROUNDS * EPOCHS} epochs, the contenders taking turns.",
        f"{machine()}.",
        "",
        "| what | baseline | ours / it | deeper | ours / it |",
        "|---|---|---|---|---|",
    ]
    for contender, function in CONTENDERS.items():
        cells = [function.__doc__]
        for network in NETWORKS:
            values = seconds[contender, network]
            ratio = statistics.median(seconds["ours", network]) / statistics.median(values)
            spread = f" ({min(values):.2f} to {max(values):.2f})"
            cells += [f"{statistics.median(values):.2f}{spread}", f"{ratio:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def machine():
    from labhelpers.machine import processor

    names = ("tensorflow", "keras", "torch", "numpy")
    there = [name for name in names if importlib.util.find_spec(name)]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in there)
    return f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    main()
