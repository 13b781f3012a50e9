"""Train a Keras model with `fit`, keep the weights that validate best, and `predict` with it."""

import time
from functools import partial

import numpy as np
import pandas as pd

from labhelpers import kernels
from labhelpers.backend import keras, tf
from labhelpers.checks import check_model, checked_data, checked_images, gives_probabilities, numbers_per_image
from labhelpers.errors import LabError, TrainingDiverged, TrainingInterrupted, check_seed, check_whole_number
from labhelpers.progress import progress, say

PREDICTION_BATCH_SIZE = 500


class History:
    """The losses and accuracies of a training, epoch by epoch; `history` and `epoch` are as in Keras's own `History`.

    Attributes:
        history: lists of one number per epoch: `loss` and `accuracy` of the training images, averaged over the epoch while
            the weights were changing; `val_loss` and `val_accuracy` of the validation images, after the epoch.
        seconds: how long each epoch took, validation included.
        last_weights: those after the last epoch, as `model.get_weights` gives them.
    """

    def __init__(self):
        self.history, self.seconds, self.last_weights = {}, [], None

    def add(self, row: dict, seconds: float = 0.0, weights=None) -> None:
        """Append an epoch: its losses and accuracies by name, the seconds it took, and the weights after it."""
        self.seconds.append(seconds)
        self.last_weights = weights
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)

    @property
    def epoch(self) -> list[int]:
        """The epochs, counted from 0 as in Keras; elsewhere the first epoch is 1."""
        return list(range(len(self.seconds)))

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the smallest validation loss; the first of several."""
        return int(np.argmin(self.history["val_loss"])) + 1

    def table(self) -> pd.DataFrame:
        """Return a row for each epoch: `epoch`, counted from 1, and the columns of `history`."""
        return pd.DataFrame({"epoch": np.array(self.epoch) + 1, **self.history})


def fit(
    model: keras.Model,
    x,
    y,
    *,
    validation_data,
    epochs: int,
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
    **others,
) -> History:
    """Train a compiled model as `model.fit` does, then restore the weights with the smallest validation loss.

    It ends like `model.fit` with `EarlyStopping(restore_best_weights=True)` and unlimited patience. It uses the loss and
    the optimizer that the model was compiled with. Each epoch has a new order of the images (a seeded `model.fit` on arrays
    repeats the first one), and training is faster (`labhelpers.kernels`).

    Args:
        model: compiled, new, with ten outputs: logits or, with a softmax at its end, probabilities. Trained in place.
        x: images, (N, 32, 32, 3); uint8 from 0 to 255 if the model scales them itself.
        y: their classes, int, (N,), or one-hot, (N, 10), as the loss takes them.
        validation_data: a pair of images and classes that choose the epoch, and are not trained on.
        epochs: passes over the images, at least 1.
        batch_size: images per step, 1 to N.
        shuffle: give the images a new order in each epoch; else all epochs have the order of `x`.
        seed: fixes the orders. With the same initial weights, machine, versions and number of threads, two runs are equal
            to the last bit.
        others: none; any other argument of `model.fit` ends in one line.

    Returns:
        The history, which is also `model.history`, even after an interruption.

    Raises:
        LabError: an argument that `fit` can't use, or a model that it can't train; the line says what to do.
        TrainingDiverged: the loss is no longer a finite number; the model has the best weights so far.
        TrainingInterrupted: Kernel → Interrupt, or Ctrl-C; the model has the best weights so far. If either happens in
            the first epoch there are none: build the model again.

    Example:
        >>> from labhelpers.data import load
        >>> split = load("standin").split(100)
        >>> scaling, flatten = keras.layers.Rescaling(1 / 255), keras.layers.Flatten()
        >>> softmax = keras.layers.Dense(10, activation="softmax")
        >>> model = keras.Sequential([keras.layers.Input((32, 32, 3), dtype="uint8"), scaling, flatten, softmax])
        >>> model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = fit(model, *split.train, validation_data=split.validation, epochs=2)
        fit: the model has the weights of epoch ... of 2, ...
        >>> sorted(history.history)
        ['accuracy', 'loss', 'val_accuracy', 'val_loss']
    """
    if others:
        raise LabError(f"fit has no argument {', '.join(others)}: leave it out, or train with model.fit")
    (x, y), (val_x, val_y) = checked_data(model, x, y, validation_data)
    check_whole_number("epochs", epochs, 1)
    check_whole_number("batch_size", batch_size, 1, len(x))
    check_seed(seed)
    check_model(model, y, batch_size)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    parts = [kernels.parts(model, training=training) for training in (True, False)]
    train = kernels.over_batches(partial(train_step, model), x, y, batch_size, parts[0])
    validate = kernels.over_batches(partial(test_step, model), val_x, val_y, _images_at_once(model), parts[1])
    history = model.history = History()
    best_weights, order = None, np.arange(len(x))
    try:
        with progress(epochs * (len(x) + len(val_x)), "training", unit="image") as bar:
            for epoch in range(1, epochs + 1):
                started = time.perf_counter()
                bar.set_description_str(f"epoch {epoch} of {epochs}")
                if shuffle:
                    order = np.random.default_rng([seed, epoch]).permutation(len(x))
                row = _one_pass(train, order, bar, "training", epoch)
                held_out = _one_pass(validate, np.arange(len(val_x)), bar, "validation", epoch)
                row |= {f"val_{name}": value for name, value in held_out.items()}
                history.add(row, time.perf_counter() - started, model.get_weights())
                if history.best_epoch == epoch:
                    best_weights = history.last_weights
                bar.set_postfix_str(f"val_loss {row['val_loss']:.3f}")
    except TrainingDiverged as error:
        error.history = history if history.epoch else None
        raise
    except KeyboardInterrupt:
        fault = "training was interrupted in its first epoch: run the cell that builds the model again"
        if history.epoch:
            kept = f"the model has the weights of epoch {history.best_epoch}, the best so far; model.history has the losses"
            fault = f"training was interrupted after epoch {len(history.epoch)} of {epochs}: {kept}"
        raise TrainingInterrupted(fault) from None
    finally:
        if best_weights is not None:
            model.set_weights(best_weights)
    say(
        f"fit: the model has the weights of epoch {history.best_epoch} of {epochs}, whose validation loss is the smallest "
        "(model.fit would leave those of the last epoch)"
    )
    return history


def train_step(model, images, labels, parts):
    """Take one step of the optimizer; return the batch's loss and its number of right answers."""
    with tf.GradientTape() as tape:
        outputs = kernels.forward(model, images, training=True, parts=parts)
        loss = model.compute_loss(y=labels, y_pred=outputs)
        scaled = model.optimizer.scale_loss(loss)  # for float16, whose small gradients would become 0
    gradients = tape.gradient(scaled, [weight.value for weight in model.trainable_variables])
    kernels.apply_gradients(model.optimizer, gradients, model.trainable_variables)
    return loss, _right(labels, outputs)


def test_step(model, images, labels, parts):
    """Return the batch's loss and its number of right answers; nothing is learned."""
    outputs = kernels.forward(model, images, training=False, parts=parts)
    return model.compute_loss(y=labels, y_pred=outputs, training=False), _right(labels, outputs)


def predict(model: keras.Model, images) -> np.ndarray:
    """Return the probability of each class, whether the model ends in a softmax or in logits.

    Args:
        model: with ten outputs.
        images: (N, 32, 32, 3); uint8 from 0 to 255 if the model scales them itself.

    Returns:
        float32, (N, 10); each row sums to 1.

    Raises:
        LabError: images that the model can't take, or a model whose outputs can't be made probabilities.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
        >>> predict(model, np.zeros((2, 32, 32, 3), "float32")).sum(axis=1)
        array([1., 1.], dtype=float32)
    """
    return predictor(model)(images)


def predictor(model: keras.Model):
    """Return a function that works like `predict`, for repeated use: TensorFlow builds its graph only once."""
    probabilities = gives_probabilities(model)
    forward = tf.function(partial(kernels.forward, model, training=False), reduce_retracing=True)
    parts, size = kernels.parts(model, training=False), _images_at_once(model)

    def run(images):
        images = checked_images(model, images)
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        outputs = [forward(tf.constant(batch), parts=min(parts, len(batch))) for batch in batches]
        outputs = tf.cast(tf.concat(outputs, 0), tf.float32)
        if probabilities:  # rounded to bfloat16, they would not quite sum to 1
            return (outputs / tf.reduce_sum(outputs, axis=1, keepdims=True)).numpy()
        return tf.nn.softmax(outputs).numpy()

    return run


def _images_at_once(model):
    """Return how many images to predict at once: fewer for a network whose layers' outputs would fill the memory."""
    return max(1, min(PREDICTION_BATCH_SIZE, 2**28 // max(1, numbers_per_image(model))))


def _right(labels, outputs):
    """Count the images whose largest output is that of their class."""
    classes = labels if labels.shape.rank == 1 else tf.argmax(labels, 1)
    return tf.math.count_nonzero(tf.equal(tf.argmax(outputs, 1), classes))


def _one_pass(run, order, bar, kind, epoch) -> dict[str, float]:
    """Run over the images in this order; return the mean loss and the accuracy."""
    steps = []
    try:
        for done in run(order):
            steps.append(done)
            bar.update(int(done[:, 2].sum()))
            if not np.isfinite(done).all():
                fault = f"the {kind} loss is no longer finite in epoch {epoch}"
                raise TrainingDiverged(
                    f"{fault}: try a smaller learning_rate, and check that the images are finite numbers"
                )
    except tf.errors.ResourceExhaustedError:
        raise LabError("the memory is full: make the network smaller, or batch_size, and restart the kernel") from None
    losses, right, images = np.concatenate(steps).T
    # Added up from left to right, 50 steps at a time, as when the study's runs were recorded; `np.sum` adds in pairs, and
    # another order changes the last digit.
    sums = [np.cumsum(part)[-1] for part in np.split(losses * images, range(50, len(images), 50))]
    return {"loss": float(np.cumsum(sums)[-1] / len(order)), "accuracy": float(right.sum() / len(order))}
