"""Training by a recipe does what it says, and a run that was cut off ends like one that was not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from labhelpers import airbench, augmentation, data, kernels, models, standin, training
from labhelpers.airbench import Recipe
from labhelpers.backend import keras, tf
from labhelpers.errors import CheckpointUnusable, LabError, TrainingDiverged

PLAIN = Recipe(flips_and_shifts=False, label_smoothing=0.0, averaging=False)
AVERAGED = replace(PLAIN, averaging=True)
# Without what is peculiar to airbench94.
PLAINEST = replace(PLAIN, weight_decay=0.0, bias_factor=1.0)
SETTINGS = {"epochs": 3, "batch_size": 50, "learning_rate": 0.125}


@pytest.fixture(scope="module")
def images():
    """The first 6,000 stand-in images, and their labels."""
    return data.Images(*standin.draw(6_000, 0)[:2])


@pytest.fixture(scope="module")
def split(images):
    parts = slice(400), slice(5_000, 5_100), slice(5_100, 5_120)
    return data.Split(*(data.Images(*(array[part] for array in images)) for part in parts))


def network(images=None, seed=0, dtype="float32"):
    """One block instead of three, since what takes long is to build the graphs."""
    model = models.three_blocks(seed, (8,), dtype)
    if images is not None:
        airbench.initialise(model, images)
    return model


def fit(model, split, recipe=PLAIN, **settings):
    settings = SETTINGS | {"validation_data": split.validation, "recipe": recipe} | settings
    return airbench.fit(model, *split.train, **settings)


def trained(split, recipe=PLAIN, **settings):
    model = network(split.train.images)
    return model, fit(model, split, recipe, **settings)


@pytest.fixture(scope="module")
def whole(split):
    """A network trained by the whole recipe, and its history."""
    return trained(split, Recipe())


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def accuracy(probabilities, labels):
    return (probabilities.argmax(axis=1) == labels).mean()


# What it learns


def test_learns_and_its_history_ends_with_the_weights_that_the_model_has(split):
    model, history = trained(split, epochs=10, learning_rate=0.3)
    loss, right = history.history["loss"], history.history["accuracy"]
    assert loss[-1] < loss[0] - 0.3 and right[-1] > 0.25
    assert accuracy(airbench.predict(model, split.train.images), split.train.labels) > 0.25
    assert list(history.table()) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert len(history.seconds) == len(history.table()) == 10
    images, labels = split.validation
    probabilities = training.predict(model, images)
    assert history.history["val_accuracy"][-1] == accuracy(probabilities, labels)
    truth = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert history.history["val_loss"][-1] == pytest.approx(truth, rel=1e-5)
    for ours, last in zip(model.get_weights(), history.last_weights, strict=True):
        np.testing.assert_array_equal(ours, last)


def test_views_are_averaged_as_the_logarithms_of_probabilities(split):
    model, images = network(split.train.images), split.test.images
    logits = sum(weight * log_softmax(np.asarray(model(seen)), axis=1) for weight, seen in augmentation.views(images))
    probabilities = airbench.predict(model, images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, softmax(logits, axis=1), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_another_seed_differs_and_without_validation_images_there_is_nothing_of_them(split, whole):
    other, history = trained(split, Recipe(), seed=2, validation_data=None)
    assert not equal(whole[0], other)
    assert {name: len(values) for name, values in history.history.items()} == {"loss": 3, "accuracy": 3}


def test_bfloat16_trains_as_float32_does_within_its_digits(split):
    precise, rough = network(), network(dtype="mixed_bfloat16")
    few = {"epochs": 1, "batch_size": 200, "validation_data": None}  # processors that imitate bfloat16 take long
    losses = [fit(model, split, **few).history["loss"] for model in (precise, rough)]
    assert losses[0] == pytest.approx(losses[1], abs=0.03) and losses[0] != losses[1]
    assert {weight.dtype for weight in rough.weights} == {"float32"}


# Each part of the recipe


def test_images_are_flipped_and_shifted_if_the_recipe_says_so(split, whole):
    assert not equal(trained(split, Recipe(flips_and_shifts=False))[0], whole[0])


def order(epoch, n=400):
    """The images of an epoch with the seed 0, of which the first n are trained on."""
    return np.random.default_rng([0, epoch]).permutation(400)[:n]


def slopes(model, split, chosen, smoothing=0.0):
    """The gradients of the mean loss of a batch, of which each half is normalised by itself."""
    truth = (1 - smoothing) * np.eye(10)[split.train.labels[chosen]] + smoothing / 10
    with tf.GradientTape() as tape:
        halves = np.split(chosen, [len(chosen) // 2])
        logits = tf.concat([model(split.train.images[half], training=True) for half in halves], 0)
        loss = tf.reduce_mean(-tf.reduce_sum(truth * tf.nn.log_softmax(logits), axis=1))
    return tape.gradient(loss, [weight.value for weight in model.trainable_variables])


def test_a_step_is_that_of_keras_with_nesterov_momentum(split):
    ours, theirs = network(), network()
    fit(ours, split, PLAINEST, epochs=1, batch_size=200)
    optimizer = keras.optimizers.SGD(momentum=PLAINEST.momentum, nesterov=True)
    optimizer.build(theirs.trainable_variables)
    for step, chosen in enumerate(np.split(order(1), 2)):
        # Keras keeps rate times gradients where we keep gradients: with a new rate the momentum is rescaled.
        rate = 0.125 * Recipe().learning_rate_factor(step / 2)
        if step:
            for momentum in optimizer.momentums:
                momentum.assign(momentum * rate / optimizer.learning_rate)
        optimizer.learning_rate = rate
        optimizer.apply(slopes(theirs, split, chosen), theirs.trainable_variables)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def test_a_step_decays_weights_and_hurries_the_biases_of_norms_as_published(split):
    """One step by hand, from airbench94: decay joins the gradient, divided by the factor that multiplies the rate."""
    recipe = replace(PLAIN, label_smoothing=0.2, weight_decay=0.05, bias_factor=16.0)
    ours, theirs = network(), network()
    fit(ours, split, recipe, epochs=1, batch_size=400, learning_rate=0.5)
    gradients = slopes(theirs, split, order(1), smoothing=0.2)
    for weight, gradient, after in zip(theirs.trainable_variables, gradients, ours.trainable_variables, strict=True):
        factor = 16.0 if weight.name == "beta" else 1.0
        push = gradient.numpy() + 0.05 / factor * weight.numpy()
        expected = weight.numpy() - factor * 0.5 * 0.2 * 1.85 * push
        np.testing.assert_allclose(after.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_the_model_follows_a_running_average_and_ends_with_it(split, monkeypatch):
    """Two epochs of six steps by hand: the weights join their average after the fifth and the tenth step of all."""
    monkeypatch.setattr(kernels, "used", frozenset())  # batch normalisation then is Keras's to the last digit
    ours, theirs = network(), network()
    recipe = replace(PLAINEST, averaging=True, momentum=0.0)
    fit(ours, split, recipe, epochs=2, batch_size=66, learning_rate=0.03)
    optimizer, average = keras.optimizers.SGD(), theirs.get_weights()
    for step, chosen in enumerate([*np.split(order(1, 396), 6), *np.split(order(2, 396), 6)]):
        optimizer.learning_rate = 0.03 * Recipe().learning_rate_factor(step / 12)
        optimizer.apply(slopes(theirs, split, chosen), theirs.trainable_variables)
        if step in (4, 9):
            kept = 0.95**5 * (step / 12) ** 3  # as many steps as were done before this one
            joining = zip(average, theirs.get_weights(), strict=True)
            average = [kept * before + (1 - kept) * now for before, now in joining]
            theirs.set_weights(average)
    dropped = 0.0  # what the last two steps changed
    for found, expected, last in zip(ours.get_weights(), average, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        dropped = max(dropped, np.abs(expected - last).max())
    assert dropped > 1e-3


def test_without_a_fifth_step_there_is_no_average_to_end_with(split):
    settings = {"epochs": 2, "batch_size": 200}
    with_average, without = (trained(split, recipe, **settings)[0] for recipe in (AVERAGED, PLAIN))
    assert equal(with_average, without)


def test_only_the_bias_of_a_whitened_layer_is_trained_and_only_at_first(split, monkeypatch):
    model = network(split.train.images)
    first = model.layers[1]
    after_epochs, predictor = [first.get_weights()], training.predictor

    def noting(model):
        predict = predictor(model)

        def noted(images):
            after_epochs.append(first.get_weights())
            return predict(images)

        return noted

    monkeypatch.setattr(training, "predictor", noting)
    fit(model, split, replace(PLAIN, whitening_epochs=1))
    kernels, biases = zip(*after_epochs, strict=True)
    assert all((kernel == kernels[0]).all() for kernel in kernels)
    assert [bool((a != b).any()) for a, b in pairwise(biases)] == [True, False, False]


# The values of airbench94


def test_the_values_are_those_of_airbench94():
    assert Recipe() == Recipe(True, 0.2, True, 3, 0.85, 0.0153 / 11.5, 64.0)
    # Its rate is for the summed loss of 1,024 images, and for a step that momentum makes 1 + 1 / (1 - 0.85) as long.
    assert pytest.approx(11.5 / (1024 * (1 + 1 / 0.15)) * 500, abs=0.005) == Recipe.LEARNING_RATE == 0.73
    assert Recipe.BATCH_SIZE == 500
    assert (Recipe.START, Recipe.PEAK_AT, Recipe.END) == (0.2, 0.23, 0.07)
    assert (Recipe.AVERAGED_EVERY, Recipe.DECAY) == (5, 0.95)
    assert (Recipe.WHITENING_IMAGES, Recipe.WHITENING_EPSILON) == (5000, 5e-4)


def test_the_rate_rises_then_falls_in_straight_lines():
    rates = [Recipe().learning_rate_factor(done) for done in (0, 0.115, 0.23, 0.615, 1)]
    assert rates == pytest.approx([0.2, 0.6, 1, 0.535, 0.07])


# The initial weights


def test_a_whitened_layer_gives_uncorrelated_values_of_variance_one(images):
    """Of the first 5,000 images: those after them change nothing."""
    (standardising, first), more = network(images.images[:5_000]).layers[:2], network(images.images).layers[1]
    assert (more.kernel.numpy() == first.kernel.numpy()).all()
    values = np.asarray(first(standardising(images.images[:5_000]))).reshape(-1, 24)
    np.testing.assert_allclose(values[:, :12], -values[:, 12:], atol=1e-4)
    second_moments = values[:, :12].T @ values[:, :12] / len(values)
    diagonal = second_moments.diagonal()
    np.testing.assert_allclose(second_moments, np.diag(diagonal), atol=0.01)
    assert (diagonal < 1.01).all() and diagonal.max() > 0.99  # weak directions are not blown up all the way


def test_convolutions_begin_by_copying_their_input(images):
    model = models.three_blocks()
    airbench.initialise(model, images.images[:100])
    random = np.random.default_rng(0).normal(size=(1, 8, 8, 24)).astype("float32")
    copied = np.asarray(model.get_layer("convolution_1a")(random))
    np.testing.assert_allclose(copied, random[..., :16], atol=1e-6)
    wider = np.asarray(model.get_layer("convolution_2a")(random[..., :16]))
    np.testing.assert_allclose(wider[..., :16], random[..., :16], atol=1e-6)
    assert np.abs(wider[..., 16:]).max() > 0.01


# Checkpoints


def test_interrupted_and_resumed_ends_with_the_same_numbers(split, whole, tmp_path, monkeypatch):
    model, history = whole
    path, flip_and_shift = tmp_path / "état.npz", augmentation.flip_and_shift

    def interrupted(images, epoch, seed):
        if epoch == 3:
            raise KeyboardInterrupt
        return flip_and_shift(images, epoch, seed)

    monkeypatch.setattr(augmentation, "flip_and_shift", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(split, Recipe(), checkpoint=path)
    monkeypatch.undo()
    resumed, second = trained(split, Recipe(), checkpoint=path)
    assert equal(model, resumed) and history.history == second.history
    finished, third = trained(split, Recipe(), checkpoint=str(path))  # is not trained again
    assert equal(model, finished) and third.history == second.history and third.seconds == second.seconds


@pytest.fixture(scope="module")
def checkpoint(split, tmp_path_factory):
    """That of one epoch of a network that has Keras's initial weights; numbers of NumPy are numbers."""
    path = tmp_path_factory.mktemp("state") / "checkpoint.npz"
    numbers = {"epochs": np.int64(1), "learning_rate": np.float32(0.125), "seed": np.int64(0)}
    fit(network(), split, checkpoint=path, **numbers)
    return path


def other(activation=None):
    """Return a network of another name with the same weights, in which one activation may be another one."""
    layers = [keras.layers.Input((32, 32, 3), dtype="uint8"), *network().layers]
    if activation:
        layers[3] = keras.layers.Activation(activation)
    return keras.Sequential(layers, name="other")


def test_a_checkpoint_of_the_same_training_is_taken_up(split, checkpoint):
    again = other()
    history = fit(again, split, epochs=1, checkpoint=checkpoint)
    assert not equal(again, network()) and len(history.seconds) == 1


# What differs from the training that wrote the checkpoint: the network, the data, or a setting.
DIFFERENT = {
    "network": (lambda: other("relu"), {}, {}),
    "initial weights": (lambda: network(seed=1), {}, {}),
    "validation images": (network, {"validation": lambda part: None}, {}),
    "labels": (network, {"train": lambda part: part._replace(labels=np.roll(part.labels, 1))}, {}),
    "images": (network, {"train": lambda part: part._replace(images=part.images[:, ::-1])}, {}),
    "epochs": (network, {}, {"epochs": 2}),
    "batch_size": (network, {}, {"batch_size": 51}),
    "learning_rate": (network, {}, {"learning_rate": 0.13}),
    "seed": (network, {}, {"seed": 1}),
    "recipe": (network, {}, {"recipe": replace(PLAIN, momentum=0.0)}),
}


@pytest.mark.parametrize("build, changes, settings", DIFFERENT.values(), ids=DIFFERENT)
def test_a_checkpoint_of_another_training_is_refused(split, checkpoint, build, changes, settings, tells):
    split = split._replace(**{name: change(getattr(split, name)) for name, change in changes.items()})
    before = checkpoint.read_bytes()
    fault = "is of another network, or of one trained with other settings or images"
    with tells(CheckpointUnusable, f"checkpoint.npz {fault}: delete checkpoint.npz"):
        fit(build(), split, **{"epochs": 1, "checkpoint": checkpoint} | settings)
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("spoil", [lambda content: content[:2000], lambda content: b"text", lambda content: b""])
def test_a_damaged_checkpoint_is_named_with_what_to_do(split, checkpoint, tmp_path, spoil, tells):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(spoil(checkpoint.read_bytes()))
    with tells(CheckpointUnusable, "checkpoint.npz is damaged: delete checkpoint.npz"):
        fit(network(), split, epochs=1, checkpoint=path)


# What can't be


def test_a_loss_that_is_not_finite_ends_in_one_line(split, tells):
    with tells(TrainingDiverged, "no longer finite in epoch 1: try a smaller learning_rate"):
        trained(split, learning_rate=1e30)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"batch_size": 401}, {"learning_rate": 0}, {"seed": -1}], ids=str
)
def test_a_bad_parameter_is_named(split, wrong, tells):
    with tells(LabError, f"{next(iter(wrong))} is "):
        fit(network(), split, **wrong)


def test_one_hot_labels_and_a_softmax_end_in_one_line(split, tells):
    x, y = split.train
    with tells(LabError, "one-hot rows", "give labels.argmax(axis=1)"):
        airbench.fit(network(), x, np.eye(10)[y], epochs=1, batch_size=50)
    with tells(LabError, "ends in a softmax", "end it in no activation"):
        fit(keras.Sequential([network(), keras.layers.Softmax()]), split, epochs=1)


@pytest.mark.parametrize("layers", [slice(0, None), slice(0, 1), slice(1, 3)], ids=["deeper", "one", "two"])
def test_only_the_network_it_is_made_for_is_initialised(images, layers, tells):
    model = models.deeper() if layers.stop is None else keras.Sequential(network().layers[layers])
    before = [weight.numpy() for weight in model.weights]
    with tells(LabError, "initialise is for models.three_blocks and three_wide_blocks"):
        airbench.initialise(model, images.images)
    assert all((weight.numpy() == value).all() for weight, value in zip(model.weights, before, strict=True))
