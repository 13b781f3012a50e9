"""Train a network, keep the weights that validate best, and say what happened."""

import math
import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd

from labhelpers.backend import PARTS, keras, tf
from labhelpers.data import Split
from labhelpers.errors import (
    LabError,
    TrainingDiverged,
    check_choice,
    check_positive,
    check_seed,
    check_whole_number,
)
from labhelpers.progress import progress

# Batches that TensorFlow trains on between two looks at the loss and the progress bar.
STEPS_AT_ONCE = 50
PREDICTION_BATCH_SIZE = 500
DIVERGED = "is no longer finite in epoch"


@dataclass(frozen=True, eq=False)
class History:
    """What a training did, epoch by epoch (float64 arrays, one entry an epoch).

    Attributes:
        loss, accuracy: of the training set, averaged over the epoch while the weights were changing.
        val_loss, val_accuracy: of the validation set, after the epoch.
        seconds: the epoch took, validation included.
        last_weights: those after the last epoch, as `model.get_weights` gives them. `train` leaves the best ones in the
            model, `fast.train` these.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    seconds: np.ndarray
    last_weights: list

    COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the smallest validation loss: its weights are the model's, after `train`."""
        return int(np.argmin(self.val_loss)) + 1

    def table(self) -> pd.DataFrame:
        """Return a row an epoch: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`."""
        epochs = np.arange(1, len(self.loss) + 1)
        columns = {name: getattr(self, name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
        return pd.DataFrame({"epoch": epochs, **columns})


def train(
    model: keras.Model,
    split: Split,
    *,
    epochs: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    seed: int = 0,
    reshuffle: bool = True,
) -> History:
    """Train on cross-entropy; afterwards the model has the weights of the best validation loss.

    Args:
        model: takes uint8 images (N, 32, 32, 3), returns logits (N, 10); trained in place.
        split: `split.train` is learned from, `split.validation` chooses the epoch; `split.test` is not touched.
        epochs: passes over the training set, at least 1.
        batch_size: images per step, 1 to the size of the training set.
        learning_rate: of the optimizer, above 0.
        optimizer: "adam" (Kingma & Ba 2015, arXiv 1412.6980), or "sgd" with momentum 0.9.
        seed: fixes the order of the images; with the model's seed, machine, versions and thread count the
            same, two runs are equal to the last bit.
        reshuffle: give each epoch an order of its own; else all have the first one's.

    Raises:
        LabError: a parameter outside its range, or a model that was trained before.
        TrainingDiverged: the loss is no longer a finite number; the model has the best weights there were.
    """
    check_whole_number("epochs", epochs, 1)
    check_whole_number("batch_size", batch_size, 1, len(split.train.labels))
    check_positive("learning_rate", learning_rate)
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_seed(seed)
    if getattr(model, "was_trained", False):
        raise LabError(
            "this model was trained before and would go on from there: run the cell that builds it first"
        )
    model.was_trained = True
    keras.utils.set_random_seed(int(seed))
    model.compile(
        optimizer=OPTIMIZERS[optimizer](float(learning_rate)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    # Batch normalisation takes the statistics of a whole batch, on however many threads.
    normalizes = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    learn = _in_memory(partial(_learn, model), split.train, batch_size, 1 if normalizes else PARTS)
    measure = _in_memory(partial(_measure, model), split.validation, PREDICTION_BATCH_SIZE)
    n, n_validation = len(split.train.labels), len(split.validation.labels)
    rows, best_weights, last_weights = [], None, None
    with progress(epochs * (n + n_validation), "training", unit="image") as bar:
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            bar.set_description_str(f"epoch {epoch} of {epochs}")
            # Keras's own `fit` on arrays, once seeded, repeats the first epoch's order in all of them (3.15 on
            # TensorFlow): a shuffle inside tf.data starts over with every pass.
            order = np.random.default_rng([seed, epoch if reshuffle else 1]).permutation(n)
            try:
                row = _one_pass(
                    learn, order, STEPS_AT_ONCE * batch_size, bar, f"training loss {DIVERGED} {epoch}"
                )
                held_out = _one_pass(
                    measure, np.arange(n_validation), n_validation, bar, f"validation loss {DIVERGED} {epoch}"
                )
            except TrainingDiverged as error:
                if rows:
                    error.history = _history(rows, last_weights)
                    model.set_weights(best_weights)
                raise
            row |= {f"val_{name}": value for name, value in held_out.items()}
            last_weights = model.get_weights()
            if all(row["val_loss"] < earlier["val_loss"] for earlier in rows):
                best_weights = last_weights
            rows.append(row | {"seconds": time.perf_counter() - started})
            bar.set_postfix_str(f"val_loss {row['val_loss']:.3f}")
    model.set_weights(best_weights)
    return _history(rows, last_weights)


def _history(rows, last_weights):
    return History(
        **{name: np.array([row[name] for row in rows]) for name in rows[0]}, last_weights=last_weights
    )


def predict(model: keras.Model, images) -> np.ndarray:
    """Return the probability of each class, float32, (N, 10), for uint8 images (N, 32, 32, 3)."""
    return predictor(model)(images)


def predictor(model: keras.Model):
    """Return a function of images as `predict`, for one who asks more than once: TensorFlow prepares it only once."""
    forward = tf.function(partial(batch_logits, model, training=False), reduce_retracing=True)

    def run(images):
        starts = range(0, len(images), PREDICTION_BATCH_SIZE)
        batches = [images[start : start + PREDICTION_BATCH_SIZE] for start in starts]
        logits = [forward(tf.constant(batch), parts=min(PARTS, len(batch))) for batch in batches]
        return tf.nn.softmax(tf.concat(logits, 0)).numpy()

    return run


class _Adam(keras.optimizers.Adam):
    """Keras's Adam, its update done in one kernel of TensorFlow in place of a dozen passes over the weights."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        steps = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**steps,
            beta2_power=self.beta_2**steps,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


OPTIMIZERS = {
    "adam": partial(_Adam, name="adam"),
    "sgd": partial(keras.optimizers.SGD, momentum=0.9),
}


def batch_logits(model, images, *, parts, training):
    """Return the logits of a batch, cut into parts that need not wait for one another."""
    size = tf.shape(images)[0]
    cuts = [part * size // parts for part in range(parts + 1)]
    return tf.concat([model(images[a:b], training=training) for a, b in pairwise(cuts)], 0)


def _learn(model, images, labels, parts):
    """Take one step of the optimizer; return the batch's loss and logits."""
    with tf.GradientTape() as tape:
        logits = batch_logits(model, images, parts=parts, training=True)
        loss = model.compute_loss(y=labels, y_pred=logits)
    weights = model.trainable_variables
    model.optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
    return loss, logits


def _measure(model, images, labels, parts):
    """Return the batch's loss and logits."""
    logits = batch_logits(model, images, parts=parts, training=False)
    return model.compute_loss(y=labels, y_pred=logits, training=False), logits


def _in_memory(step, part, batch_size, parts=PARTS):
    """Return a function that takes `step` over images in a given order, batch by batch.

    Images and labels stay in TensorFlow's memory and the loop over batches runs inside TensorFlow, which spares
    the data pipeline that `fit` runs beside the training (measured in tests/benchmarks). It returns the sums over
    the images of loss and of right answers, float64, (2,).
    """
    images, labels = tf.constant(part.images), tf.constant(part.labels, tf.int64)

    def loop(parts):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
        def run(order):
            totals = tf.zeros(2, tf.float64)
            for start in tf.range(0, tf.size(order), batch_size):
                chosen = order[start : start + batch_size]
                truth = tf.gather(labels, chosen)
                loss, logits = step(tf.gather(images, chosen), truth, parts)
                right = tf.equal(tf.argmax(logits, 1), truth)
                size = tf.cast(tf.size(chosen), tf.float64)
                totals += [tf.cast(loss, tf.float64) * size, tf.math.count_nonzero(right, dtype=tf.float64)]
            return totals

        return run

    # A part without images would end the process in oneDNN, so what is left of a batch is not cut.
    whole_batches, rest = loop(min(parts, batch_size)), loop(1)

    def run(order):
        cut = len(order) - len(order) % batch_size
        return whole_batches(order[:cut]).numpy() + (rest(order[cut:]).numpy() if cut < len(order) else 0)

    return run


def _one_pass(run, order, group, bar, fault) -> dict[str, float]:
    """Run over the images in this order, `group` at a time; return loss and accuracy.

    Raises:
        TrainingDiverged: the loss is infinite or not a number, which no later step could mend; `fault` says so.
    """
    totals = np.zeros(2)
    for start in range(0, len(order), group):
        chosen = order[start : start + group]
        totals += run(chosen)
        bar.update(len(chosen))
        if not math.isfinite(totals[0]):
            raise TrainingDiverged(
                f"the {fault}: try a smaller learning_rate, and check that the images are finite numbers"
            )
    return dict(zip(("loss", "accuracy"), (totals / len(order)).tolist(), strict=True))
