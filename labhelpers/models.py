"""The networks, from the original report's upward; each takes uint8 images and returns logits.

Layer names say what a layer is for, so that `model.summary()` reads like the report.
"""

import math

import numpy as np
import pandas as pd

from labhelpers.backend import PRECISIONS, keras
from labhelpers.cifar10 import N_CLASSES, SIDE
from labhelpers.errors import check_choice, check_seed

layers = keras.layers

IMAGE_SHAPE = (SIDE, SIDE, 3)
# Of the 50,000 training images, values from 0 to 1.
CHANNEL_MEANS = np.array([0.49140, 0.48216, 0.44653])
CHANNEL_DEVIATIONS = np.array([0.24703, 0.24349, 0.26159])


def baseline(seed: int = 0) -> keras.Model:
    """Build the report's first network: one convolution, pooling, two dense layers; 296,130 parameters.

    Args:
        seed: fixes the initial weights (Glorot uniform, as Keras does by default).

    Returns:
        A model from uint8 images (N, 32, 32, 3) to float32 logits (N, 10).

    Example:
        >>> baseline(seed=1).count_params()
        296130
    """
    _seed_weights(seed)
    return keras.Sequential(
        [
            layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"),  # to values from -1 to 1
            layers.Conv2D(18, 3, padding="same", activation="relu", name="convolution"),
            layers.MaxPooling2D(2, name="pooling"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(N_CLASSES, name="logits"),
        ],
        name="baseline",
    )


def deeper(seed: int = 0) -> keras.Model:
    """Build the report's final network: two convolutions, the first with 5x5 kernels; 44,672 parameters."""
    _seed_weights(seed)
    return keras.Sequential(
        [
            layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"),  # to values from -1 to 1
            layers.Conv2D(18, 5, padding="same", activation="relu", name="convolution_1"),
            layers.MaxPooling2D(2, name="pooling_1"),
            layers.Conv2D(10, 3, padding="same", activation="relu", name="convolution_2"),
            layers.MaxPooling2D(2, name="pooling_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(N_CLASSES, name="logits"),
        ],
        name="deeper",
    )


def wider_masks(seed: int = 0) -> keras.Model:
    """Build the baseline with 5x5 kernels: the first half of the step from it to `deeper`."""
    _seed_weights(seed)
    return keras.Sequential(
        [
            layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"),  # to values from -1 to 1
            layers.Conv2D(18, 5, padding="same", activation="relu", name="convolution"),
            layers.MaxPooling2D(2, name="pooling"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(N_CLASSES, name="logits"),
        ],
        name="wider_masks",
    )


def second_convolution(seed: int = 0) -> keras.Model:
    """Build the baseline with a second convolution and pooling: the other half of the step to `deeper`."""
    _seed_weights(seed)
    return keras.Sequential(
        [
            layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"),  # to values from -1 to 1
            layers.Conv2D(18, 3, padding="same", activation="relu", name="convolution_1"),
            layers.MaxPooling2D(2, name="pooling_1"),
            layers.Conv2D(10, 3, padding="same", activation="relu", name="convolution_2"),
            layers.MaxPooling2D(2, name="pooling_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(N_CLASSES, name="logits"),
        ],
        name="second_convolution",
    )


def batch_normalized(seed: int = 0) -> keras.Model:
    """Build `deeper` with batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167) after each convolution."""
    _seed_weights(seed)
    return keras.Sequential(
        [
            layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"),  # to values from -1 to 1
            layers.Conv2D(18, 5, padding="same", use_bias=False, name="convolution_1"),
            layers.BatchNormalization(momentum=0.9, name="norm_1"),
            layers.Activation("relu", name="relu_1"),
            layers.MaxPooling2D(2, name="pooling_1"),
            layers.Conv2D(10, 3, padding="same", use_bias=False, name="convolution_2"),
            layers.BatchNormalization(momentum=0.9, name="norm_2"),
            layers.Activation("relu", name="relu_2"),
            layers.MaxPooling2D(2, name="pooling_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(N_CLASSES, name="logits"),
        ],
        name="batch_normalized",
    )


def three_blocks(seed: int = 0, widths=(16, 64, 64), dtype: str = "float32") -> keras.Model:
    """Build three blocks of two convolutions after a small first one: the shape of airbench94, a quarter as wide.

    After Jordan 2024 (arXiv 2404.00498, section 3.1): images are standardised; a 2x2 convolution of 24 filters; in each
    block two 3x3 convolutions with batch normalisation and GELU, max pooling after the first; one dense layer.

    Args:
        seed: fixes the initial weights.
        widths: filters of the blocks' convolutions.
        dtype: what the layers compute in, a Keras dtype policy: "float32" or "mixed_bfloat16"; weights are float32.
    """
    _seed_weights(seed)
    check_choice("dtype", dtype, PRECISIONS)
    model = keras.Sequential(name="three_blocks")
    model.add(layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"))
    # (x / 255 - mean) / deviation, the channels' own of the training set.
    scale, offset = 1 / (255 * CHANNEL_DEVIATIONS), -CHANNEL_MEANS / CHANNEL_DEVIATIONS
    model.add(layers.Rescaling(scale.tolist(), offset.tolist(), dtype=dtype, name="standardising"))
    model.add(layers.Conv2D(24, 2, dtype=dtype, name="convolution_0"))
    model.add(layers.Activation("gelu", dtype=dtype, name="gelu"))
    for block, filters in enumerate(widths, 1):
        for half in (f"{block}a", f"{block}b"):
            model.add(
                layers.Conv2D(filters, 3, padding="same", use_bias=False, dtype=dtype, name=f"convolution_{half}")
            )
            if half.endswith("a"):
                model.add(layers.MaxPooling2D(2, dtype=dtype, name=f"pooling_{block}"))
            # No scale, as in airbench94; its momentum is 0.6 and its epsilon 1e-12.
            model.add(
                layers.BatchNormalization(momentum=0.9, scale=False, epsilon=1e-5, dtype=dtype, name=f"norm_{half}")
            )
            model.add(layers.Activation("gelu", dtype=dtype, name=f"gelu_{half}"))
    model.add(layers.MaxPooling2D(3, dtype=dtype, name="pooling"))
    model.add(layers.Flatten(dtype=dtype, name="flatten"))
    model.add(layers.Dense(N_CLASSES, use_bias=False, dtype=dtype, name="dense"))
    # Divided by 9, as in airbench94, so that training starts with small logits and small steps. They are float32 under
    # mixed precision as well.
    model.add(layers.Rescaling(1 / 9, dtype="float32", name="logits"))
    return model


def three_wide_blocks(seed: int = 0, dtype: str = "float32") -> keras.Model:
    """Build `three_blocks` as wide as airbench94: 64, 256 and 256 filters."""
    return three_blocks(seed, (64, 256, 256), dtype)


def _seed_weights(seed):
    """Seed the layers that are created from now on, which draw their initial weights' seeds from Python's generator.

    It seeds NumPy's and TensorFlow's global generators as well.
    """
    check_seed(seed)
    keras.utils.set_random_seed(int(seed))


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


def layout(model: keras.Model) -> list:
    """Describe a network by its layers' types and settings and the shapes of its weights, not by names and values."""
    described = []
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            settings = {name: value for name, value in layer.get_config().items() if name != "name"}
            described.append((type(layer), settings))
    return [described, [tuple(weight.shape) for weight in model.weights]]


def same_network(first: keras.Model, second: keras.Model) -> bool:
    """Return whether two models have the same layers with the same settings, whatever their names and weights."""
    return layout(first) == layout(second)


# The networks of the study, by the name that experiments and their records have for them, which never changes.
NETWORKS = {
    "baseline": baseline,
    "deeper": deeper,
    "wider_masks": wider_masks,
    "second_convolution": second_convolution,
    "batch_normalized": batch_normalized,
    "three_blocks": three_blocks,
    "three_wide_blocks": three_wide_blocks,
}


def network_name(model: keras.Model) -> str:
    """Return the name in `NETWORKS` of a network built like this model, or "your own network"."""
    alike = (name for name, build in NETWORKS.items() if same_network(model, build()))
    return next(alike, "your own network")
