"""Train a network by a recipe, for a fixed number of epochs: the way from the original's accuracy to far more."""

import hashlib
import json
import math
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from labhelpers import augmentation
from labhelpers.backend import keras, tf
from labhelpers.data import Split
from labhelpers.errors import (
    CheckpointUnusable,
    TrainingDiverged,
    check_positive,
    check_seed,
    check_whole_number,
)
from labhelpers.models import N_CLASSES
from labhelpers.paths import atomic_write
from labhelpers.progress import progress
from labhelpers.recipe import (
    AVERAGED_EVERY,
    BATCH_SIZE,
    LEARNING_RATE,
    Recipe,
    averaging_decay,
    relative_rate,
)
from labhelpers.training import DIVERGED, History, batch_logits, predictor

# A batch is always trained in two halves, each normalised by its own statistics, however many threads there are.
HALVES = 2


def train(
    model: keras.Model,
    split: Split,
    recipe: Recipe,
    *,
    epochs: int,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> History:
    """Train by a recipe with Nesterov's momentum; afterwards the model has the weights of the last epoch.

    Args:
        model: new, takes uint8 images (N, 32, 32, 3), returns logits (N, 10); trained in place.
        split: `split.train` is learned from; `split.validation` is looked at after each epoch, if it has
            images, and chooses nothing; `split.test` is not touched.
        recipe: what else.
        epochs: passes over the training set, at least 1.
        batch_size: images per step, 2 to the size of the training set; what is left over in an epoch is left out.
        learning_rate: at its peak, for the mean loss of a batch, above 0.
        seed: fixes the order of the images, flips and shifts.
        checkpoint: a file that keeps the state after each epoch. Where it is there, training goes on from it, to
            the same numbers; a finished training is not repeated.

    Returns:
        The history; `val_loss` and `val_accuracy` are empty where there are no validation images, and the losses
        of the training set are those of the smoothed labels.

    Raises:
        LabError: a parameter outside its range.
        CheckpointUnusable: the checkpoint is damaged, or of another training.
        TrainingDiverged: the loss is no longer a finite number.
    """
    n = len(split.train.labels)
    check_whole_number("epochs", epochs, 1)
    check_whole_number("batch_size", batch_size, HALVES, n)
    check_positive("learning_rate", learning_rate)
    check_seed(seed)
    steps = n // batch_size
    state = _State(model, recipe)
    settings = {"epochs": int(epochs), "batch_size": int(batch_size), "seed": int(seed)}
    settings |= {"learning_rate": float(learning_rate)} | asdict(recipe)
    identity = _identity(model, split.train, settings) if checkpoint else None
    rows = state.load(Path(checkpoint), identity) if checkpoint and Path(checkpoint).exists() else []
    predict = predictor(model)
    learn = {whole: _compiled(model, state, recipe, whole) for whole in (True, False)}
    with (
        ThreadPoolExecutor(1) as background,
        progress(epochs * n, "training", unit="image", initial=len(rows) * n) as bar,
    ):
        # The images of the next epoch are prepared while TensorFlow trains on those of this one.
        prepare = partial(background.submit, _epoch_images, split.train, recipe, seed)
        prepared = prepare(len(rows) + 1)
        for epoch in range(len(rows) + 1, epochs + 1):
            started = time.perf_counter()
            images, labels = prepared.result()
            prepared = prepare(epoch + 1) if epoch < epochs else None
            bar.set_description_str(f"epoch {epoch} of {epochs}")
            totals = np.zeros(2)
            for step in range(steps):
                chosen = slice(step * batch_size, (step + 1) * batch_size)
                done = ((epoch - 1) * steps + step) / (epochs * steps)
                rate = tf.constant(learning_rate * relative_rate(done), tf.float32)
                batch = tf.constant(images[chosen]), tf.constant(labels[chosen], tf.int64)
                totals += learn[epoch <= recipe.whitening_epochs](*batch, rate).numpy()
                if not math.isfinite(totals[0]):
                    raise TrainingDiverged(
                        f"the training loss {DIVERGED} {epoch}: try a smaller learning_rate"
                    )
                if recipe.averaging and (step + 1) % AVERAGED_EVERY == 0:
                    state.average(averaging_decay(done))
                bar.update(batch_size)
            bar.update(n - steps * batch_size)
            if recipe.averaging and epoch == epochs:
                state.average(1.0)
            row = dict(zip(("loss", "accuracy"), (totals / (steps * batch_size)).tolist(), strict=True))
            row |= _held_out(predict, split.validation)
            rows.append(row | {"seconds": time.perf_counter() - started})
            if checkpoint:
                state.save(Path(checkpoint), identity, rows)
    columns = {name: np.array([row[name] for row in rows if name in row]) for name in History.COLUMNS}
    return History(**columns, last_weights=model.get_weights())


def predict_views(model: keras.Model, images) -> np.ndarray:
    """Return the probability of each class, averaged over six views of each image, float32, (N, 10).

    The logarithms of the probabilities are averaged, as logits are in Jordan 2024 (arXiv 2404.00498, section 3.5).

    Args:
        images: uint8, (N, 32, 32, 3).
    """
    predict = predictor(model)
    logs = sum(
        weight * np.log(np.maximum(predict(seen), np.finfo(np.float32).tiny))
        for weight, seen in augmentation.views(images)
    )
    return tf.nn.softmax(tf.constant(logs, tf.float32)).numpy()


class _State:
    """The weights, their momenta and their running averages: all that a training carries from step to step."""

    def __init__(self, model, recipe):
        self.weights = [weight.value for weight in model.weights]
        self.trained = [weight.value for weight in model.trainable_variables]
        self.momenta = [tf.Variable(tf.zeros_like(weight)) for weight in self.trained]
        self.averages = [tf.Variable(weight) for weight in self.weights] if recipe.averaging else []
        self.variables = [*self.weights, *self.momenta, *self.averages]

    @tf.function(reduce_retracing=True)
    def _average(self, decay):
        for weight, average in zip(self.weights, self.averages, strict=True):
            average.assign(decay * average + (1 - decay) * weight)
            weight.assign(average)

    def average(self, decay):
        """Let the weights join their running average and go on from it (Zhang et al. 2019, arXiv 1907.08610)."""
        self._average(tf.constant(decay, tf.float32))

    def save(self, path, identity, rows):
        arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(self.variables)}
        with atomic_write(path, "free some space there") as temporary, temporary.open("wb") as file:
            np.savez(file, identity=identity, rows=json.dumps(rows), **arrays)

    def load(self, path, identity):
        """Take up what was saved; returns the rows of the epochs that are done."""
        remedy = f"delete {path.name} to start anew"
        try:
            with np.load(path) as saved:
                if saved["identity"] != identity:
                    raise CheckpointUnusable(
                        f"{path} is of a training with other settings, precision or images: {remedy}"
                    )
                rows = json.loads(str(saved["rows"]))
                arrays = [saved[f"variable_{i}"] for i in range(len(self.variables))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointUnusable(f"{path} is damaged: {remedy}") from error
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array)
        return rows


def _compiled(model, state, recipe, whole):
    """Return a function that takes a step on uint8 images and labels; `whole` trains the fixed layer's bias, too."""
    norms, fixed = set(), set()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            norms.add(id(layer.beta.value))
        elif isinstance(layer, keras.layers.Conv2D) and not layer.kernel.trainable:
            fixed.add(id(layer.bias.value))
    chosen = [i for i, weight in enumerate(state.trained) if whole or id(weight) not in fixed]
    variables = [state.trained[i] for i in chosen]
    factors = [recipe.bias_factor if id(weight) in norms else 1.0 for weight in variables]

    @tf.function(reduce_retracing=True)
    def learn(images, labels, rate):
        with tf.GradientTape() as tape:
            logits = batch_logits(model, images, parts=HALVES, training=True)
            truth = tf.one_hot(labels, N_CLASSES, 1 - recipe.label_smoothing, 0.0)
            truth += recipe.label_smoothing / N_CLASSES
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(truth, logits))
        gradients = tape.gradient(loss, variables)
        # Decay is subtracted, negated: TensorFlow would make one sum of three of an addition and the halves' gradients,
        # whose order is not fixed (see `backend.PARTS`).
        for i, weight, gradient, factor in zip(chosen, variables, gradients, factors, strict=True):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.handle,
                accum=state.momenta[i].handle,
                lr=factor * rate,
                grad=gradient - (-recipe.weight_decay / factor) * weight,
                momentum=recipe.momentum,
                use_nesterov=True,
            )
        right = tf.math.count_nonzero(tf.equal(tf.argmax(logits, 1), labels), dtype=tf.float64)
        return tf.stack([tf.cast(loss, tf.float64) * tf.cast(tf.size(labels), tf.float64), right])

    return learn


def _epoch_images(part, recipe, seed, epoch):
    """Return the images and labels of an epoch in its order, flipped and moved if the recipe says so."""
    order = np.random.default_rng([seed, epoch]).permutation(len(part.labels))
    images = part.images
    if recipe.flips_and_shifts:
        images = augmentation.flip_and_shift(images, epoch, seed)
    return images[order], part.labels[order]


def _held_out(predict, part):
    """Return loss and accuracy of held-out images, or nothing where there are none."""
    if not len(part.labels):
        return {}
    probabilities = predict(part.images)
    of_truth = probabilities[np.arange(len(part.labels)), part.labels]
    return {
        "val_loss": float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == part.labels).mean()),
    }


def _identity(model, part, settings):
    """Return a digest of all that fixes a training: network, precision and initial weights, images and settings."""
    settings = settings | {"network": model.name, "precision": model.layers[0].compute_dtype}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in (*model.get_weights(), part.images, part.labels):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
