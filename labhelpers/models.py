"""The networks, from the original report's upward; each takes uint8 images and returns logits.

Layer names say what a layer is for, so that `model.summary()` reads like the report.
"""

import math

import numpy as np
import pandas as pd

from labhelpers.backend import keras
from labhelpers.errors import check_seed

layers = keras.layers

IMAGE_SHAPE = (32, 32, 3)
N_CLASSES = 10


def baseline(seed: int = 0) -> keras.Model:
    """Build the report's first network: one convolution, pooling, two dense layers; 296,130 parameters.

    Args:
        seed: fixes the initial weights (Glorot uniform, as Keras does by default).

    Returns:
        A model from uint8 images (N, 32, 32, 3) to float32 logits (N, 10).
    """
    return _network("baseline", seed, lambda: _convolution(18, 3))


def deeper(seed: int = 0) -> keras.Model:
    """Build the report's final network: two convolutions, the first with 5x5 masks; 44,672 parameters."""
    return _network("deeper", seed, lambda: [*_convolution(18, 5, "_1"), *_convolution(10, 3, "_2")])


def wider_masks(seed: int = 0) -> keras.Model:
    """Build the baseline with 5x5 masks: the first half of the step from it to `deeper`."""
    return _network("wider_masks", seed, lambda: _convolution(18, 5))


def second_convolution(seed: int = 0) -> keras.Model:
    """Build the baseline with a second convolution and pooling: the other half of the step to `deeper`."""
    return _network(
        "second_convolution", seed, lambda: [*_convolution(18, 3, "_1"), *_convolution(10, 3, "_2")]
    )


def _network(name, seed, convolutions):
    """Build uint8 images, scaled to [-1, 1]; the convolutions; dense 64 with ReLU; ten logits."""
    check_seed(seed)
    keras.utils.set_random_seed(int(seed))
    return keras.Sequential(
        [
            layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"),
            *convolutions(),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(N_CLASSES, name="logits"),
        ],
        name=name,
    )


def _convolution(filters, side, number=""):
    """Return a convolution that keeps the size, with ReLU, and the 2x2 pooling after it."""
    return [
        layers.Conv2D(filters, side, padding="same", activation="relu", name=f"convolution{number}"),
        layers.MaxPooling2D(2, name=f"pooling{number}"),
    ]


def start_like_pytorch(model: keras.Model, seed: int = 0) -> None:
    """Give convolutions and dense layers the initial weights that PyTorch would.

    Kernels and biases alike are drawn from U(-b, b) with b = 1 / sqrt(fan_in); Keras draws kernels from Glorot's
    uniform distribution and starts biases at 0.
    """
    check_seed(seed)
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.Dense):
            bound = math.prod(layer.kernel.shape[:-1]) ** -0.5
            layer.set_weights([random.uniform(-bound, bound, weight.shape) for weight in layer.weights])


def layer_costs(model: keras.Model) -> pd.DataFrame:
    """Count what each layer costs for one image.

    Returns:
        A row a layer: `layer`, `output` (its shape without the batch), `parameters`, and `multiplications`:
        the products of a weight and a value that convolutions and dense layers form (biases, pooling and
        activations multiply nothing worth counting).
    """
    rows = []
    for layer in model.layers:
        output = layer.output.shape[1:]
        multiplications = 0
        if isinstance(layer, layers.Conv2D | layers.Dense):
            # Every place of the output applies the whole kernel once; a dense layer has one place.
            places = output[0] * output[1] if len(output) == 3 else 1
            multiplications = places * math.prod(layer.kernel.shape)
        rows.append(
            {
                "layer": layer.name,
                "output": " x ".join(map(str, output)),
                "parameters": layer.count_params(),
                "multiplications": multiplications,
            }
        )
    return pd.DataFrame(rows)
