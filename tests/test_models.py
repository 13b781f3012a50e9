"""The networks are those of the report: their layers, sizes, costs and first weights."""

import inspect

import numpy as np
import pytest

from labhelpers import models
from labhelpers.backend import keras
from labhelpers.errors import LabError

ALL = models.NETWORKS


@pytest.fixture(scope="module")
def networks():
    return {name: build() for name, build in ALL.items()}


def _differs(first, second):
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ALL)
def test_network_takes_uint8_images_and_returns_float32_logits(name, networks):
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)
    logits = keras.ops.convert_to_numpy(networks[name](images))
    assert networks[name].inputs[0].dtype == "uint8"
    assert (logits.shape, logits.dtype) == ((7, 10), np.float32)
    assert (logits < 0).any() and (logits > 0).any(), "return logits: no softmax and no ReLU at the end"


def test_every_network_is_listed():
    functions = [one for one in vars(models).values() if inspect.isfunction(one)]
    built = {one for one in functions if one.__annotations__.get("return") is keras.Model} - {models.load_trained}
    assert built == set(ALL.values()), "enter the function in NETWORKS"


def test_images_are_scaled_to_minus_one_to_one(networks):
    images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    for name in ("baseline", "wider_masks", "second_convolution", "deeper", "batch_normalized"):
        scaled = np.ravel(networks[name].layers[0](images))
        np.testing.assert_allclose(scaled, [-1, -0.6, 1], atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "name, convolutions",
    [
        ("baseline", [((3, 3), 18)]),
        ("wider_masks", [((5, 5), 18)]),
        ("second_convolution", [((3, 3), 18), ((3, 3), 10)]),
        ("deeper", [((5, 5), 18), ((3, 3), 10)]),
    ],
)
def test_layers_are_those_of_the_report(name, convolutions, networks):
    kinds = [type(layer).__name__ for layer in networks[name].layers]
    blocks = len(convolutions) * ["Conv2D", "MaxPooling2D"]
    assert kinds == ["Rescaling", *blocks, "Flatten", "Dense", "Dense"]
    layers = networks[name].layers
    found = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(layer.kernel_size, layer.filters) for layer in found] == convolutions
    assert {layer.padding for layer in found} == {"same"}
    assert {layer.pool_size for layer in layers if isinstance(layer, keras.layers.MaxPooling2D)} == {(2, 2)}
    assert [layer.units for layer in layers[-2:]] == [64, 10]
    activations = [layer.activation.__name__ for layer in (*found, *layers[-2:])]
    assert activations == [*(len(found) + 1) * ["relu"], "linear"]


# positions of the output x size of a kernel x channels in x channels out; then inputs x units
MULTIPLICATIONS = {
    "baseline": {"convolution": 32 * 32 * 3 * 3 * 3 * 18, "dense": 18 * 16 * 16 * 64, "logits": 64 * 10},
    "deeper": {
        "convolution_1": 32 * 32 * 5 * 5 * 3 * 18,
        "convolution_2": 16 * 16 * 3 * 3 * 18 * 10,
        "dense": 10 * 8 * 8 * 64,
        "logits": 64 * 10,
    },
}


@pytest.mark.parametrize("name, parameters, total", [("baseline", 296_130, 793_216), ("deeper", 44_672, 1_838_720)])
def test_parameters_and_multiplications_are_those_counted_by_hand(name, parameters, total, networks):
    table = models.layer_costs(networks[name]).set_index("layer")
    assert networks[name].count_params() == table["parameters"].sum() == parameters
    counted = table["multiplications"]
    assert counted[counted > 0].to_dict() == MULTIPLICATIONS[name]
    assert counted.sum() == total


def test_costs_have_a_row_a_layer_with_its_output(networks):
    table = models.layer_costs(networks["baseline"])
    assert list(table.columns) == ["layer", "output", "parameters", "multiplications"]
    assert table["layer"].tolist() == [layer.name for layer in networks["baseline"].layers]
    outputs = ["32 x 32 x 3", "32 x 32 x 18", "16 x 16 x 18", "4608", "64", "10"]
    assert table["output"].tolist() == outputs


def test_costs_of_a_network_of_one_s_own():
    layers = keras.layers
    model = keras.Sequential([layers.Input((9, 9, 2)), layers.Conv2D(5, 3, strides=2), layers.Flatten()])
    assert models.layer_costs(model)["multiplications"].tolist() == [4 * 4 * 3 * 3 * 2 * 5, 0]


@pytest.mark.parametrize("name", ALL)
def test_seed_fixes_the_first_weights(name, networks):
    assert not _differs(networks[name], ALL[name](seed=0)), "begin the function with _seed_weights(seed)"
    assert _differs(networks[name], ALL[name](seed=4))


@pytest.mark.parametrize("build", [*ALL.values(), lambda seed: models.start_like_pytorch(models.baseline(), seed)])
def test_impossible_seed_is_refused(build, tells):
    with tells(LabError, "seed is -1"):
        build(-1)


# PyTorch's first weights


def test_weights_like_pytorchs_fill_their_range_evenly():
    """Its documentation of Conv2d and Linear: U(-b, b), b = 1 / sqrt(inputs of an output), biases too."""
    model, same, other = (models.deeper() for _ in range(3))
    for one, seed in ((model, 1), (same, 1), (other, 2)):
        models.start_like_pytorch(one, seed)
    assert not _differs(model, same) and _differs(model, other)
    for layer in model.layers:
        for weight in map(keras.ops.convert_to_numpy, layer.weights):
            inputs = np.prod(layer.kernel.shape[:-1])
            assert np.abs(weight).max() <= inputs**-0.5
            if weight.size > 500:
                assert np.abs(weight).max() > 0.98 * inputs**-0.5
                # of a uniform distribution, within five standard errors
                assert abs(weight.std() * np.sqrt(3 * inputs) - 1) < 5 * 0.45 / np.sqrt(weight.size)


# The networks of the improvements


@pytest.mark.parametrize(
    "name, widths, parameters",
    [("three_blocks", (16, 64, 64), 127_384), ("three_wide_blocks", (64, 256, 256), 1_973_944)],
)
def test_three_blocks_have_the_layers_of_airbench94(name, widths, parameters, networks):
    model = networks[name]
    kinds = [type(layer).__name__ for layer in model.layers]
    half = ["Conv2D", "BatchNormalization", "Activation"]
    block = [half[0], "MaxPooling2D", *half[1:], *half]
    end = ["MaxPooling2D", "Flatten", "Dense", "Rescaling"]
    assert kinds == ["Rescaling", "Conv2D", "Activation", *(3 * block), *end]
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in found] == [24, *np.repeat(widths, 2)]
    assert [layer.kernel_size for layer in found] == [(2, 2), *(6 * [(3, 3)])]
    assert model.count_params() == parameters


def test_images_are_standardised_by_the_training_set(networks, real_cifar):
    grey = np.arange(256, dtype=np.uint8).repeat(3).reshape(256, 1, 1, 3)  # every value that a pixel can have
    standardised = np.asarray(networks["three_blocks"].layers[0](grey), float).reshape(256, 3)
    for channel in range(3):
        counts = np.bincount(real_cifar.train_images[..., channel].ravel(), minlength=256)
        mean, square = (np.average(standardised[:, channel] ** power, weights=counts) for power in (1, 2))
        assert (mean, square) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=1e-3))


def test_dtype_is_that_of_the_arithmetic_not_of_weights_and_logits(networks):
    rough = models.three_wide_blocks(dtype="mixed_bfloat16")
    for model, computes in ((networks["three_wide_blocks"], "float32"), (rough, "bfloat16")):
        assert {layer.compute_dtype for layer in model.layers[:-1]} == {computes}
        assert {weight.dtype for weight in model.weights} == {"float32"}
    assert np.asarray(rough(np.zeros((2, 32, 32, 3), np.uint8))).dtype == np.float32
    assert keras.config.dtype_policy().name == "float32"


def test_unknown_dtype_is_refused(tells):
    with tells(LabError, "dtype is 'half'", "'mixed_bfloat16'"):
        models.three_blocks(dtype="half")


def test_batch_normalized_differs_from_deeper_in_that_alone(networks):
    deeper, kinds = ([type(one).__name__ for one in networks[name].layers] for name in ("deeper", "batch_normalized"))
    assert [kind for kind in kinds if kind not in ("BatchNormalization", "Activation")] == deeper
    assert kinds.count("BatchNormalization") == 2


# The same network


def like_baseline(side=32, filters=18, size=3, initializer="glorot_uniform", dropout=()):
    """Build the baseline as a student would, with Keras's own names."""
    layers, relu = keras.layers, {"activation": "relu"}
    first = layers.Input((side, side, 3), dtype="uint8"), layers.Rescaling(1 / 127.5, offset=-1)
    convolution = layers.Conv2D(filters, size, padding="same", kernel_initializer=initializer, **relu)
    dense = layers.Dense(64, **relu), *map(layers.Dropout, dropout), layers.Dense(10)
    return keras.Sequential([*first, convolution, layers.MaxPooling2D(2), layers.Flatten(), *dense])


def functional(model):
    inputs = outputs = keras.layers.Input((32, 32, 3), dtype="uint8")
    for layer in model.layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def test_names_weights_and_the_way_of_building_make_no_other_network(networks):
    for model in (models.baseline(1), like_baseline(), functional(like_baseline())):
        assert models.same_network(networks["baseline"], model) and models.same_network(model, networks["baseline"])


@pytest.mark.parametrize(
    "change", [{"filters": 16}, {"size": 5}, {"initializer": "he_normal"}, {"dropout": (0.2,)}, {"side": 28}], ids=str
)
def test_another_layer_setting_or_shape_makes_another_network(change, networks):
    assert not models.same_network(networks["baseline"], like_baseline(**change))


def test_no_two_networks_of_the_report_are_the_same(networks):
    for first in networks:
        same = [second for second in networks if models.same_network(networks[first], networks[second])]
        assert same == [first]
