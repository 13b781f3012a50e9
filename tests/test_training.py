"""Training repeats itself to the last bit, keeps the best epoch, and says in one line what is wrong."""

import io
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import softmax
from tqdm import tqdm

from labhelpers import evaluation, training
from labhelpers.backend import keras
from labhelpers.data import Images, Split
from labhelpers.errors import LabError, TrainingDiverged


def _model(seed=0, dtype="uint8"):
    """A network small enough to train in no time."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.layers.Input((32, 32, 3), dtype=dtype),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Conv2D(4, 3, strides=4, activation="leaky_relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


@pytest.fixture(scope="module")
def split(cifar):
    """200 images to train on, 100 to validate with, and a test set that breaks whatever touches it."""
    whole = cifar.split(200)
    return Split(whole.train, Images(*(part[:100] for part in whole.validation)), None)


@pytest.fixture(scope="module")
def trained(split):
    """A model trained for three epochs of seven batches, and its history."""
    model = _model()
    return model, training.train(model, split, epochs=3, seed=1)


def _same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# What it learns


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, keras.optimizers.Adam()),
        ({"learning_rate": 3e-3}, keras.optimizers.Adam(3e-3)),
        ({"optimizer": "sgd", "learning_rate": 1e-2}, keras.optimizers.SGD(1e-2, momentum=0.9)),
        ({"reshuffle": False}, keras.optimizers.Adam()),
        ({"batch_size": 66}, keras.optimizers.Adam()),  # leaves two images: fewer than parts, on many cores
    ],
    ids=["as it is", "learning rate", "SGD", "one order", "a rest of two images"],
)
def test_training_is_plain_keras_training(options, theirs, split):
    """Keras's own `fit`, given the images in the same order, ends with the same numbers."""
    ours, model = _model(), _model()
    history = training.train(ours, split, epochs=3, seed=1, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(theirs, loss, metrics=["accuracy"])
    images, labels = split.train
    for epoch in (1, 2, 3):
        order = np.random.default_rng([1, epoch if options.get("reshuffle", True) else 1]).permutation(200)
        fit = {"batch_size": options.get("batch_size", 32), "shuffle": False, "verbose": 0}
        fitted = model.fit(images[order], labels[order], validation_data=split.validation, **fit)
        for name, (value,) in fitted.history.items():
            assert getattr(history, name)[epoch - 1] == pytest.approx(value, rel=1e-4), (epoch, name)
    for mine, last in zip(history.last_weights, model.get_weights(), strict=True):
        # to a tenth of one step of Adam's: rounding adds up
        np.testing.assert_allclose(mine, last, atol=options.get("learning_rate", 1e-3) / 10)


def test_what_a_layer_adds_to_the_loss_counts(split):
    """As a regularizer, which a student may well try."""
    regularizer = keras.regularizers.L2(1.0)
    losses = []
    for options in ({}, {"kernel_regularizer": regularizer}):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Input((32, 32, 3), dtype="uint8"), keras.layers.Flatten()]
        model = keras.Sequential([*layers, keras.layers.Rescaling(1e-3), keras.layers.Dense(10, **options)])
        losses.append(training.train(model, split, epochs=1).loss[0])
    assert losses[1] > losses[0] + 1


def test_training_twice_gives_equal_bits(split, trained):
    model = _model()
    history = training.train(model, split, epochs=3, seed=1)
    assert _same(model.get_weights(), trained[0].get_weights())
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_array_equal(getattr(history, name), getattr(trained[1], name))


@pytest.mark.parametrize("seeds", [(0, 2), (2, 1)], ids=["order of images", "first weights"])
def test_another_seed_gives_other_weights(seeds, split, trained):
    model = _model(seeds[0])
    training.train(model, split, epochs=3, seed=seeds[1])
    assert not _same(model.get_weights(), trained[0].get_weights())


def test_history_has_an_entry_an_epoch(trained):
    _, history = trained
    table = history.table()
    assert list(table.columns) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert table["epoch"].tolist() == [1, 2, 3]
    assert history.seconds.shape == (3,) and (history.seconds > 0).all()
    assert table["loss"].is_monotonic_decreasing
    assert table[["accuracy", "val_accuracy"]].stack().between(0, 1).all()


def test_model_that_was_trained_before_is_refused(split, trained):
    with pytest.raises(LabError, match="run the cell that builds it first"):
        training.train(trained[0], split, epochs=1)


# Which weights it keeps


@pytest.fixture(scope="module")
def overfitted(split):
    """A model trained on wrong labels long enough to get worse and worse on the validation set."""
    labels = np.random.default_rng(0).permutation(split.train.labels)
    model = _model()
    wrong = Split(Images(split.train.images, labels), split.validation, None)
    return model, training.train(model, wrong, epochs=6, learning_rate=1e-2)


def test_best_epoch_is_the_one_with_the_smallest_validation_loss(overfitted):
    history = overfitted[1]
    assert history.val_loss[history.best_epoch - 1] == min(history.val_loss)
    assert history.best_epoch < 6, "the last epoch was the best: the next test would show nothing"


def test_model_has_the_weights_of_its_best_epoch(overfitted, split):
    model, history = overfitted
    loss, accuracy = model.evaluate(*split.validation, verbose=0)
    assert loss == pytest.approx(min(history.val_loss), rel=1e-5)
    assert accuracy == pytest.approx(history.val_accuracy[history.best_epoch - 1], rel=1e-5)


def test_last_weights_are_those_of_the_last_epoch(overfitted, split):
    model, history = overfitted
    best = model.get_weights()
    model.set_weights(history.last_weights)
    loss, accuracy = model.evaluate(*split.validation, verbose=0)
    model.set_weights(best)
    assert (loss, accuracy) == pytest.approx((history.val_loss[-1], history.val_accuracy[-1]), rel=1e-4)


# predict


def test_predict_gives_probabilities(trained, split):
    model, _ = trained
    images = split.validation.images
    probabilities = training.predict(model, images)
    assert (probabilities.shape, probabilities.dtype) == ((100, 10), np.float32)
    logits = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(probabilities, softmax(logits, axis=1), rtol=1e-4)


def test_loss_and_accuracy_from_probabilities_are_those_keras_measures(trained, split):
    model, _ = trained
    ours = evaluation.evaluate(split.validation.labels, training.predict(model, split.validation.images))
    assert (ours.loss, ours.accuracy) == pytest.approx(model.evaluate(*split.validation, verbose=0), rel=1e-4)


# What it refuses


@pytest.mark.parametrize(
    "wrong",
    [
        *({"epochs": value} for value in (0, -1, 1.5, 3.0, "3", None, True)),
        *({"batch_size": value} for value in (0, -32, 201, 32.0, "32", None, True)),
        *({"learning_rate": value} for value in (0, -1, math.nan, math.inf, "0.001", None, True)),
        *({"seed": value} for value in (-1, 2**32, 1.5, "1", None)),
        *({"optimizer": value} for value in ("Adam", "rmsprop", None)),
    ],
    ids=lambda wrong: "{}={!r}".format(*next(iter(wrong.items()))),
)
def test_impossible_parameter_is_refused(wrong, split, tells):
    model = _model()
    before = model.get_weights()
    ((name, value),) = wrong.items()
    with tells(LabError, f"{name} is {value!r}"):
        training.train(model, split, **{"epochs": 1} | wrong)
    assert _same(model.get_weights(), before)


@pytest.mark.parametrize(
    "possible",
    [
        {"epochs": np.int64(1)},
        {"batch_size": 1},
        {"batch_size": 200},
        {"learning_rate": 1},
        {"learning_rate": np.float64(1e-3)},
        {"learning_rate": np.float32(1e-3)},
        {"seed": np.int64(5)},
    ],
    ids=lambda possible: "{}={!r}".format(*next(iter(possible.items()))),
)
def test_possible_parameter_is_accepted(possible, split):
    assert len(training.train(_model(), split, **{"epochs": 1} | possible).loss) == 1


def test_loss_that_is_no_number_ends_the_training(split, tells):
    with tells(TrainingDiverged, "training loss", "in epoch 1", "learning_rate"):
        training.train(_model(), split, epochs=3, learning_rate=1e30)


def test_validation_loss_that_is_no_number_ends_the_training(split, tells):
    validation = Images(split.validation.images * np.float32(math.nan), split.validation.labels)
    with tells(TrainingDiverged, "validation loss", "in epoch 1"):
        training.train(_model(dtype="float32"), split._replace(validation=validation), epochs=3)


def test_what_was_learned_before_it_diverged_is_kept(split, monkeypatch):
    """The third epoch diverges: what is left is what the first two gave."""
    passes, one_pass = [], training._one_pass

    def diverging(*arguments):
        passes.append(arguments)
        if len(passes) == 5:
            raise TrainingDiverged("the training loss is no longer finite")
        return one_pass(*arguments)

    monkeypatch.setattr(training, "_one_pass", diverging)
    model, shorter = _model(), _model()
    with pytest.raises(TrainingDiverged) as caught:
        training.train(model, split, epochs=3, seed=1)
    monkeypatch.undo()
    history = training.train(shorter, split, epochs=2, seed=1)
    assert caught.value.history.val_loss.tolist() == history.val_loss.tolist()
    assert _same(model.get_weights(), shorter.get_weights())
    assert _same(caught.value.history.last_weights, history.last_weights)


# On how many threads

ONE_TRAINING = """
import numpy as np
from labhelpers import models, training
from labhelpers.backend import PARTS, THREADS
from labhelpers.data import Images, Split

random = np.random.default_rng(0)
images = Images(random.integers(0, 256, (99, 32, 32, 3), np.uint8), random.integers(0, 10, 99, np.uint8))
print(THREADS, PARTS)
for build in (models.deeper, models.batch_normalized):
    model = build()
    history = training.train(model, Split(images, images, images), epochs=2)
    print(*history.loss, *history.val_loss, *training.predict(model, images.images[:1]).ravel(), end=" ")
"""


def _trained_on(threads):
    variables = os.environ | {"LAB_THREADS": str(threads)}
    run = subprocess.run([sys.executable, "-c", ONE_TRAINING], env=variables, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    counts, numbers = run.stdout.splitlines()
    return counts.split()[:2], np.array(numbers.split(), float)


def test_threads_change_no_more_than_rounding():
    counts, expected = _trained_on(1)
    assert counts == ["1", "1"]
    for threads, parts in ((2, "2"), (5, "2")):
        counts, found = _trained_on(threads)
        assert counts == [str(threads), parts]
        np.testing.assert_allclose(found, expected, rtol=1e-3)


# What one sees of it


def test_progress_ends_at_its_total(split, monkeypatch):
    bars = []

    def progress(total, description, **_):
        bars.append(tqdm(total=total, file=io.StringIO()))
        return bars[0]

    monkeypatch.setattr(training, "progress", progress)
    training.train(_model(), split, epochs=2)
    assert bars[0].total == 2 * (200 + 100)
    assert bars[0].n == bars[0].total


@pytest.fixture(scope="module")
def stderr_of_trainings():
    """What a new process writes to stderr up to the end of a first training, and in five more."""
    code = """
import sys
import numpy as np
from labhelpers import training
from labhelpers.backend import keras
from labhelpers.data import Images, Split

images = Images(np.zeros((64, 32, 32, 3), np.uint8), np.zeros(64, np.uint8))
for run in range(6):
    layers = keras.layers.Input((32, 32, 3), dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(10)
    model = keras.Sequential(layers)
    training.train(model, Split(images, images, images), epochs=1)
    training.predict(model, images.images)
    if run == 0:
        print("FIRST TRAINING ENDS", file=sys.stderr, flush=True)
"""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    run = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stderr.split("FIRST TRAINING ENDS\n")


def test_starting_keras_and_training_write_nothing_to_stderr(stderr_of_trainings):
    assert stderr_of_trainings[0] == ""


def test_training_again_and_again_writes_nothing_to_stderr(stderr_of_trainings):
    assert stderr_of_trainings[1] == ""
