"""Train a network, keep the weights that validate best, and say what happened."""

import math
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labhelpers.backend import keras, tf
from labhelpers.data import Split
from labhelpers.errors import LabError, TrainingDiverged, check_positive, check_seed, check_whole_number
from labhelpers.progress import progress

# Batches that TensorFlow trains on between two looks at the loss and the progress bar.
STEPS_AT_ONCE = 50
PREDICTION_BATCH_SIZE = 500


@dataclass(frozen=True, eq=False)
class History:
    """What a training did, epoch by epoch (float64 arrays, one entry an epoch).

    Attributes:
        loss, accuracy: of the training set, averaged over the epoch while the weights were changing.
        val_loss, val_accuracy: of the validation set, after the epoch.
        seconds: the epoch took, validation included.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    seconds: np.ndarray

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the smallest validation loss: its weights are the model's."""
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
    seed: int = 0,
) -> History:
    """Train with Adam on cross-entropy; afterwards the model has the weights of the best validation loss.

    Args:
        model: takes uint8 images (N, 32, 32, 3), returns logits (N, 10); trained in place.
        split: `split.train` is learned from, `split.validation` chooses the epoch; `split.test` is not touched.
        epochs: passes over the training set, at least 1.
        batch_size: images per step, 1 to the size of the training set.
        learning_rate: of Adam (Kingma & Ba 2015, arXiv 1412.6980), above 0.
        seed: fixes the order of the images; with the model's seed, machine, versions and thread count the
            same, two runs are equal to the last bit.

    Raises:
        LabError: a parameter outside its range, or a model that was trained before.
        TrainingDiverged: the loss is no longer a finite number.
    """
    check_whole_number("epochs", epochs, 1)
    check_whole_number("batch_size", batch_size, 1, len(split.train.labels))
    check_positive("learning_rate", learning_rate)
    check_seed(seed)
    if getattr(model, "was_trained", False):
        raise LabError(
            "this model was trained before and would go on from there: run the cell that builds it first"
        )
    model.was_trained = True
    keras.utils.set_random_seed(int(seed))
    model.compile(
        optimizer=keras.optimizers.Adam(float(learning_rate)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    model.test_on_batch(*(part[:1] for part in split.validation))  # builds the metrics
    learn = _in_memory(model.train_step, split.train, batch_size)
    measure = _in_memory(model.test_step, split.validation, PREDICTION_BATCH_SIZE)
    n, n_validation = len(split.train.labels), len(split.validation.labels)
    rows, best_weights = [], None
    with progress(epochs * (n + n_validation), "training", unit="image") as bar:
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            bar.set_description_str(f"epoch {epoch} of {epochs}")
            # A new order each epoch. Keras's own `fit` on arrays, once seeded, repeats the first epoch's order in
            # all of them (3.15 on TensorFlow): a shuffle inside tf.data starts over with every pass.
            order = np.random.default_rng([seed, epoch]).permutation(n)
            row = _one_pass(
                model,
                learn,
                order,
                STEPS_AT_ONCE * batch_size,
                bar,
                f"training loss is no longer finite in epoch {epoch}",
            )
            held_out = _one_pass(
                model,
                measure,
                np.arange(n_validation),
                n_validation,
                bar,
                f"validation loss is no longer finite in epoch {epoch}",
            )
            row |= {f"val_{name}": value for name, value in held_out.items()}
            if all(row["val_loss"] < earlier["val_loss"] for earlier in rows):
                best_weights = model.get_weights()
            rows.append(row | {"seconds": time.perf_counter() - started})
            bar.set_postfix_str(f"val_loss {row['val_loss']:.3f}")
    model.set_weights(best_weights)
    return History(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def predict(model: keras.Model, images) -> np.ndarray:
    """Return the probability of each class, float32, (N, 10), for uint8 images (N, 32, 32, 3)."""
    logits = model.predict(images, batch_size=PREDICTION_BATCH_SIZE, verbose=0)
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def _in_memory(step, part, batch_size):
    """Return a function that takes Keras's training or test step over images in a given order, batch by batch.

    Images and labels stay in TensorFlow's memory and the loop over batches runs inside TensorFlow, which spares
    the data pipeline that `fit` runs beside the training (measured in tests/benchmarks).
    """
    images, labels = map(tf.constant, part)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def run(order):
        for start in tf.range(0, tf.size(order), batch_size):
            chosen = order[start : start + batch_size]
            step((tf.gather(images, chosen), tf.gather(labels, chosen)))

    return run


def _one_pass(model, run, order, group, bar, fault) -> dict[str, float]:
    """Run over the images in this order, `group` at a time; return loss and accuracy.

    Raises:
        TrainingDiverged: the loss is infinite or not a number, which no later step could mend; `fault` says so.
    """
    model.reset_metrics()
    for start in range(0, len(order), group):
        chosen = order[start : start + group]
        run(chosen)
        bar.update(len(chosen))
        metrics = {name: float(value) for name, value in model.get_metrics_result().items()}
        if not math.isfinite(metrics["loss"]):
            raise TrainingDiverged(
                f"the {fault}: try a smaller learning_rate, and check that the images are finite numbers"
            )
    return metrics
