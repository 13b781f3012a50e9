"""Training repeats itself to the last bit, keeps the best epoch, and says in one line what is wrong."""

import io
import json
import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import softmax
from tqdm import tqdm

from labhelpers import checks, models, training
from labhelpers.backend import keras, tf
from labhelpers.data import Images, Split
from labhelpers.errors import LabError, TrainingDiverged, TrainingInterrupted


def _model(seed=0, **compiled):
    """A network small enough to train in no time, compiled."""
    keras.utils.set_random_seed(seed)
    convolution = keras.layers.Conv2D(4, 3, strides=4, activation="leaky_relu")
    scaling, flatten = keras.layers.Rescaling(1 / 127.5, offset=-1), keras.layers.Flatten()
    first = keras.layers.Input((32, 32, 3), dtype="uint8")
    return _compiled(keras.Sequential([first, scaling, convolution, flatten, keras.layers.Dense(10)]), **compiled)


def _compiled(model, from_logits=True, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits)
    # Without XLA, which Keras's own `fit` would otherwise take seconds to compile with.
    usual = {"optimizer": keras.optimizers.Adam(), "loss": loss, "metrics": ["accuracy"], "jit_compile": False}
    model.compile(**usual | options)
    return model


def _longer(model, layer):
    """The model with one more layer at its end."""
    return keras.Model(model.inputs[0], layer(model.outputs[0]))


def _fit(model, split, **options):
    """`fit`, with one epoch and the seed 1 unless told otherwise."""
    data = {"x": split.train.images, "y": split.train.labels, "validation_data": split.validation}
    return training.fit(model, **data | {"epochs": 1, "seed": 1} | options)


@pytest.fixture(scope="module")
def split(cifar):
    """224 images to train on, seven batches; 100 to validate with; and a test set that breaks whatever touches it."""
    whole = cifar.split(224)
    return Split(whole.train, Images(*(part[:100] for part in whole.validation)), None)


@pytest.fixture(scope="module")
def trained(split):
    """A model trained for three epochs of seven batches, and its history."""
    model = _model()
    return model, _fit(model, split, epochs=3)


def _same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# What it learns


OPTIMIZERS = {
    "Adam": keras.optimizers.Adam,
    "Adam, scheduled": lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(1e-3, 5, 0.5)),
    "AdamW, clipped": lambda: keras.optimizers.AdamW(clipnorm=0.1, amsgrad=True),
    "SGD": lambda: keras.optimizers.SGD(1e-2, momentum=0.9),
}


@pytest.mark.parametrize(
    "optimizer, options",
    [
        ("Adam", {}),
        ("Adam, scheduled", {"batch_size": 74}),  # the last batch has two images: fewer than parts, on many cores
        ("AdamW, clipped", {"shuffle": False}),
        ("SGD", {}),
    ],
    ids=str,
)
def test_fit_is_what_keras_fits(optimizer, options, split):
    """Keras's own `fit`, given the images in the same order, ends with the same numbers, and the same optimizer."""
    ours, theirs = (_model(optimizer=OPTIMIZERS[optimizer]()) for _ in range(2))
    history = _fit(ours, split, epochs=3, **options)
    images, labels = split.train
    for epoch in (1, 2, 3):
        order = np.random.default_rng([1, epoch]).permutation(224)
        if options.get("shuffle") is False:
            order = np.arange(224)
        fit = {"batch_size": options.get("batch_size", 32), "shuffle": False, "verbose": 0}
        fitted = theirs.fit(images[order], labels[order], validation_data=split.validation, **fit)
        assert set(fitted.history) == set(history.history)
        for name, (value,) in fitted.history.items():
            assert history.history[name][epoch - 1] == pytest.approx(value, rel=1e-4), (epoch, name)
    for mine, last in zip(history.last_weights, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, last, atol=1e-4)  # a tenth of one step of Adam's: rounding adds up
    assert type(ours.optimizer) is type(theirs.optimizer)
    assert int(ours.optimizer.iterations) == int(theirs.optimizer.iterations)
    for mine, last in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        # of averaged gradients of about 0.02; a value that rounding moves across a kink moves one of them
        np.testing.assert_allclose(np.asarray(mine), np.asarray(last), atol=2e-3)


@pytest.mark.parametrize(
    ("activation", "loss", "one_hot"),
    [
        ("softmax", "sparse_categorical_crossentropy", False),
        ("softmax", "mse", True),
        (None, keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), True),
        (None, keras.losses.CategoricalHinge(), True),
    ],
)
def test_any_loss_is_the_one_that_counts(activation, loss, one_hot, split):
    numbers = []
    pairs = [(images, np.eye(10, dtype="float32")[labels] if one_hot else labels) for images, labels in split[:2]]
    for train in (training.fit, lambda model, *data, seed, **options: model.fit(*data, verbose=0, **options)):
        model = _longer(_model(), keras.layers.Activation(activation))
        _compiled(model, loss=loss)
        options = {"epochs": 1, "batch_size": 224, "shuffle": False, "validation_data": pairs[1]}
        numbers.append(train(model, *pairs[0], seed=0, **options).history)
    assert numbers[0] == {name: pytest.approx(values, rel=1e-4) for name, values in numbers[1].items()}


def test_what_a_layer_adds_to_the_loss_counts(split):
    """As a regularizer, which a student may well try."""
    dense = keras.layers.Dense(10, kernel_regularizer=keras.regularizers.L2(1.0))
    model = _compiled(_network(keras.layers.Rescaling(1e-3), dense))
    assert _fit(model, split).history["loss"][0] > math.log(10) + 1, "log 10 is that of its small logits alone"


@pytest.mark.parametrize("seeds, same", [((0, 1), True), ((0, 2), False), ((2, 1), False)], ids=str)
def test_seeds_fix_the_result_to_the_last_bit(seeds, same, split, trained):
    """That of the initial weights and that of the order of the images; labels may be a column, as Keras gives them."""
    model = _model(seeds[0])
    history = _fit(model, split, epochs=3, seed=seeds[1], y=split.train.labels[:, None])
    assert _same(model.get_weights(), trained[0].get_weights()) == same
    assert (history.history == trained[1].history) == same


def test_history_has_an_entry_an_epoch(trained):
    model, history = trained
    table = history.table()
    assert list(table.columns) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert table["epoch"].tolist() == [1, 2, 3] and history.epoch == [0, 1, 2]
    assert len(history.seconds) == 3 and min(history.seconds) > 0
    assert table["loss"].is_monotonic_decreasing
    assert table[["accuracy", "val_accuracy"]].stack().between(0, 1).all()
    assert model.history is history


# Which weights it keeps


def test_model_has_the_weights_of_its_best_epoch_and_history_those_of_the_last(split):
    """Trained on wrong labels, long enough to get worse and worse on the validation set."""
    labels = np.random.default_rng(0).permutation(split.train.labels)
    model = _model(optimizer=keras.optimizers.Adam(1e-2))
    history = _fit(model, split, y=labels, epochs=6)
    losses, accuracies = history.history["val_loss"], history.history["val_accuracy"]
    best = history.best_epoch - 1
    assert losses[best] == min(losses) and best < 5, "the last epoch was the best: the rest would show nothing"
    for epoch, weights in ((best, model.get_weights()), (5, history.last_weights)):
        model.set_weights(weights)
        assert model.evaluate(*split.validation, verbose=0) == pytest.approx(
            (losses[epoch], accuracies[epoch]), rel=1e-4
        )


def test_of_equal_validation_losses_the_first_epoch_is_kept(split):
    """With a step of size zero every epoch ends alike, but for a layer that counts them."""

    class Counts(keras.layers.Layer):
        def build(self, shape):
            self.calls = self.add_weight(name="calls", initializer="zeros", trainable=False)

        def call(self, inputs, training=False):
            if training:
                self.calls.assign(self.calls + 1)
            return inputs

    model = _compiled(_longer(_model(), Counts()), optimizer=keras.optimizers.SGD(0.0))
    history = _fit(model, split, epochs=3, batch_size=112)
    assert len(set(history.history["val_loss"])) == 1 and history.best_epoch == 1
    assert float(model.layers[-1].calls) == 2  # batches in an epoch


def test_it_says_which_weights_are_kept_and_its_progress_ends_at_its_total(split, capsys, monkeypatch):
    bars = []

    def progress(total, description, **_):
        bars.append(tqdm(total=total, file=io.StringIO()))
        return bars[0]

    monkeypatch.setattr(training, "progress", progress)
    monkeypatch.delenv("LAB_PROGRESS", raising=False)
    history = _fit(_model(), split, epochs=2)
    assert f"weights of epoch {history.best_epoch} of 2" in capsys.readouterr().out
    assert bars[0].n == bars[0].total == 2 * (224 + 100)


# predict


def test_predict_gives_probabilities(trained, split):
    model, _ = trained
    images = split.validation.images
    probabilities = training.predict(model, images)
    assert (probabilities.shape, probabilities.dtype) == ((100, 10), np.float32)
    logits = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(probabilities, softmax(logits, axis=1), rtol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_predict_leaves_a_softmax_as_it_is(trained, split, precision):
    model = _longer(trained[0], keras.layers.Softmax(dtype=precision))
    tolerance = 1e-6 if precision == "float32" else 0.01
    ours, theirs = (training.predict(one, split.validation.images) for one in (model, trained[0]))
    np.testing.assert_allclose(ours, theirs, atol=tolerance)
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-5)


LOADS = """
import keras, numpy
model = keras.models.load_model("model.keras")
numpy.save("logits.npy", model.predict(numpy.load("images.npy"), verbose=0))
import sys
assert not [name for name in sys.modules if name.startswith("labhelpers")]
"""


def test_a_saved_model_needs_nothing_of_ours(split, tmp_path):
    """Another process loads it with Keras alone; here it predicts the same and can be trained further."""
    model, images = _compiled(models.three_blocks(widths=(2, 4, 4))), split.validation.images
    _fit(model, split)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    run = subprocess.run([sys.executable, "-c", LOADS], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    expected = training.predict(model, images)
    outputs = softmax(np.load(tmp_path / "logits.npy"), axis=1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-5)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert _same([training.predict(loaded, images)], [expected])
    before = loaded.get_weights()
    _fit(_compiled(loaded), split)
    assert not _same(loaded.get_weights(), before)


# What it refuses


def _network(*layers, shape=(32, 32, 3), built=True):
    start = [keras.layers.Input(shape)] if built else []
    return keras.Sequential([*start, keras.layers.Flatten(), *layers])


def _ending(activation=None, units=10, from_logits=True, **options):
    return _compiled(_network(keras.layers.Dense(units, activation=activation), **options), from_logits)


SOFTMAX_IN_LOGITS = [
    "in a softmax, and its loss has from_logits=True: take out the softmax, or compile it with "
    "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=False)"
]
MODELS = [
    (lambda: "a network", ["not a str"]),
    (lambda: _network(keras.layers.Dense(10)), ["isn't compiled", "model.compile("]),
    (lambda: _ending(built=False), ["isn't built", "Input((32, 32, 3))"]),
    (lambda: _ending(units=12), ["(12,) for an image, and there are 10 classes: end it in keras.layers.Dense(10)"]),
    (lambda: _ending(shape=(28, 28, 1)), ["(28, 28, 1)", "(32, 32, 3)"]),
    (lambda: _ending("softmax"), SOFTMAX_IN_LOGITS),
    (
        lambda: _ending(from_logits=False),
        ["in logits, and its loss has from_logits=False: add the softmax, or compile", "(from_logits=True)"],
    ),
    (lambda: _ending("sigmoid"), ["don't sum to 1", "end the model in a softmax"]),
    (lambda: _model(metrics=["accuracy", "mae"]), ["metrics=['mae']", "model.fit"]),
    (lambda: _model(loss_weights=[2.0]), ["loss_weights", "model.fit"]),
    (lambda: _model(run_eagerly=True), ["run_eagerly", "model.fit"]),
    (lambda: _model(loss="categorical_crossentropy"), ["keras.losses.CategoricalCrossentropy(from_logits=True)"]),
    (lambda: _model(loss=keras.losses.CategoricalCrossentropy(from_logits=True)), ["SparseCategoricalCrossentropy"]),
]
ONE_HOT = np.eye(10, dtype="float32")[np.zeros(224, int)]
ARGUMENTS = [
    *(({"epochs": value}, [f"epochs is {value!r}"]) for value in (0, 1.5, "3", True)),
    *(({"batch_size": value}, [f"batch_size is {value}"]) for value in (0, 225)),
    *(({"seed": value}, [f"seed is {value}"]) for value in (-1, 2**32)),
    *(({name: 1}, [name, "model.fit"]) for name in ("callbacks", "verbose", "class_weight")),
    ({"validation_data": None}, ["validation_data", "a pair"]),
    ({"validation_data": (np.zeros((0, 32, 32, 3), "uint8"), [])}, ["(0, 32, 32, 3)"]),
    ({"y": np.zeros(223)}, ["labels of 224 images have the shape (223,)"]),
    ({"y": np.full(224, 10)}, ["0 to 9"]),
    ({"y": np.full(224, 0.5)}, ["0 to 9"]),
    ({"y": ONE_HOT}, ["one-hot", "keras.losses.Categorical"]),
    ({"x": np.zeros((224, 32, 32), "uint8")}, ["(224, 32, 32)"]),
    ({"x": np.zeros((224, 32, 32, 3), "float32")}, ["float32", "uint8 from 0 to 255"]),
    ({"x": np.zeros((224, 28, 28, 3), "uint8")}, ["(28, 28, 3)"]),
]


@pytest.mark.parametrize(
    "build, options, words",
    [*((build, {}, words) for build, words in MODELS), *((_model, options, words) for options, words in ARGUMENTS)],
)
def test_what_it_cannot_use_is_refused(build, options, words, split, tells):
    model = build()
    before = model.get_weights() if hasattr(model, "layers") and model.built else []
    with tells(LabError, *words):
        _fit(model, split, **options)
    assert not before or _same(model.get_weights(), before)


def test_numbers_of_numpy_and_batches_of_one_image_are_accepted(split, capsys, monkeypatch):
    monkeypatch.setenv("LAB_PROGRESS", "0")
    assert len(_fit(_ending(), split, epochs=np.int64(1), seed=np.int64(5), batch_size=1).epoch) == 1
    assert capsys.readouterr().out == ""


def test_model_that_fit_trained_before_is_refused(trained, split, tells):
    with tells(LabError, "run the cell that builds it first"):
        _fit(trained[0], split)


def test_a_network_that_fills_the_memory_is_refused(split, tells, monkeypatch):
    monkeypatch.setattr(checks, "free_memory", lambda: 2**20)
    with tells(LabError, "takes about", "batch_size"):
        _fit(_model(), split)


def test_predict_refuses_images_that_the_model_would_misread(trained, split, tells):
    images = split.validation.images
    for given, words in ((images[0], "image[None]"), (images / 255, "uint8 from 0 to 255")):
        with tells(LabError, words):
            training.predict(trained[0], given)


def test_images_that_were_scaled_before_suit_a_network_that_does_not(split):
    model = _ending()
    scaled = [(images.astype("float32") / 255, labels) for images, labels in split[:2]]
    training.fit(model, *scaled[0], validation_data=scaled[1], epochs=1)
    np.testing.assert_allclose(training.predict(model, scaled[1][0]).sum(axis=1), 1, rtol=1e-5)


# How it ends otherwise


def test_loss_that_is_no_number_ends_the_training(split, tells):
    with tells(TrainingDiverged, "training loss", "in epoch 1", "learning_rate"):
        _fit(_model(optimizer=keras.optimizers.Adam(1e30)), split, epochs=3)
    validation = split.validation.images * np.float32(math.nan), split.validation.labels
    with tells(TrainingDiverged, "validation loss", "in epoch 1"):
        _fit(_ending(), split, validation_data=validation, epochs=3)


class Stops(keras.optimizers.SGD):
    """Does in one step what a person or a number does."""

    def __init__(self, at, what):
        super().__init__(1e-2)
        self.at, self.what = at, what

    def apply(self, gradients, variables=None):
        tf.py_function(self._stop, [self.iterations.value], [])
        super().apply(gradients, variables)

    def _stop(self, step):
        if int(step) == self.at and self.what == "interrupt":
            signal.raise_signal(signal.SIGINT)

    def update_step(self, gradient, variable, learning_rate):
        if self.what == "diverge":
            gradient = gradient / tf.cast(self.iterations.value != self.at, gradient.dtype)
        super().update_step(gradient, variable, learning_rate)


@pytest.fixture
def interruptible():
    """SIGINT raises KeyboardInterrupt, even if the tests run in the background, where a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def shorter(split):
    """A model trained for two epochs, which nothing stopped, and its history."""
    model = _model(optimizer=Stops(99, "nothing"))
    return model, _fit(model, split, epochs=2)


@pytest.mark.parametrize("what", ["interrupt", "diverge"])
def test_what_was_learned_before_it_stopped_is_kept(what, split, shorter, interruptible):
    """In the third epoch of seven steps: what is left is what the first two gave."""
    model, (whole, expected) = _model(optimizer=Stops(15, what)), shorter
    with pytest.raises((TrainingInterrupted, TrainingDiverged)) as caught:
        _fit(model, split, epochs=3)
    assert model.history.history == expected.history
    assert _same(model.get_weights(), whole.get_weights())
    if what == "diverge":
        assert caught.type is TrainingDiverged and caught.value.history is model.history
    else:
        assert isinstance(caught.value, KeyboardInterrupt)
        (line,) = caught.value._render_traceback_()
        assert f"after epoch 2 of 3: the model has the weights of epoch {expected.best_epoch}" in line


def test_interrupted_in_its_first_epoch_it_says_to_begin_again(split, interruptible):
    with pytest.raises(TrainingInterrupted, match="in its first epoch: run the cell that builds the model again"):
        _fit(_model(optimizer=Stops(3, "interrupt")), split)


# On how many threads, and what a new process writes

TRAININGS = """
import json
import numpy as np
from labhelpers import training
from labhelpers.backend import PARTS, THREADS, keras
from labhelpers.study.experiments import experiment

random = np.random.default_rng(0)
images, labels = random.integers(0, 256, (99, 32, 32, 3), np.uint8), random.integers(0, 10, 99, np.uint8)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
deeper, normalized = (experiment(id).build(0) for id in ("ladder-deeper", "ladder-batch-norm"))
deeper.add(keras.layers.Dropout(0.2, seed=0))
deeper.compile("adam", loss)
numbers = []
for model in (deeper, normalized):
    history = training.fit(model, images, labels, validation_data=(images, labels), epochs=2).history
    numbers += [*history["loss"], *history["val_loss"], *training.predict(model, images[:1]).ravel().tolist()]
"""
FOUR_MORE = """
for _ in range(4):
    model = keras.Sequential([keras.layers.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("adam", loss)
    training.fit(model, images, labels, validation_data=(images, labels), epochs=1)
    training.predict(model, images)
"""


def test_threads_change_no_more_than_rounding_and_nothing_is_written_to_stderr():
    """In up to six trainings, since TensorFlow would warn from the fifth model on."""
    here = {}
    exec(TRAININGS, here)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    for threads, parts, more in ((1, 1, ""), (2, 2, ""), (5, 2, FOUR_MORE)):
        if threads == here["THREADS"] and not more:
            continue
        code = f"{TRAININGS}{more}\nprint(json.dumps([THREADS, PARTS, numbers]))"
        environment = variables | {"LAB_THREADS": str(threads)}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, "")
        *counts, numbers = json.loads(run.stdout.splitlines()[-1])
        assert counts == [threads, parts]
        np.testing.assert_allclose(numbers, here["numbers"], rtol=1e-3)
