"""What makes training fast: replacements for parts of Keras, each tested to give what Keras's own code gives.

A part is replaced only in the graph that TensorFlow builds of a training step, so a saved model needs nothing from here.
`kernels.used = frozenset()` turns all replacements off. Each says its gain: 1.5 means that an epoch takes 1.5 times as long
without it (tests/benchmarks/kernels.md, on two cores without AVX-512).
"""

import math
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise

import numpy as np

from labhelpers.backend import PARTS, keras, tf

layers = keras.layers

ALL = frozenset({"adam", "batch_normalization", "gelu", "halves", "loop"})
used = ALL


def layers_of(model):
    """Yield the layers of a model, those of models within it included."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        else:
            yield layer


@contextmanager
def _replaced(target, name, value):
    """Give a layer or an optimizer another attribute within the block, without Keras tracking it."""
    own = dict(vars(target))
    object.__setattr__(target, name, value)
    try:
        yield
    finally:
        object.__delattr__(target, name)
        if name in own:
            object.__setattr__(target, name, own[name])


# The forward pass


# Layers whose result for an image doesn't depend on the other images of the batch. Dropout is not among them: its random
# numbers would depend on the number of parts, and so on the number of threads.
# fmt: off
INDEPENDENT = frozenset({
    layers.InputLayer, layers.Rescaling, layers.Normalization, layers.Flatten, layers.Reshape, layers.ZeroPadding2D,
    layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense, layers.LayerNormalization,
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D,
    layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU, layers.Softmax,
    layers.Add, layers.Multiply, layers.Concatenate,
})
# fmt: on


def parts(model, training: bool) -> int:
    """Return into how many parts `forward` may cut a batch.

    They are 2, or 1 if there is one thread, or if a layer's result depends on the rest of the batch.
    """
    # Batch normalisation takes the statistics of a whole batch, and dropout is random, but only in training.
    known = INDEPENDENT if training else INDEPENDENT | {layers.BatchNormalization, layers.Dropout}

    def independent(layer):
        if isinstance(layer, keras.Model):  # but a student's own class may do anything in its `call`
            return type(layer).__module__.startswith("keras.") and all(map(independent, layer.layers))
        return type(layer) in known and layer.activity_regularizer is None

    return PARTS if "halves" in used and independent(model) else 1


def forward(model, images, *, training: bool, parts: int = 1):
    """Return the model's outputs for a batch, cut into parts that pass through it side by side.

    Each thread then works on a half from the first layer to the last, and doesn't have to wait for the other after every
    small step. Gain: 1.5 (deeper network).

    Args:
        images: of the dtype that the model takes, (n, 32, 32, 3), n at least `parts`: a part without images would
            crash the process in oneDNN.
        training: whether layers behave as in training.
        parts: the number of parts, from the function `parts`.
    """
    with ExitStack() as stack:
        for layer, name, function in _replacements(model):
            stack.enter_context(_replaced(layer, name, function))
        if parts == 1:
            return model(images, training=training)
        size = tf.shape(images)[0]
        cuts = [part * size // parts for part in range(parts + 1)]
        outputs = [model(images[start:end], training=training) for start, end in pairwise(cuts)]
    whole = tf.concat(outputs, 0)
    # From the logits before a softmax, which Keras notes, it computes the cross-entropy without rounding to 0.
    if all(hasattr(one, "_keras_logits") for one in outputs):
        whole._keras_logits = tf.concat([one._keras_logits for one in outputs], 0)
    return whole


def _replacements(model):
    """Yield a layer, the name of its attribute and the faster function, for everything that can be replaced."""
    for layer in layers_of(model):
        if "gelu" in used and getattr(layer, "activation", None) is keras.activations.gelu:
            yield layer, "activation", gelu
        normalizes = type(layer) is layers.BatchNormalization and layer.input_spec.ndim == 4
        if "batch_normalization" in used and normalizes and layer.axis in (-1, 3):
            yield layer, "call", partial(batch_normalization, layer)


def batch_normalization(layer, inputs, training=None, mask=None):
    """Return what `layer.call` returns; in training computed by one operation instead of some twenty.

    Gain: 1.02 in float32 (three blocks), which is within the noise; not measured in bfloat16.
    """
    if not (training and layer.trainable) or mask is not None or getattr(layer, "renorm", False):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    like = layer.moving_mean.value
    scale = layer.gamma.value if layer.scale else tf.ones_like(like)
    shift = layer.beta.value if layer.center else tf.zeros_like(like)
    # This variance is a sum of squares divided by n - 1, Keras's divided by n, where n is the number of images times that
    # of positions in a channel. If n is above 100, as in all but tiny batches, they differ by less than 1 %.
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, shift, epsilon=layer.epsilon)
    for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + value * (1 - layer.momentum))
    return outputs


@tf.custom_gradient
def gelu(x):
    """Return x times the standard normal distribution function at x (Hendrycks & Gimpel 2016, arXiv 1606.08415, section 2).

    Keras's own computes the complementary error function, which TensorFlow computes slowly in bfloat16. Gain: 1.02
    in float32 (three blocks), which is within the noise; not measured in bfloat16, for which it was written.
    """
    wide = tf.cast(x, tf.float32)
    below = 0.5 + 0.5 * tf.math.erf(wide * 0.5**0.5)
    slope = tf.cast(below + wide * tf.exp(-0.5 * wide * wide) * (2 * math.pi) ** -0.5, x.dtype)
    return x * tf.cast(below, x.dtype), lambda upstream: upstream * slope


# The optimizer's step


def apply_gradients(optimizer, gradients, variables) -> None:
    """Let the optimizer take its step; Adam's is computed by one operation instead of a dozen. Gain: 1.1 (deeper network).

    Only Keras's Adam with none of the options below is replaced.
    """
    options = ["amsgrad", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema"]
    options += ["gradient_accumulation_steps", "loss_scale_factor"]
    plain = type(optimizer) is keras.optimizers.Adam and not any(getattr(optimizer, name) for name in options)
    with ExitStack() as stack:
        if "adam" in used and plain:
            stack.enter_context(_replaced(optimizer, "update_step", partial(_adam_step, optimizer)))
        optimizer.apply(gradients, variables)


def _adam_step(optimizer, gradient, variable, learning_rate):
    if isinstance(gradient, tf.IndexedSlices) or variable.dtype != "float32":
        type(optimizer).update_step(optimizer, gradient, variable, learning_rate)
        return
    index = optimizer._get_variable_index(variable)
    steps = tf.cast(optimizer.iterations + 1, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[index].value.handle,
        v=optimizer._velocities[index].value.handle,
        beta1_power=optimizer.beta_1**steps,
        beta2_power=optimizer.beta_2**steps,
        lr=learning_rate,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=gradient,
    )


# The loop over batches

SECONDS_AT_ONCE, STEPS_AT_ONCE = 0.25, 50  # the most between two updates of the progress bar


def over_batches(step, x, y, batch_size: int, parts: int):
    """Return a function that applies `step` to images in a given order, many batches at a time inside TensorFlow.

    Images and labels stay in TensorFlow's memory, so no data pipeline runs beside the training, as in `model.fit`. Gain:
    1.5 (deeper network).

    Args:
        step: a function of a batch's images, labels and `parts` (see `forward`) that returns its loss and its number of
            right answers.
        parts: for whole batches; the rest at the end of an epoch may be a single image, and is not cut.

    Returns:
        A function of an order, int64, (N,), that yields float64 arrays (steps, 3): for each step its loss, its number
        of right answers, and its number of images.
    """
    x, y = tf.constant(x), tf.constant(y)
    at_once = 1  # until a call has shown how long a step takes; the first one also builds the graph

    def loop(parts):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
        def run(order):
            steps = (tf.size(order) + batch_size - 1) // batch_size
            results = tf.TensorArray(tf.float64, size=steps)
            for i in tf.range(steps):
                chosen = order[i * batch_size : (i + 1) * batch_size]
                loss, right = step(tf.gather(x, chosen), tf.gather(y, chosen), parts)
                row = [tf.cast(value, tf.float64) for value in (loss, right, tf.size(chosen))]
                results = results.write(i, tf.stack(row))
            return results.stack()

        return run

    whole, rest = loop(min(parts, batch_size)), loop(1)

    def epoch(order):
        nonlocal at_once
        full = len(order) - len(order) % batch_size
        start = 0
        while start < full:
            end = min(start + at_once * batch_size, full)
            began = time.perf_counter()
            results = whole(order[start:end]).numpy()
            if "loop" in used:
                seconds = (time.perf_counter() - began) / len(results)
                at_once = int(np.clip(SECONDS_AT_ONCE / seconds, 1, STEPS_AT_ONCE))
            start = end
            yield results
        if full < len(order):
            yield rest(order[full:]).numpy()

    return epoch
