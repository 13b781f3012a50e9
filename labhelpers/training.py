"""Train a network, keep the weights that validate best, and say what happened."""

import math
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labhelpers.backend import keras
from labhelpers.data import Split
from labhelpers.errors import TrainingDiverged, check_positive, check_seed, check_whole_number
from labhelpers.progress import progress

# Keras runs this many batches per call into TensorFlow: measured here, 50 halve the seconds of an epoch
# against 1, more bring nothing; the numbers that come out are the same.
STEPS_PER_EXECUTION = 50
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
        LabError: a parameter outside its range.
        TrainingDiverged: the loss is no longer a finite number.
    """
    check_whole_number("epochs", epochs, 1)
    check_whole_number("batch_size", batch_size, 1, len(split.train.labels))
    check_positive("learning_rate", learning_rate)
    check_seed(seed)
    keras.utils.set_random_seed(int(seed))
    model.compile(
        optimizer=keras.optimizers.Adam(float(learning_rate)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )
    clock, best = _Clock(epochs, math.ceil(len(split.train.labels) / batch_size)), _BestWeights()
    with clock.bar:
        fit = model.fit(
            *split.train,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=split.validation,
            validation_batch_size=PREDICTION_BATCH_SIZE,
            verbose=0,
            callbacks=[_StopWhenNotFinite(), best, clock],
        )
    model.set_weights(best.weights)
    return History(
        **{name: np.array(values, float) for name, values in fit.history.items()},
        seconds=np.array(clock.seconds),
    )


def predict(model: keras.Model, images) -> np.ndarray:
    """Return the probability of each class, float32, (N, 10), for uint8 images (N, 32, 32, 3)."""
    logits = model.predict(images, batch_size=PREDICTION_BATCH_SIZE, verbose=0)
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


class _BestWeights(keras.callbacks.Callback):
    """Keeps, in memory, the weights after the epoch with the smallest validation loss."""

    def __init__(self):
        super().__init__()
        self.loss, self.weights = math.inf, None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.loss:
            self.loss, self.weights = logs["val_loss"], self.model.get_weights()


class _StopWhenNotFinite(keras.callbacks.Callback):
    """Ends the training as soon as a loss is infinite or not a number; no later step could mend it."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs["loss"], "training")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs["val_loss"], "validation")

    def _check(self, loss, name):
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the {name} loss is no longer finite in epoch {self.epoch}: try a smaller learning_rate, and check "
                "that the images are finite numbers"
            )


class _Clock(keras.callbacks.Callback):
    """Measures each epoch and moves the progress bar."""

    def __init__(self, epochs, batches):
        super().__init__()
        self.seconds, self.bar = [], progress(epochs * batches, "training", unit="batch")
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.start, self.done = time.perf_counter(), 0
        self.bar.set_description_str(f"epoch {epoch + 1}", refresh=False)

    def on_train_batch_end(self, batch, logs=None):
        # Keras counts whole groups of STEPS_PER_EXECUTION, also where fewer are left.
        done = min(batch + 1, self.batches)
        self.bar.update(done - self.done)
        self.done = done

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)
        self.bar.set_postfix_str(f"val_loss {logs['val_loss']:.3f}")
