"""Each faster replacement gives what Keras's own code gives, within rounding, and can be turned off."""

from functools import partial

import numpy as np
import pytest
import scipy.stats

from labhelpers import kernels
from labhelpers.backend import PARTS, keras, tf
from labhelpers.study.experiments import experiment

layers = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 70)


def _network(*more):
    keras.utils.set_random_seed(0)
    first = layers.Input((32, 32, 3), dtype="uint8"), layers.Rescaling(1 / 127.5, offset=-1)
    model = keras.Sequential([*first, layers.Conv2D(4, 3, strides=4), *more, layers.Flatten(), layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


# GELU


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-6), ("bfloat16", 2**-8)])
def test_gelu_and_its_slope_are_those_of_the_normal_distribution(dtype, tolerance):
    places = np.linspace(-6, 6, 97)  # exact in bfloat16
    x = tf.constant(places, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = kernels.gelu(x)
    normal = scipy.stats.norm
    slope = normal.cdf(places) + places * normal.pdf(places)
    for ours, truth in ((y, places * normal.cdf(places)), (tape.gradient(y, x), slope)):
        assert ours.dtype == dtype
        np.testing.assert_allclose(tf.cast(ours, "float64"), truth, rtol=2 * tolerance, atol=tolerance)


# Batch normalisation


@pytest.mark.parametrize(
    "options", [{}, {"dtype": "mixed_bfloat16"}, {"scale": False}, {"center": False}, {"trainable": False}], ids=str
)
def test_batch_normalization_is_that_of_keras(options):
    tolerance = 0.02 if "dtype" in options else 1e-5
    random = np.random.default_rng(0)
    images, upstream = random.normal(1, 2, (2, 20, 6, 6, 4)).astype("float32")
    found, shift = [], random.normal(size=4)
    for ours in (True, False):
        layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, **options)
        layer.build(images.shape)
        if layer.center:
            layer.beta.assign(shift)
        x = tf.cast(images, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = _in_model(layer, x) if ours else layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, "float32") * upstream)
        weights = [weight.value for weight in layer.trainable_variables]
        found.append((layer, y, *tape.gradient(loss, [x, *weights])))
    (layer, *ours), (theirs, *truth) = found
    for a, b in zip(ours, truth, strict=True):
        assert a.dtype == b.dtype
        a, b = tf.cast(a, "float64").numpy(), tf.cast(b, "float64").numpy()
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())
    np.testing.assert_allclose(layer.moving_mean, theirs.moving_mean, rtol=tolerance)
    # n - 1 instead of n, in what the batch adds
    n, kept = images[..., 0].size, 0.9 if layer.trainable else 1.0
    expected = (theirs.moving_variance - kept) * n / (n - 1)
    np.testing.assert_allclose(layer.moving_variance - kept, expected, rtol=tolerance, atol=1e-7)


def _in_model(layer, x):
    """What a model with this layer alone gives, in its precision."""
    model = keras.Sequential([layers.Input(x.shape[1:], dtype=layer.compute_dtype), layer])
    return kernels.forward(model, x, training=True)


def test_batch_normalization_of_dense_layers_is_left_to_keras():
    model = keras.Sequential([layers.Input((8,)), layers.BatchNormalization()])
    x = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
    ours = kernels.forward(model, tf.constant(x), training=True)
    np.testing.assert_allclose(ours, (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3), rtol=1e-4)


def test_a_model_is_left_as_it_was():
    model = _network(layers.BatchNormalization(), layers.Activation("gelu"))
    before = {id(layer): dict(vars(layer)) for layer in model.layers}
    kernels.forward(model, IMAGES, training=True)
    assert {id(layer): dict(vars(layer)) for layer in model.layers} == before
    assert model.layers[3].activation is keras.activations.gelu


# Parts


class _Own(layers.Layer):
    def call(self, inputs):
        return inputs - tf.reduce_mean(inputs, axis=0, keepdims=True)


class _OwnModel(keras.Model):
    def call(self, inputs):
        return inputs[::-1]


@pytest.mark.parametrize(
    "more, training, prediction",
    [
        ((layers.MaxPooling2D(2), layers.ReLU()), True, True),
        ((keras.Sequential([layers.Conv2D(3, 1)]),), True, True),
        ((layers.Dropout(0.5),), False, True),
        ((keras.Sequential([keras.Sequential([layers.BatchNormalization()])]),), False, True),
        ((keras.Sequential([_Own()]),), False, False),
        ((layers.Conv2D(3, 1, activity_regularizer="l2"),), False, False),
    ],
)
def test_a_batch_is_cut_only_where_no_result_depends_on_the_rest_of_it(more, training, prediction):
    model = _network(*more)
    assert kernels.parts(model, training=True) == (PARTS if training else 1)
    assert kernels.parts(model, training=False) == (PARTS if prediction else 1)
    assert kernels.parts(_OwnModel(), training=True) == 1


def test_halves_give_what_the_whole_gives():
    model = _network(layers.ReLU())
    whole, halves = (kernels.forward(model, IMAGES[:7], training=True, parts=parts) for parts in (1, 2))
    np.testing.assert_allclose(whole, halves, atol=1e-5)
    assert halves.shape == (7, 10)


def test_a_softmax_in_halves_keeps_the_logits_that_the_loss_wants():
    """A class of probability 1e-20 costs 46 nats: from rounded probabilities it would be 16."""
    model = keras.Sequential([layers.Input((10,)), layers.Softmax()])
    logits = np.zeros((4, 10), "float32")
    logits[:, 0] = 46.0
    outputs = kernels.forward(model, tf.constant(logits), training=True, parts=2)
    loss = keras.losses.sparse_categorical_crossentropy(np.full(4, 3), outputs)
    np.testing.assert_allclose(loss, 46, rtol=1e-3)


# Adam


def test_adams_steps_are_those_of_keras():
    gradients = np.random.default_rng(0).normal(size=(20, 3, 5)).astype("float32")
    weights, optimizers = [], []
    for ours in (True, False):
        variable = keras.Variable(np.ones((3, 5), "float32"))
        optimizer = keras.optimizers.Adam(0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-4)
        optimizer.build([variable])
        for gradient in gradients:
            step = kernels.apply_gradients if ours else keras.optimizers.Adam.apply
            step(optimizer, [tf.constant(gradient)], [variable])
        weights.append(np.asarray(variable)), optimizers.append(optimizer)
    np.testing.assert_allclose(*weights, rtol=1e-5)
    for ours, theirs in zip(*(optimizer.variables for optimizer in optimizers), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-7)
    assert "update_step" not in vars(optimizers[0])


class _Negated(keras.optimizers.Adam):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(-gradient, variable, learning_rate)


def _steps(step, build, gradient, n):
    """What is left of a variable of ones after n steps of an optimizer."""
    variable, optimizer = keras.Variable(np.ones((4, 2), "float32")), build()
    optimizer.build([variable])
    for _ in range(n):
        step(optimizer, [gradient], [variable])
    return np.asarray(variable)


Adam = keras.optimizers.Adam
OPTIONS = {"amsgrad": True, "weight_decay": 0.1, "clipnorm": 0.1, "clipvalue": 0.1, "global_clipnorm": 0.1}
OPTIONS |= {"use_ema": True, "gradient_accumulation_steps": 2, "loss_scale_factor": 16.0}
OTHERS = {name: partial(Adam, **{name: value}) for name, value in OPTIONS.items()}
OTHERS |= {"a subclass": _Negated, "Nadam": keras.optimizers.Nadam}


@pytest.mark.parametrize("build", OTHERS.values(), ids=OTHERS)
def test_any_other_optimizer_is_left_to_keras(build, monkeypatch):
    monkeypatch.setattr(kernels, "_adam_step", lambda *_: pytest.fail("its step was replaced"))
    gradient = tf.constant(np.arange(8, dtype="float32").reshape(4, 2))
    ours, theirs = (_steps(step, build, gradient, 4) for step in (kernels.apply_gradients, keras.Optimizer.apply))
    np.testing.assert_array_equal(ours, theirs)


def test_sparse_gradients_are_left_to_keras():
    gradient = tf.IndexedSlices(tf.ones((1, 2)), [2], (4, 2))
    ours, theirs = (_steps(step, Adam, gradient, 1) for step in (kernels.apply_gradients, keras.Optimizer.apply))
    np.testing.assert_array_equal(ours, theirs)


# The loop


def test_the_loop_takes_the_batches_in_their_order_and_the_rest_at_last():
    cut = set()

    def step(images, labels, parts):
        cut.add(parts)
        return tf.reduce_sum(tf.cast(labels, tf.float32)), tf.constant(3)

    order = np.random.default_rng(2).permutation(70)
    results = np.concatenate(list(kernels.over_batches(step, IMAGES, LABELS, 16, 2)(order)))
    expected = [[LABELS[order[at : at + 16]].sum(), 3, min(16, 70 - at)] for at in range(0, 70, 16)]
    assert results.tolist() == expected
    assert cut == {1, 2}, "the rest may be a single image, and is not cut"


@pytest.mark.parametrize("seconds, calls", [(0.0, 2), (1.0, 70)])
def test_slow_steps_are_taken_one_by_one(seconds, calls, monkeypatch):
    """So that a large network shows its progress, and can be interrupted."""
    clock = iter(np.arange(1000) * max(seconds, 1e-6))
    monkeypatch.setattr(kernels.time, "perf_counter", lambda: next(clock))
    run = kernels.over_batches(lambda *_: (tf.constant(0.0), tf.constant(0)), IMAGES, LABELS, 1, 1)
    assert len(list(run(np.arange(51 if calls == 2 else 70)))) == calls


# The switch


@pytest.mark.parametrize(
    "build",
    [
        lambda: experiment("ladder-deeper").build(0),
        lambda: _network(layers.BatchNormalization(), layers.Activation("gelu")),
    ],
)
def test_all_off_gives_the_same_numbers_within_rounding(build, monkeypatch):
    from labhelpers import training

    histories = []
    for used in (kernels.ALL, frozenset()):
        monkeypatch.setattr(kernels, "used", used)
        history = training.fit(build(), IMAGES, LABELS, validation_data=(IMAGES, LABELS), epochs=2)
        histories.append(history.table())
    np.testing.assert_allclose(*histories, rtol=5e-3)


@pytest.mark.parametrize("name", sorted(kernels.ALL))
def test_each_can_be_turned_off(name, monkeypatch):
    """What is off leaves no trace in the work done."""
    used = []
    for function in ("gelu", "batch_normalization", "_adam_step"):
        original = getattr(kernels, function)
        monkeypatch.setattr(kernels, function, lambda *a, f=function, g=original, **k: used.append(f) or g(*a, **k))
    monkeypatch.setattr(kernels, "used", kernels.ALL - {name})
    model = _network(layers.BatchNormalization(), layers.Activation("gelu"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(kernels.forward(model, IMAGES, training=True))
    weights = model.trainable_variables
    model.optimizer.build(weights)
    kernels.apply_gradients(model.optimizer, tape.gradient(loss, [w.value for w in weights]), weights)
    there = {{"_adam_step": "adam"}.get(one, one) for one in used}
    assert there == {"gelu", "batch_normalization", "adam"} - {name}
    assert kernels.parts(_network(), training=True) == (1 if name == "halves" else PARTS)
    if name == "loop":
        run = kernels.over_batches(lambda *_: (tf.constant(0.0), tf.constant(0)), IMAGES, LABELS, 1, 1)
        assert len(list(run(np.arange(70)))) == 70
