"""The networks, from the original report's upward; each takes uint8 images and returns logits.

Layer names say what a layer is for, so that `model.summary()` reads like the report.
"""

import math

import numpy as np
import pandas as pd

from labhelpers import weights
from labhelpers.backend import PRECISIONS, keras
from labhelpers.cifar10 import N_CLASSES, SIDE
from labhelpers.errors import check_choice, check_seed

layers = keras.layers

IMAGE_SHAPE = (SIDE, SIDE, 3)
# Mean and standard deviation of the 50,000 training images, pixel values from 0 to 1.
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
    return _variant("wider_masks", seed, {"": (18, 5)})


def second_convolution(seed: int = 0) -> keras.Model:
    """Build the baseline with a second convolution and pooling: the other half of the step to `deeper`."""
    return _variant("second_convolution", seed, {"_1": (18, 3), "_2": (10, 3)})


def batch_normalized(seed: int = 0) -> keras.Model:
    """Build `deeper` with batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167) after each convolution."""
    return _variant("batch_normalized", seed, {"_1": (18, 5), "_2": (10, 3)}, normalized=True)


def _variant(name, seed, convolutions, normalized=False):
    """Build a network like `deeper`; `convolutions` gives, by the ending of a layer's name, filters and kernel size."""
    _seed_weights(seed)
    model = keras.Sequential(name=name)
    model.add(layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"))
    model.add(layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"))  # to values from -1 to 1
    for ending, (filters, size) in convolutions.items():
        options = {"use_bias": False} if normalized else {"activation": "relu"}
        model.add(layers.Conv2D(filters, size, padding="same", name=f"convolution{ending}", **options))
        if normalized:
            model.add(layers.BatchNormalization(momentum=0.9, name=f"norm{ending}"))
            model.add(layers.Activation("relu", name=f"relu{ending}"))
        model.add(layers.MaxPooling2D(2, name=f"pooling{ending}"))
    model.add(layers.Flatten(name="flatten"))
    model.add(layers.Dense(64, activation="relu", name="dense"))
    model.add(layers.Dense(N_CLASSES, name="logits"))
    return model


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
    # (x / 255 - mean) / standard deviation, for each channel
    scale, offset = 1 / (255 * CHANNEL_DEVIATIONS), -CHANNEL_MEANS / CHANNEL_DEVIATIONS
    model.add(layers.Rescaling(scale.tolist(), offset.tolist(), dtype=dtype, name="standardising"))
    model.add(layers.Conv2D(24, 2, dtype=dtype, name="convolution_0"))
    model.add(layers.Activation("gelu", dtype=dtype, name="gelu"))
    for block, filters in enumerate(widths, 1):
        for half in (f"{block}a", f"{block}b"):
            options = {"padding": "same", "use_bias": False, "dtype": dtype}
            model.add(layers.Conv2D(filters, 3, name=f"convolution_{half}", **options))
            if half.endswith("a"):
                model.add(layers.MaxPooling2D(2, dtype=dtype, name=f"pooling_{block}"))
            # No scale, as in airbench94; its momentum is 0.6 and its epsilon 1e-12.
            options = {"momentum": 0.9, "scale": False, "epsilon": 1e-5, "dtype": dtype}
            model.add(layers.BatchNormalization(name=f"norm_{half}", **options))
            model.add(layers.Activation("gelu", dtype=dtype, name=f"gelu_{half}"))
    model.add(layers.MaxPooling2D(3, dtype=dtype, name="pooling"))
    model.add(layers.Flatten(dtype=dtype, name="flatten"))
    model.add(layers.Dense(N_CLASSES, use_bias=False, dtype=dtype, name="dense"))
    # As in airbench94, so that training starts with small logits; float32 also under mixed precision.
    model.add(layers.Rescaling(1 / 9, dtype="float32", name="logits"))
    return model


def three_wide_blocks(seed: int = 0, dtype: str = "float32") -> keras.Model:
    """Build `three_blocks` as wide as airbench94: 64, 256 and 256 filters."""
    return three_blocks(seed, (64, 256, 256), dtype)


def _seed_weights(seed):
    """Fix the initial weights of all layers that are created from now on, until the next call."""
    check_seed(seed)
    keras.utils.set_random_seed(int(seed))


def start_like_pytorch(model: keras.Model, seed: int = 0) -> None:
    """Give convolutions and dense layers initial weights as in PyTorch.

    Kernels and biases are sampled from U(-b, b) with b = 1 / sqrt(fan_in); Keras samples kernels from Glorot's
    uniform distribution, and its biases start at 0.
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
        A row for each layer: `layer`, `output` (its shape without the batch), `parameters`, and `multiplications` of a
        weight and a value in convolutions and dense layers (other layers multiply nothing worth counting).
    """
    rows = []
    for layer in model.layers:
        output = layer.output.shape[1:]
        # A convolution applies its whole kernel at each position of its output, a dense layer once.
        has_kernel = isinstance(layer, layers.Conv2D | layers.Dense)
        multiplications = math.prod(output[:-1]) * math.prod(layer.kernel.shape) if has_kernel else 0
        rows.append((layer.name, " x ".join(map(str, output)), layer.count_params(), multiplications))
    return pd.DataFrame(rows, columns=["layer", "output", "parameters", "multiplications"])


def layout(model: keras.Model) -> list:
    """Describe a network by its layers' types and settings and the shapes of its weights, not by names and values."""
    described = []
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            settings = layer.get_config()
            del settings["name"]
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


def load_trained(name: str) -> keras.Model:
    """Build a network with the weights of a recorded run, so that it can be used without training.

    The weights were rounded to float16, which changes the accuracy by less than 0.1 percentage points.

    Args:
        name: "baseline", "deeper", "improved" (six convolutions, trained as in notebook 06 up to weight averaging) or
            "best" (four times as wide, trained on all images); `weights.TRAINED` gives the run of each.

    Returns:
        A model from uint8 images (N, 32, 32, 3) to float32 logits (N, 10), not compiled.

    Raises:
        LabError: another name, or the file of the weights is missing, damaged, or of another run or network.

    Example:
        >>> load_trained("deeper").count_params()
        44672
    """
    check_choice("trained network", name, weights.TRAINED)
    from labhelpers.study.experiments import experiment

    model = NETWORKS[experiment(weights.TRAINED[name][0]).network]()
    model.set_weights(weights.read(name, [tuple(weight.shape) for weight in model.weights]))
    return model


def network_name(model: keras.Model) -> str:
    """Return the name in `NETWORKS` of a network built like this model, or "your own network"."""
    alike = (name for name, build in NETWORKS.items() if same_network(model, build()))
    return next(alike, "your own network")
