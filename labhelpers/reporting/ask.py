"""What the page needs so that trained networks answer in a reader's browser: weights of 8 bits, and test images.

`template/report/worker.js` computes with the layers that `network` describes.
"""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from labhelpers import weights
from labhelpers.cifar10 import CLASS_NAMES, N_CLASSES, SIDE
from labhelpers.paths import atomic_write, results_dir

NETWORKS = ("deeper", "improved", "best")
FILE = "ask_the_networks.csv"  # in `examples`, beside the figures
PER_CLASS = 10
LARGEST = 127  # of 8 bits with a sign

# The layers of `models.deeper` and `models.three_blocks`. A convolution has the side of its kernel, its channels and its
# options, a dense layer its outputs.
DEEPER = "conv 5 18 same bias, relu, pool 2, conv 3 10 same bias, relu, pool 2, dense 64 bias, relu, dense 10 bias"
BLOCK = "conv 3 {0} same, pool 2, norm, gelu, conv 3 {0} same, norm, gelu, "


def _blocks(*widths):
    return f"conv 2 24 bias, gelu, {''.join(map(BLOCK.format, widths))}pool 3, dense 10"


LAYERS = {"deeper": DEEPER, "improved": _blocks(16, 64, 64), "best": _blocks(64, 256, 256)}


def eight_bits(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a kernel to int8 with one scale for each of its output channels, the last axis; return both.

    Scales are float32; a channel that is all zeros has scale 1.
    """
    scales = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) / LARGEST
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    return np.rint(kernel / scales).astype(np.int8), scales


def rounded(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return a network's weights with its kernels rounded to 8 bits, as float32, in the same order."""
    return [np.multiply(*eight_bits(array)) if array.ndim > 1 else array for array in arrays]


def network(name: str) -> dict[str, Any]:
    """Describe a trained network, one of `NETWORKS`, for the page, as JSON can hold it.

    Returns:
        `name`; `scale` and `offset`, which a pixel's channels (0 to 255) are multiplied with and
        then moved by; and `layers`, each with its `kind` ("conv", "pool", "relu" or "gelu"). A "conv" has `side`, `same`
        (whether it is padded with zeros), `inputs`, `outputs`, `kernel` (int8 in base64, in Keras's order), `scales` and
        `bias`. Dense layers are convolutions of one position; batch normalisation is part of the convolution before it.

    Raises:
        LabError: the weights are missing or damaged.
    """
    steps = [step.split() for step in LAYERS[name].split(", ")]
    arrays = iter(weights.read(name, _shapes(steps)))
    layers: list[dict[str, Any]] = []
    for kind, *options in steps:
        if kind in ("conv", "dense"):
            kernel, scales = eight_bits(kernel := next(arrays))
            *_, inputs, outputs = kernel.shape
            bias = next(arrays) if "bias" in options else np.zeros(outputs)
            side = int(options[0]) if kind == "conv" else 1
            layer = {"kind": "conv", "side": side, "same": "same" in options, "inputs": inputs, "outputs": outputs}
            text = base64.b64encode(kernel.tobytes()).decode()
            last = layer | {"kernel": text, "scales": scales.astype(float), "bias": bias.astype(float)}
            layers.append(last)
        elif kind == "norm":
            beta, mean, variance = (next(arrays).astype(float) for _ in range(3))
            factor = 1 / np.sqrt(variance + 1e-5)
            last["scales"], last["bias"] = last["scales"] * factor, beta - mean * factor
        else:
            layers.append({"kind": kind, "side": int(options[0]) if options else 0})
    scale, offset = np.full(3, 1 / 127.5), np.full(3, -1.0)
    if name != "deeper":
        means, deviations = np.array([0.49140, 0.48216, 0.44653]), np.array([0.24703, 0.24349, 0.26159])
        scale, offset = 1 / (255 * deviations), -means / deviations
        last["scales"] = last["scales"] / 9
    for layer in layers:
        for part in ("scales", "bias"):
            if part in layer:
                layer[part] = [float(f"{number:.7g}") for number in layer[part]]
    return {"name": name, "scale": scale.tolist(), "offset": offset.tolist(), "layers": layers}


def _shapes(steps) -> list[tuple[int, ...]]:
    """Return the shapes of a network's weights, in Keras's order."""
    shapes: list[tuple[int, ...]] = []
    side, channels = SIDE, 3
    for kind, *options in steps:
        if kind == "conv":
            size, outputs = map(int, options[:2])
            shapes.append((size, size, channels, outputs))
            side, channels = side if "same" in options else side - size + 1, outputs
        elif kind == "dense":
            shapes.append((side * side * channels, int(options[0])))
            side, channels = 1, int(options[0])
        elif kind == "pool":
            side //= int(options[0])
        shapes += [(channels,)] * (3 if kind == "norm" else "bias" in options)
    return shapes


def save_test_images(cifar, answers: np.ndarray | None = None) -> int:
    """Save the first ten test images of each class for the page, with human answers if there are any; return how many.

    Args:
        cifar: what `data.load` returns.
        answers: number of human annotators who gave each answer, int, (10000, 10), or None.
    """
    firsts = [np.flatnonzero(cifar.test_labels == label)[:PER_CLASS] for label in range(N_CLASSES)]
    table = pd.DataFrame({"image": np.concatenate(firsts)})
    table["true"] = cifar.test_labels[table["image"]]
    table["webp"] = [_lossless(cifar.test_images[at]) for at in table["image"]]
    if answers is not None:
        table[list(CLASS_NAMES)] = answers[table["image"]]
    with atomic_write(results_dir() / "examples" / FILE) as path:
        table.to_csv(path, index=False)
    return len(table)


def _lossless(image) -> str:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "WEBP", lossless=True, method=6)
    return base64.b64encode(encoded.getvalue()).decode()


def test_images(folder) -> list[dict[str, Any]]:
    """Return what `save_test_images` saved in a report's folder: `webp`, `label`, `true` and, if known, human `answers`."""
    path = folder / "examples" / FILE
    if not path.exists():
        return []
    table = pd.read_csv(path)
    rows = []
    for row in table.to_dict("records"):
        true = CLASS_NAMES[row["true"]]
        shown = {"webp": row["webp"], "true": true, "label": f"Test image {row['image']}, {true}"}
        if CLASS_NAMES[0] in row:
            shown["answers"] = [row[name] for name in CLASS_NAMES]
        rows.append(shown)
    return rows
