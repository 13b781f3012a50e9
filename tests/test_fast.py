"""Training by a recipe does what it says, and a run that was cut off ends like one that was not."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from labhelpers import data, fast, models
from labhelpers.backend import keras, tf
from labhelpers.errors import CheckpointUnusable, LabError, TrainingDiverged
from labhelpers.recipe import Recipe, averaging_decay, relative_rate

PLAIN = Recipe(flips_and_shifts=False, label_smoothing=0.0, averaging=False)
SETTINGS = {"epochs": 3, "batch_size": 50, "learning_rate": 0.1}


@pytest.fixture(scope="module")
def split():
    images = data.load("standin").split(400)
    return images._replace(validation=data.Images(*(part[:100] for part in images.validation)))


def network(images=None, seed=0, widths=(4, 8, 8)):
    model = models.three_blocks(seed, widths)
    if images is not None:
        models.start_whitened(model, images)
    return model


def trained(split, recipe, checkpoint=None, whitened=True, **settings):
    model = network(split.train.images if whitened else None)
    history = fast.train(model, split, recipe, checkpoint=checkpoint, **(SETTINGS | settings))
    return model, history


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_learns_and_tells_what_happened(split):
    model, history = trained(split, PLAIN, epochs=10, learning_rate=0.3)
    assert history.loss[-1] < history.loss[0] - 0.3 and history.accuracy[-1] > 0.25
    assert [len(getattr(history, name)) for name in history.COLUMNS] == 5 * [10]
    probabilities = fast.predict_views(model, split.train.images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == split.train.labels).mean() > 0.25


def test_views_are_averaged_as_the_logarithms_of_probabilities(split):
    model, images = network(split.train.images), split.test.images[:20]
    from scipy.special import log_softmax, softmax

    from labhelpers.augmentation import views

    logits = sum(weight * log_softmax(np.asarray(model(seen)), axis=1) for weight, seen in views(images))
    np.testing.assert_allclose(fast.predict_views(model, images), softmax(logits, axis=1), atol=1e-5)


def test_without_validation_images_their_columns_are_empty(split):
    history = trained(
        split._replace(validation=data.Images(*(part[:0] for part in split.validation))), PLAIN
    )[1]
    assert [len(getattr(history, name)) for name in history.COLUMNS] == [3, 3, 0, 0, 3]


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(split):
    first, second, other = (trained(split, Recipe(), seed=seed)[0] for seed in (1, 1, 2))
    assert equal(first, second) and not equal(first, other)


@pytest.fixture(scope="module")
def plain(split):
    return trained(split, PLAIN, epochs=2)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"flips_and_shifts": True},
        {"label_smoothing": 0.2},
        {"averaging": True},
        {"weight_decay": 0.1},
        {"bias_factor": 1.0},
        {"momentum": 0.0},
        {"whitening_epochs": 1},
    ],
    ids=str,
)
def test_each_part_of_the_recipe_changes_the_training(split, plain, change):
    assert not equal(plain, trained(split, replace(PLAIN, **change), epochs=2)[0])


def test_a_step_is_that_of_keras_with_nesterov_momentum(split):
    """At one rate, and without what is peculiar to the recipe, the steps are those of Keras's own optimizer."""
    recipe = replace(PLAIN, weight_decay=0.0, bias_factor=1.0)
    ours = network()
    fast.train(ours, split, recipe, **(SETTINGS | {"epochs": 1, "batch_size": 200}))
    theirs = network()
    optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=True)
    optimizer.build(theirs.trainable_variables)
    order = np.random.default_rng([0, 1]).permutation(400)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for step in (0, 1):
        chosen = order[200 * step : 200 * (step + 1)]
        # Keras keeps rate times gradients where we keep gradients: with a new rate the momentum is rescaled.
        rate = 0.1 * relative_rate(step / 2)
        if step:
            for momentum in optimizer.momentums:
                momentum.assign(momentum * rate / optimizer.learning_rate)
        optimizer.learning_rate = rate
        with tf.GradientTape() as tape:
            halves = [theirs(split.train.images[half], training=True) for half in np.split(chosen, 2)]
            value = loss(split.train.labels[chosen], tf.concat(halves, 0))
        optimizer.apply(tape.gradient(value, [w.value for w in theirs.trainable_variables]))
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def test_a_step_decays_weights_and_hurries_the_biases_of_norms_as_published(split):
    """One step by hand, from airbench94: decay joins the gradient, divided by the factor that multiplies the rate."""
    recipe = replace(PLAIN, label_smoothing=0.2, weight_decay=0.05, bias_factor=16.0)
    ours, theirs = network(), network()
    fast.train(ours, split, recipe, epochs=1, batch_size=400, learning_rate=0.5)
    order = np.random.default_rng([0, 1]).permutation(400)
    truth = 0.8 * np.eye(10)[split.train.labels[order]] + 0.02
    with tf.GradientTape() as tape:
        halves = [theirs(split.train.images[half], training=True) for half in np.split(order, 2)]
        loss = tf.reduce_mean(-tf.reduce_sum(truth * tf.nn.log_softmax(tf.concat(halves, 0)), axis=1))
    gradients = tape.gradient(loss, [weight.value for weight in theirs.trainable_variables])
    for weight, gradient, after in zip(
        theirs.trainable_variables, gradients, ours.trainable_variables, strict=True
    ):
        factor = 16.0 if weight.name == "beta" else 1.0
        push = gradient.numpy() + 0.05 / factor * weight.numpy()
        expected = weight.numpy() - factor * 0.5 * relative_rate(0) * (1 + recipe.momentum) * push
        np.testing.assert_allclose(after.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_weights_join_their_average_every_five_steps(split):
    settings = {"epochs": 1, "batch_size": 80}
    start = network(split.train.images).get_weights()
    plain, averaged = (
        trained(split, replace(PLAIN, averaging=averaging), **settings)[0].get_weights()
        for averaging in (False, True)
    )
    kept = averaging_decay(0.8)  # when the fifth of five steps begins, four are made
    for first, last, average in zip(start, plain, averaged, strict=True):
        np.testing.assert_allclose(average, kept * first + (1 - kept) * last, rtol=1e-5, atol=1e-6)


def test_only_the_bias_of_a_whitened_layer_is_trained_and_only_at_first(split, monkeypatch):
    model = network(split.train.images)
    layer = model.get_layer(models.FIRST_LAYER)
    kernels, biases = ([weight] for weight in layer.get_weights())
    held_out = fast._held_out

    def note(*arguments):
        for weight, list_of_them in zip(layer.get_weights(), (kernels, biases), strict=True):
            list_of_them.append(weight)
        return held_out(*arguments)

    monkeypatch.setattr(fast, "_held_out", note)
    fast.train(model, split, replace(PLAIN, whitening_epochs=1), **SETTINGS)
    assert all((kernel == kernels[0]).all() for kernel in kernels)
    assert [bool((a != b).any()) for a, b in pairwise(biases)] == [True, False, False]


def test_interrupted_and_resumed_ends_with_the_same_numbers(split, tmp_path, monkeypatch):
    whole, history = trained(split, Recipe())
    path = tmp_path / "état.npz"
    prepare = fast._epoch_images

    def interrupted(part, recipe, seed, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return prepare(part, recipe, seed, epoch)

    monkeypatch.setattr(fast, "_epoch_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(split, Recipe(), path)
    monkeypatch.undo()
    resumed, second = trained(split, Recipe(), path)
    assert equal(whole, resumed)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert (getattr(history, name) == getattr(second, name)).all()
    finished, third = trained(split, Recipe(), path)  # is not trained again
    assert equal(whole, finished) and (third.seconds == second.seconds).all()


def test_killed_and_resumed_ends_with_the_same_numbers(split, tmp_path):
    path, epochs = tmp_path / "c.npz", 6
    code = f"""
import time
from labhelpers import data, fast, models
from labhelpers.recipe import Recipe
prepare = fast._epoch_images
fast._epoch_images = lambda *arguments: time.sleep(3600) if arguments[-1] == 5 else prepare(*arguments)
split = data.load("standin").split(400)
model = models.three_blocks(0, (4, 8, 8))
models.start_whitened(model, split.train.images)
split = split._replace(validation=data.Images(*(part[:100] for part in split.validation)))
fast.train(model, split, Recipe(), epochs={epochs}, batch_size=50, learning_rate=0.1, checkpoint={str(path)!r})
"""
    run, until = subprocess.Popen([sys.executable, "-c", code]), time.time() + 600
    while not path.exists() and run.poll() is None and time.time() < until:
        time.sleep(0.02)
    run.kill()
    assert run.wait() == (-signal.SIGKILL if os.name == "posix" else 1) and path.exists()
    whole, resumed = (trained(split, Recipe(), where, epochs=epochs)[0] for where in (None, path))
    assert equal(whole, resumed)


@pytest.mark.parametrize(
    "spoil, why",
    [("seed", "of a training with other settings"), ("cut", "damaged"), ("text", "damaged")],
)
def test_a_checkpoint_that_does_not_fit_is_named_with_what_to_do(split, tmp_path, spoil, why):
    path = tmp_path / "checkpoint.npz"
    trained(split, PLAIN, path, epochs=1)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    if spoil == "text":
        path.write_text("not a checkpoint")
    with pytest.raises(CheckpointUnusable, match=rf"checkpoint\.npz is {why}.*: delete checkpoint\.npz"):
        trained(split, PLAIN, path, epochs=1, seed=int(spoil == "seed"))


def test_a_loss_that_is_not_finite_ends_in_one_line(split):
    with pytest.raises(TrainingDiverged, match="no longer finite in epoch 1: try a smaller learning_rate"):
        trained(split, PLAIN, learning_rate=1e30)


def test_numbers_of_numpy_are_numbers(split, tmp_path):
    settings = {"epochs": np.int64(1), "learning_rate": np.float32(0.1), "seed": np.int64(1)}
    trained(split, PLAIN, tmp_path / "checkpoint.npz", **settings)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 1}, {"batch_size": 401}, {"learning_rate": 0}, {"seed": -1}],
    ids=str,
)
def test_a_bad_parameter_is_named(split, wrong):
    with pytest.raises(LabError, match=f"{next(iter(wrong))} is "):
        trained(split, PLAIN, **wrong)


def test_the_rate_rises_then_falls_in_straight_lines():
    assert [relative_rate(done) for done in (0, 0.115, 0.23, 1)] == pytest.approx([0.2, 0.6, 1, 0.07])
    assert [averaging_decay(done) for done in (0, 0.5, 1)] == pytest.approx([0, 0.95**5 / 8, 0.95**5])
