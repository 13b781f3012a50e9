"""The networks, from the original report's upward; each takes uint8 images and returns logits.

Layer names say what a layer is for, so that `model.summary()` reads like the report.
"""

import math

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
    check_seed(seed)
    keras.utils.set_random_seed(int(seed))
    return keras.Sequential(
        [
            *_images(),
            layers.Conv2D(18, 3, padding="same", activation="relu", name="convolution"),
            layers.MaxPooling2D(2, name="pooling"),
            *_classifier(),
        ],
        name="baseline",
    )


def deeper(seed: int = 0) -> keras.Model:
    """Build the report's final network: two convolutions, the first with 5x5 masks; 44,672 parameters.

    Args:
        seed: fixes the initial weights (Glorot uniform, as Keras does by default).

    Returns:
        A model from uint8 images (N, 32, 32, 3) to float32 logits (N, 10).
    """
    check_seed(seed)
    keras.utils.set_random_seed(int(seed))
    return keras.Sequential(
        [
            *_images(),
            layers.Conv2D(18, 5, padding="same", activation="relu", name="convolution_1"),
            layers.MaxPooling2D(2, name="pooling_1"),
            layers.Conv2D(10, 3, padding="same", activation="relu", name="convolution_2"),
            layers.MaxPooling2D(2, name="pooling_2"),
            *_classifier(),
        ],
        name="deeper",
    )


def _images():
    """Return the layers every network starts with: uint8 images, scaled to [-1, 1]."""
    yield layers.Input(IMAGE_SHAPE, dtype="uint8", name="images")
    yield layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")


def _classifier():
    """Return the layers both of the report's networks end in: dense 64 with ReLU, then ten logits."""
    yield layers.Flatten(name="flatten")
    yield layers.Dense(64, activation="relu", name="dense")
    yield layers.Dense(N_CLASSES, name="logits")


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
