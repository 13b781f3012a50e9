"""Train `models.three_blocks` to 94 %, with the recipe of airbench94 (Jordan 2024, arXiv 2404.00498).

It builds on Page 2018 ("How to Train Your ResNet", cifar10-fast). Functions import TensorFlow themselves, so that the
study's tables, which only read `Recipe`, need not wait for it.
"""

import json
import math
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

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

    # Data augmentation: mirror each image in every other epoch, and shift it by up to two pixels (Jordan 2024, 3.6).
    flips_and_shifts: bool = True
    # Label smoothing: the share of the target probability that is spread evenly over all ten classes, 0 to below 1.
    label_smoothing: float = 0.2
    # Weight averaging (Lookahead: Zhang et al. 2019, arXiv 1907.08610): every few steps, the weights are replaced by a
    # running average of themselves, and training goes on from there. airbench94 starts it in its third epoch.
    averaging: bool = True
    # Number of epochs in which the bias of the first layer is trained; its kernel never is (Jordan 2024, 3.2).
    whitening_epochs: int = 3
    # Nesterov momentum, 0 to below 1.
    momentum: float = 0.85
    # Added, times the weight, to the gradient of the mean loss, so that the learning rate scales it. airbench94's 0.0153
    # is multiplied into the weights directly; divided by its learning rate it has the same effect here.
    weight_decay: float = 0.0153 / 11.5
    # Batch normalisation's biases learn this many times faster, and their decay is as many times smaller (Jordan 2024, 3.4).
    bias_factor: float = 64.0

    # Images per step. airbench94 takes 1,024; 500 had a better validation accuracy on two cores.
    BATCH_SIZE = 500
    # The peak of the learning rate. airbench94's 11.5 is for 1,024 images and divided by 1 + 1 / (1 - momentum); this is
    # its equivalent for the mean loss of 500.
    LEARNING_RATE = 0.73
    # The learning rate rises linearly from START times its peak, reaches the peak after the fraction PEAK_AT of all steps,
    # and falls linearly to END times its peak.
    START, PEAK_AT, END = 0.2, 0.23, 0.07
    # Weight averaging happens every so many steps; for DECAY, see `averaging_decay`.
    AVERAGED_EVERY, DECAY = 5, 0.95
    WHITENING_IMAGES = 5000  # the first ones of the training set
    # Added to the variances that whitening divides by, so that directions with little variance don't become noise.
    WHITENING_EPSILON = 5e-4
    # Batch normalisation takes the statistics of each half of a batch, whatever the number of threads.
    PARTS = 2

    def learning_rate_factor(self, done: float) -> float:
        """Return the learning rate as a fraction of its peak; `done` is the fraction of training completed, 0 to 1."""
        if done < self.PEAK_AT:
            return self.START + (1 - self.START) * done / self.PEAK_AT
        return 1 + (self.END - 1) * (done - self.PEAK_AT) / (1 - self.PEAK_AT)

    def averaging_decay(self, done: float) -> float:
        """Return the fraction of the average that is kept when new weights are mixed in, as for `learning_rate_factor`.

        It grows with `done`, cubed: early in training the average follows the weights, in the end it hardly changes.
        """
        return self.DECAY**self.AVERAGED_EVERY * done**3


def initialise(model, images) -> None:
    """Give `three_blocks` its initial weights: whitening in the first layer, the identity in the convolutions after it.

    The first layer's kernels are the 12 eigenvectors of the covariance of 2x2 patches, each divided by the standard
    deviation along it, and their negatives. So the outputs are uncorrelated, with a variance near 1 (Page 2018; Jordan
    2024, section 3.2). Only its bias is still trained. The other convolutions begin by copying their input, as far as they
    have channels for it (identity or Dirac initialisation, Jordan 2024, section 3.3).

    Args:
        model: new; changed in place.
        images: of the training set, uint8, (N, 32, 32, 3).

    Raises:
        LabError: a network of another shape.
    """
    from labhelpers.backend import keras

    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    sizes = [layer.kernel_size for layer in convolutions]
    if model.layers[1:2] != convolutions[:1] or sizes != [(2, 2), *(len(sizes) - 1) * [(3, 3)]]:
        made_for = "models.three_blocks and three_wide_blocks"
        raise errors.LabError(f"initialise is for {made_for}: leave it out for other networks")
    first, *others = convolutions
    standardised = model.layers[0](np.asarray(images[: Recipe.WHITENING_IMAGES])).numpy().astype("float32")
    patches = np.lib.stride_tricks.sliding_window_view(standardised, (2, 2), axis=(1, 2))
    patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 2 * 2 * 3)
    variances, directions = np.linalg.eigh(patches.T @ patches / len(patches))
    kernels = (directions / np.sqrt(variances + Recipe.WHITENING_EPSILON)).reshape(2, 2, 3, -1)
    first.kernel.assign(np.concatenate([kernels, -kernels], axis=-1))
    first.kernel.trainable = False
    for layer in others:
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
    """Train a network with SGD and Nesterov momentum, as the recipe says; the weights of the last epoch are kept.

    The model needs no `compile`: the optimizer is part of the recipe.

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
        validation_data: a pair of images and classes to test on after each epoch; they choose nothing. Or `None`.
        epochs: passes over the images, at least 1.
        batch_size: images per step, 2 to N; an epoch skips the images left over.
        learning_rate: its peak, for the mean loss of a batch, above 0.
        seed: fixes the order of the images and the data augmentation.
        recipe: the remaining hyperparameters, see `Recipe`.
        checkpoint: a file that keeps the state after each epoch. If it exists, training continues from it, with the same
            result.

    Returns:
        The `training.History`, whose training losses include label smoothing.

    Raises:
        LabError: a parameter outside its range, one-hot labels, or a network that ends in a softmax.
        CheckpointUnusable: the checkpoint is damaged, or of a different training.
        TrainingDiverged: the loss is no longer a finite number.
    """
    import joblib

    from labhelpers.checks import checked_for_recipe
    from labhelpers.models import layout
    from labhelpers.training import History, predictor

    x, y, *held_out = checked_for_recipe(model, (x, y), validation_data)
    errors.check_whole_number("epochs", epochs, 1)
    errors.check_whole_number("batch_size", batch_size, recipe.PARTS, len(x))
    errors.check_positive("learning_rate", learning_rate)
    errors.check_seed(seed)
    training = _Training(model, recipe, float(learning_rate), len(x) // batch_size, epochs)
    history, predict, prepare = History(), predictor(model), partial(_epoch_images, x, y, recipe, seed)
    if checkpoint:
        settings = [asdict(recipe), *map(float, (epochs, batch_size, seed, learning_rate))]
        digest = joblib.hash([settings, str(layout(model)), model.get_weights(), x, y, *held_out])
        training.load(Path(checkpoint), digest, history)
    done = len(history.seconds)
    bar = progress(epochs * len(x), "training", unit="image", initial=done * len(x))
    with bar, ThreadPoolExecutor(1) as background:
        # The images of the next epoch are prepared while TensorFlow trains on those of this one.
        prepared = background.submit(prepare, done + 1)
        for epoch in range(done + 1, epochs + 1):
            started = time.perf_counter()
            images, labels = prepared.result()
            if epoch < epochs:
                prepared = background.submit(prepare, epoch + 1)
            bar.set_description_str(f"epoch {epoch} of {epochs}")
            row = training.epoch(images, labels, batch_size, bar)
            row |= _held_out(predict, *held_out) if held_out else {}
            history.add(row, time.perf_counter() - started)
            if checkpoint:
                training.save(Path(checkpoint), digest, history)
    history.last_weights = model.get_weights()
    return history


def predict(model, images) -> np.ndarray:
    """Return the probability of each class with test-time augmentation (TTA): averaged over 6 views of each image.

    Logarithms of probabilities are averaged, as Jordan 2024 averages logits (section 3.5).

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
    """The state of a training: weights, their momenta and running averages, number of steps taken."""

    def __init__(self, model, recipe, learning_rate, steps, epochs):
        from labhelpers.backend import tf

        self.recipe, self.learning_rate = recipe, learning_rate
        self.steps, self.all_steps, self.taken = steps, steps * epochs, 0  # of an epoch, of all epochs, so far
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

    def epoch(self, images, labels, batch_size, bar):
        """Train on the images in their order; return the mean loss and the accuracy."""
        recipe, epoch = self.recipe, self.taken // self.steps + 1
        train_step = self.first_step if epoch <= recipe.whitening_epochs else self.later_step
        totals, n = np.zeros(2), self.steps * batch_size
        for start in range(0, n, batch_size):
            chosen, done = slice(start, start + batch_size), self.taken / self.all_steps
            rate = np.float32(self.learning_rate * recipe.learning_rate_factor(done))
            totals += train_step(images[chosen], labels[chosen], rate).numpy()
            if not math.isfinite(totals[0]):
                fault = f"the training loss is no longer finite in epoch {epoch}: try a smaller learning_rate"
                raise errors.TrainingDiverged(fault)
            self.taken += 1
            if recipe.averaging and self.taken % recipe.AVERAGED_EVERY == 0:
                self.average(np.float32(recipe.averaging_decay(done)))
            bar.update(batch_size)
        if recipe.averaging and self.taken == self.all_steps >= recipe.AVERAGED_EVERY:
            self.average(np.float32(1))  # the model ends with the average itself
        bar.update(len(images) - n)
        return dict(zip(("loss", "accuracy"), (totals / n).tolist(), strict=True))

    def save(self, path, digest, history):
        arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(self.variables)}
        done = json.dumps([history.history, history.seconds])
        with atomic_write(path, "free some space there") as temporary, temporary.open("wb") as file:
            np.savez(file, digest=digest, done=done, **arrays)

    def load(self, path, digest, history):
        """Restore what was saved, and the history of the epochs that are done, if the file is there."""
        remedy = f"delete {path.name} to start anew"
        try:
            with np.load(path) as saved:
                if saved.get("digest") != digest:
                    fault = "is of another network, or of one trained with other settings or images"
                    raise errors.CheckpointUnusable(f"{path} {fault}: {remedy}")
                history.history, history.seconds = json.loads(str(saved["done"]))
                arrays = [saved[f"variable_{i}"] for i in range(len(self.variables))]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise errors.CheckpointUnusable(f"{path} is damaged: {remedy}") from error
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array)
        self.taken = self.steps * len(history.seconds)


def _train_step(model, training, trains_first_bias):
    """Return a function of images, labels and learning rate that takes a step; it returns loss and right answers."""
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
        # `g - (-decay * w)`: written so that TensorFlow doesn't merge this sum with that of the two halves' gradients into
        # one of three terms, whose order would vary, so that runs with one seed would differ in the last digit.
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
    """Return the images and labels of an epoch in its order, with data augmentation if the recipe says so."""
    order = np.random.default_rng([seed, epoch]).permutation(len(x))
    if recipe.flips_and_shifts:
        x = augmentation.flip_and_shift(x, epoch, seed)
    return x[order], y[order]


def _held_out(predict, x, y):
    """Return loss and accuracy of the validation images."""
    probabilities = predict(x)
    of_truth = probabilities[np.arange(len(y)), y]
    loss = -np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean()
    return {"val_loss": float(loss), "val_accuracy": float((probabilities.argmax(axis=1) == y).mean())}
