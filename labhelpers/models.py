"""The networks, from the original report's upward; each takes uint8 images and returns logits.

Layer names say what a layer is for, so that `model.summary()` reads like the report.
"""

import math
from contextlib import contextmanager

import numpy as np
import pandas as pd

from labhelpers.backend import PRECISIONS, keras, tf
from labhelpers.errors import check_choice, check_seed

layers = keras.layers

IMAGE_SHAPE = (32, 32, 3)
N_CLASSES = 10
# Of the 50,000 training images, values from 0 to 1.
CHANNEL_MEANS = (0.49140, 0.48216, 0.44653)
CHANNEL_DEVIATIONS = (0.24703, 0.24349, 0.26159)
FIRST_LAYER, FIRST_FILTERS = "convolution_0", 24


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


def batch_normalized(seed: int = 0) -> keras.Model:
    """Build `deeper` with batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167) after each convolution."""
    return _network(
        "batch_normalized",
        seed,
        lambda: [*_convolution(18, 5, "_1", normalized=True), *_convolution(10, 3, "_2", normalized=True)],
    )


def three_blocks(seed: int = 0, widths=(16, 64, 64), precision: str = "float32") -> keras.Model:
    """Build three blocks of two convolutions after a small first one: the shape of airbench94, a quarter as wide.

    After Jordan 2024 (arXiv 2404.00498, section 3.1): images are standardised; a 2x2 convolution of 24 filters; in each
    block two 3x3 convolutions with batch normalisation and GELU, max pooling after the first; one dense layer.

    Args:
        seed: fixes the initial weights.
        widths: filters of the blocks' convolutions.
        precision: of the arithmetic, a Keras dtype policy: "float32" or "mixed_bfloat16"; weights are float32.
    """
    check_seed(seed)
    check_choice("precision", precision, PRECISIONS)
    keras.utils.set_random_seed(int(seed))
    with _arithmetic(precision):
        return _three_blocks(widths)


def three_wide_blocks(seed: int = 0, precision: str = "float32") -> keras.Model:
    """Build `three_blocks` as wide as airbench94: 64, 256 and 256 filters."""
    return three_blocks(seed, (64, 256, 256), precision)


def _three_blocks(widths):
    return keras.Sequential(
        [
            layers.Input(IMAGE_SHAPE, dtype="uint8", name="images"),
            # (x / 255 - mean) / deviation, the channels' own of the training set.
            layers.Rescaling(
                [1 / (255 * deviation) for deviation in CHANNEL_DEVIATIONS],
                [
                    -mean / deviation
                    for mean, deviation in zip(CHANNEL_MEANS, CHANNEL_DEVIATIONS, strict=True)
                ],
                name="standardising",
            ),
            layers.Conv2D(FIRST_FILTERS, 2, name=FIRST_LAYER),
            layers.Activation(gelu, name="gelu"),
            *(layer for number, filters in enumerate(widths, 1) for layer in _block(filters, number)),
            layers.MaxPooling2D(3, name="pooling"),
            layers.Flatten(name="flatten"),
            layers.Dense(N_CLASSES, use_bias=False, name="dense"),
            # Small logits at first make the first steps small, too. Logits stay float32 under mixed precision.
            layers.Rescaling(1 / 9, dtype="float32", name="logits"),
        ],
        name="three_blocks",
    )


@contextmanager
def _arithmetic(precision):
    """Let layers that are built now compute in this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _block(filters, number):
    """Return two convolutions with batch normalisation and GELU, the first one pooled."""
    parts = []
    for letter in "ab":
        name = f"{number}{letter}"
        parts.append(layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"convolution_{name}"))
        if letter == "a":
            parts.append(layers.MaxPooling2D(2, name=f"pooling_{number}"))
        # GELU and the next convolution make up for a scale.
        parts.append(BatchNormalization(momentum=0.9, scale=False, epsilon=1e-5, name=f"norm_{name}"))
        parts.append(layers.Activation(gelu, name=f"gelu_{name}"))
    return parts


def start_whitened(model: keras.Model, images) -> None:
    """Fix the first layer of `three_blocks` so that what it gives is white: uncorrelated, each with variance 1.

    Its filters are the directions of the 2x2 patches' covariance, each divided by the deviation along it, and their
    negatives (Page 2018; Jordan 2024, arXiv 2404.00498, section 3.2). Only the bias is still trained. The convolutions
    after it begin by passing on what they get, as far as they have filters for it (section 3.3).

    Args:
        images: of the training set, uint8, (N, 32, 32, 3); the first 5,000 are looked at.
    """
    first = model.get_layer(FIRST_LAYER)
    standardised = model.layers[0](np.asarray(images[:5000])).numpy().astype("float32")
    patches = np.lib.stride_tricks.sliding_window_view(standardised, (2, 2), axis=(1, 2))
    patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, FIRST_FILTERS // 2)
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / np.sqrt(values + 5e-4)).reshape(2, 2, 3, -1)
    first.kernel.assign(np.concatenate([filters, -filters], axis=-1))
    first.kernel.trainable = False
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D) and layer is not first:
            kernel = layer.kernel.numpy()
            passed_on = min(kernel.shape[2:])
            kernel[..., :passed_on] = 0
            kernel[1, 1, range(passed_on), range(passed_on)] = 1
            layer.kernel.assign(kernel)


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


def _convolution(filters, side, number="", *, normalized=False):
    """Return a convolution that keeps the size, with ReLU, and the 2x2 pooling after it."""
    name, pooling = f"convolution{number}", layers.MaxPooling2D(2, name=f"pooling{number}")
    if not normalized:
        return [layers.Conv2D(filters, side, padding="same", activation="relu", name=name), pooling]
    return [
        layers.Conv2D(filters, side, padding="same", use_bias=False, name=name),
        BatchNormalization(momentum=0.9, name=f"norm{number}"),
        layers.Activation("relu", name=f"relu{number}"),
        pooling,
    ]


class BatchNormalization(layers.BatchNormalization):
    """Keras's batch normalisation, trained in one kernel in place of some twenty passes over the images."""

    def call(self, inputs, training=None):
        if not training:
            return super().call(inputs)
        scale = self.gamma.value if self.scale else tf.ones_like(self.beta.value)
        # The variance is that of a sample, over n - 1, where Keras takes n: hundreds at least, images times places.
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, scale, self.beta.value, epsilon=self.epsilon
        )
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return outputs


@tf.custom_gradient
def gelu(x):
    """Return x times the normal distribution's share below x (Hendrycks & Gimpel 2016, arXiv 1606.08415, section 2).

    TensorFlow's own takes three times as long in bfloat16, whose complementary error function has no fast kernel.
    """
    wide = tf.cast(x, tf.float32)
    below = 0.5 + 0.5 * tf.math.erf(wide * 0.5**0.5)
    slope = tf.cast(below + wide * tf.exp(-0.5 * wide * wide) * (2 * math.pi) ** -0.5, x.dtype)
    return x * tf.cast(below, x.dtype), lambda upstream: upstream * slope


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
