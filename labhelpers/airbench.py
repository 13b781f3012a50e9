"""Train `models.three_blocks` as the fastest known recipe does: the way from the original's accuracy to far more.

After Page 2018 ("How to Train Your ResNet", cifar10-fast) and Jordan 2024 (airbench94, arXiv 2404.00498).

TensorFlow is imported by the functions that use it: the study's tables read `Recipe`, and need not wait for it.
"""

import hashlib
import json
import math
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from labhelpers import augmentation, errors
from labhelpers.cifar10 import N_CLASSES
from labhelpers.paths import atomic_write
from labhelpers.progress import progress


@dataclass(frozen=True)
class Recipe:
    """All hyperparameters, with the values of airbench94 unless a comment says otherwise.

    The fields are what the study varies. The rest are constants of the class.
    """

    # Show each image mirrored in every other epoch, and moved by up to two pixels (Jordan 2024, section 3.6).
    flips_and_shifts: bool = True
    # The share of the target's probability that is given to all ten classes alike, 0 to below 1.
    label_smoothing: float = 0.2
    # Follow a running average of the weights, and keep that (Lookahead: Zhang et al. 2019, arXiv 1907.08610). airbench94
    # begins with it in its third epoch, and its average forgets by the share of training that the step just taken ends.
    averaging: bool = True
    # For how many epochs the bias of the first layer is trained; its kernel never is (Jordan 2024, section 3.2).
    whitening_epochs: int = 3
    # Of Nesterov's method, 0 to below 1.
    momentum: float = 0.85
    # Pull towards 0, added to the gradient of the mean loss, and so scaled by the learning rate. airbench94 multiplies its
    # 0.0153 into the weights; divided by its learning rate it has the same effect here.
    weight_decay: float = 0.0153 / 11.5
    # Multiplies the learning rate of batch normalisation's biases; their decay is divided by it (Jordan 2024, section 3.4).
    bias_factor: float = 64.0

    # Images per step. airbench94 takes 1,024; 500 validated better on two cores.
    BATCH_SIZE: ClassVar[int] = 500
    # At its peak. airbench94's 11.5 is for 1,024 images and divided by 1 + 1 / (1 - momentum); this is its equivalent for
    # the mean loss of 500.
    LEARNING_RATE: ClassVar[float] = 0.73
    # The learning rate rises from a share of its peak to the peak, then falls to another share, in straight lines.
    START: ClassVar[float] = 0.2
    PEAK_AT: ClassVar[float] = 0.23  # share of all steps
    END: ClassVar[float] = 0.07
    # The weights join their average every so many steps, and it keeps `DECAY` of itself per step, times the share of
    # training that is done, cubed: it forgets less and less.
    AVERAGED_EVERY: ClassVar[int] = 5
    DECAY: ClassVar[float] = 0.95
    # Added to the variances that whitening divides by, so that weak directions aren't blown up to noise.
    WHITENING_EPSILON: ClassVar[float] = 5e-4
    # Images of the training set that whitening looks at.
    WHITENING_IMAGES: ClassVar[int] = 5000
    # Each half of a batch is normalised by its own statistics, whatever the number of threads. The moving averages are
    # updated once for each half.
    PARTS: ClassVar[int] = 2

    def learning_rate_factor(self, done: float) -> float:
        """Return the learning rate as a share of its peak when a share `done` of all steps has been made, 0 to 1."""
        if done < self.PEAK_AT:
            return self.START + (1 - self.START) * done / self.PEAK_AT
        return 1 + (self.END - 1) * (done - self.PEAK_AT) / (1 - self.PEAK_AT)

    def averaging_decay(self, done: float) -> float:
        """Return how much of the running average stays when weights join it after a share `done` of all steps."""
        return self.DECAY**self.AVERAGED_EVERY * done**3


def initialise(model, images) -> None:
    """Give `three_blocks` its initial weights: whitening in the first layer, the identity in the convolutions after it.

    The first layer's kernels are the 12 directions of the 2x2 patches' covariance, each divided by the standard deviation
    along it, and their negatives. So the 12 directions are uncorrelated, with a variance near 1 (Page 2018; Jordan 2024,
    section 3.2). Only its bias is still trained. The other convolutions begin by copying their input, as far as they have
    channels for it (identity or Dirac initialisation, Jordan 2024, section 3.3).

    Args:
        model: new; changed in place.
        images: of the training set, uint8, (N, 32, 32, 3).

    Raises:
        LabError: a network of another shape.
    """
    from labhelpers.backend import keras

    first, *others = model.layers[1:] or model.layers
    convolutions = [layer for layer in others if isinstance(layer, keras.layers.Conv2D)]
    sizes = {layer.kernel_size for layer in convolutions}
    if getattr(first, "kernel_size", None) != (2, 2) or sizes != {(3, 3)}:
        raise errors.LabError(
            "initialise is for models.three_blocks and three_wide_blocks: leave it out for other networks"
        )
    standardised = model.layers[0](np.asarray(images[: Recipe.WHITENING_IMAGES])).numpy().astype("float32")
    patches = np.lib.stride_tricks.sliding_window_view(standardised, (2, 2), axis=(1, 2))
    patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 2 * 2 * 3)
    variances, directions = np.linalg.eigh(patches.T @ patches / len(patches))
    kernels = (directions / np.sqrt(variances + Recipe.WHITENING_EPSILON)).reshape(2, 2, 3, -1)
    first.kernel.assign(np.concatenate([kernels, -kernels], axis=-1))
    first.kernel.trainable = False
    for layer in convolutions:
        kernel = layer.kernel.numpy()
        copied = min(kernel.shape[2:])
        kernel[..., :copied] = 0
        kernel[1, 1, range(copied), range(copied)] = 1
        layer.kernel.assign(kernel)


def fit(
    model,
    x,
    y,
    *,
    validation_data=None,
    epochs: int,
    batch_size: int = Recipe.BATCH_SIZE,
    learning_rate: float = Recipe.LEARNING_RATE,
    seed: int = 0,
    recipe: Recipe = Recipe(),
    checkpoint: Path | str | None = None,
):
    """Train by the recipe; afterwards the model has the weights of the last epoch.

    It needs no `compile`: the optimizer, SGD with Nesterov momentum, is part of the recipe.

    Example:
        >>> from labhelpers import data, models
        >>> x, y = data.load("standin").split(1000).train
        >>> model = models.three_blocks(widths=(4, 8, 8))
        >>> initialise(model, x)
        >>> history = fit(model, x, y, epochs=1)
        >>> predict(model, x[:5]).shape
        (5, 10)

    Args:
        model: new, such as `models.three_blocks()` after `initialise`; returns logits (N, 10). Trained in place.
        x, y: images, uint8, (N, 32, 32, 3), and their classes, int, (N,).
        validation_data: a pair of images and classes that are looked at after each epoch, and choose nothing; or `None`.
        epochs: passes over the images, at least 1.
        batch_size: images per step, 2 to N; what is left over in an epoch is left out.
        learning_rate: at its peak, for the mean loss of a batch, above 0.
        seed: fixes the order of the images and the data augmentation.
        recipe: the remaining hyperparameters.
        checkpoint: a file that keeps the state after each epoch. If it exists, training goes on from it, with the same end.

    Returns:
        The `training.History`, whose training losses include label smoothing.

    Raises:
        LabError: a parameter outside its range, one-hot labels, or a network that ends in a softmax.
        CheckpointUnusable: the checkpoint is damaged, or of another training.
        TrainingDiverged: the loss is no longer a finite number.
    """
    from labhelpers.checks import checked_for_recipe
    from labhelpers.training import History, predictor

    x, y, *held_out = checked_for_recipe(model, (x, y), validation_data)
    n = len(x)
    errors.check_whole_number("epochs", epochs, 1)
    errors.check_whole_number("batch_size", batch_size, recipe.PARTS, n)
    errors.check_positive("learning_rate", learning_rate)
    errors.check_seed(seed)
    steps = n // batch_size
    training = _Training(model, recipe, float(learning_rate), steps, epochs)
    history = History()
    if checkpoint:
        checkpoint = Path(checkpoint)
        settings = [asdict(recipe), *map(float, (epochs, batch_size, seed, learning_rate))]
        digest = _digest(model, [x, y, *held_out], settings)
        if checkpoint.exists():
            history.history, history.seconds = training.load(checkpoint, digest)
    done_before = len(history.seconds)
    predict = predictor(model)
    with (
        ThreadPoolExecutor(1) as background,
        progress(epochs * n, "training", unit="image", initial=done_before * n) as bar,
    ):
        # The images of the next epoch are prepared while TensorFlow trains on those of this one.
        prepare = partial(_epoch_images, x, y, recipe, seed)
        prepared = background.submit(prepare, done_before + 1)
        for epoch in range(done_before + 1, epochs + 1):
            started = time.perf_counter()
            images, labels = prepared.result()
            if epoch < epochs:
                prepared = background.submit(prepare, epoch + 1)
            bar.set_description_str(f"epoch {epoch} of {epochs}")
            totals = np.zeros(2)
            for start in range(0, steps * batch_size, batch_size):
                chosen = slice(start, start + batch_size)
                totals += training.step(images[chosen], labels[chosen])
                if not math.isfinite(totals[0]):
                    raise errors.TrainingDiverged(
                        f"the training loss is no longer finite in epoch {epoch}: try a smaller learning_rate"
                    )
                bar.update(batch_size)
            bar.update(n - steps * batch_size)
            row = dict(zip(("loss", "accuracy"), (totals / (steps * batch_size)).tolist(), strict=True))
            row |= _held_out(predict, *held_out) if held_out else {}
            history.add(row, time.perf_counter() - started)
            if checkpoint:
                training.save(checkpoint, digest, history)
    history.last_weights = model.get_weights()
    return history


def predict(model, images) -> np.ndarray:
    """Return the probability of each class with test-time augmentation (TTA): averaged over 6 views of each image.

    The logarithms of the probabilities are averaged, as the logits in Jordan 2024 (section 3.5).

    Args:
        images: uint8, (N, 32, 32, 3).

    Returns:
        float32, (N, 10); each row sums to 1.
    """
    from labhelpers.backend import tf
    from labhelpers.training import predictor

    probabilities = predictor(model)
    logs = sum(
        weight * np.log(np.maximum(probabilities(seen), np.finfo(np.float32).tiny))
        for weight, seen in augmentation.views(images)
    )
    return tf.nn.softmax(tf.constant(logs, tf.float32)).numpy()


class _Training:
    """All that a training carries from step to step: weights, their momenta and running averages, steps taken."""

    def __init__(self, model, recipe, learning_rate, steps, epochs):
        from labhelpers.backend import tf

        self.recipe, self.learning_rate = recipe, learning_rate
        self.steps, self.all_steps, self.taken = steps, steps * epochs, 0
        self.weights = [weight.value for weight in model.weights]
        self.momenta = [tf.Variable(tf.zeros_like(weight.value)) for weight in model.trainable_variables]
        self.averages = [tf.Variable(weight) for weight in self.weights] if recipe.averaging else []
        self.variables = [*self.weights, *self.momenta, *self.averages]
        # The first layer's bias is trained in the first epochs only, which takes a graph of its own.
        self.first_step, self.later_step = (_train_step(model, self, first) for first in (True, False))

        @tf.function(reduce_retracing=True)
        def average(decay):
            for weight, mean in zip(self.weights, self.averages, strict=True):
                mean.assign(decay * mean + (1 - decay) * weight)
                weight.assign(mean)

        self.average = average

    def step(self, images, labels) -> np.ndarray:
        """Take a step on a batch; return the sum of its losses and its number of right answers."""
        from labhelpers.backend import tf

        recipe, done = self.recipe, self.taken / self.all_steps
        train_step = self.first_step if self.taken < recipe.whitening_epochs * self.steps else self.later_step
        rate = tf.constant(self.learning_rate * recipe.learning_rate_factor(done), tf.float32)
        totals = train_step(tf.constant(images), tf.constant(labels, tf.int64), rate).numpy()
        self.taken += 1
        if recipe.averaging and self.taken % recipe.AVERAGED_EVERY == 0:
            self.average(np.float32(recipe.averaging_decay(done)))
        if recipe.averaging and self.taken == self.all_steps >= recipe.AVERAGED_EVERY:
            self.average(np.float32(1))  # the model ends with the average itself
        return totals

    def save(self, path, digest, history):
        arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(self.variables)}
        done = json.dumps([history.history, history.seconds])
        with atomic_write(path, "free some space there") as temporary, temporary.open("wb") as file:
            np.savez(file, digest=digest, done=done, **arrays)

    def load(self, path, digest):
        """Restore what was saved; return the losses and accuracies of the epochs that are done, and their seconds."""
        remedy = f"delete {path.name} to start anew"
        try:
            with np.load(path) as saved:
                if saved.get("digest") != digest:
                    raise errors.CheckpointUnusable(
                        f"{path} is of another network, or of one trained with other settings or images: {remedy}"
                    )
                history, seconds = json.loads(str(saved["done"]))
                arrays = [saved[f"variable_{i}"] for i in range(len(self.variables))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise errors.CheckpointUnusable(f"{path} is damaged: {remedy}") from error
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array)
        self.taken = self.steps * len(seconds)
        return history, seconds


def _train_step(model, training, trains_first_bias):
    """Return a function that takes a step on images and labels at a learning rate; returns loss and right answers."""
    from labhelpers import kernels
    from labhelpers.backend import keras, tf

    recipe = training.recipe
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    fixed = [] if trains_first_bias else [id(one.bias) for one in convolutions if not one.kernel.trainable]
    learned = [
        (weight.value, momentum, recipe.bias_factor if weight.name == "beta" else 1.0)
        for weight, momentum in zip(model.trainable_variables, training.momenta, strict=True)
        if id(weight) not in fixed
    ]

    @tf.function(reduce_retracing=True)
    def train_step(images, labels, rate):
        with tf.GradientTape() as tape:
            logits = kernels.forward(model, images, training=True, parts=recipe.PARTS)
            truth = tf.one_hot(labels, N_CLASSES, 1 - recipe.label_smoothing, 0.0)
            truth += recipe.label_smoothing / N_CLASSES
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(truth, logits))
        gradients = tape.gradient(loss, [weight for weight, _, _ in learned])
        # Minus a negative on purpose: with a plus, TensorFlow would merge this sum with that of the two halves' gradients
        # into one of three terms, in no fixed order, and runs with one seed would differ in the last digit.
        for (weight, momentum, factor), gradient in zip(learned, gradients, strict=True):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.handle,
                accum=momentum.handle,
                lr=factor * rate,
                grad=gradient - (-recipe.weight_decay / factor) * weight,
                momentum=recipe.momentum,
                use_nesterov=True,
            )
        right = tf.math.count_nonzero(tf.equal(tf.argmax(logits, 1), labels), dtype=tf.float64)
        return tf.stack([tf.cast(loss, tf.float64) * tf.cast(tf.size(labels), tf.float64), right])

    return train_step


def _epoch_images(x, y, recipe, seed, epoch):
    """Return the images and labels of an epoch in its order, flipped and moved if the recipe says so."""
    order = np.random.default_rng([seed, epoch]).permutation(len(x))
    if recipe.flips_and_shifts:
        x = augmentation.flip_and_shift(x, epoch, seed)
    return x[order], y[order]


def _held_out(predict, x, y):
    """Return loss and accuracy of the validation images."""
    probabilities = predict(x)
    of_truth = probabilities[np.arange(len(y)), y]
    return {
        "val_loss": float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == y).mean()),
    }


def _digest(model, arrays, settings):
    """Return a digest of all that fixes a training: the network and its initial weights, images, labels and settings."""
    from labhelpers.models import layout

    digest = hashlib.sha256(json.dumps([settings, layout(model)], sort_keys=True, default=str).encode())
    for array in (*model.get_weights(), *arrays):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
