"""The networks are those of the report: their layers, sizes, costs and first weights."""

import numpy as np
import pytest
import scipy.stats

from labhelpers import data, models
from labhelpers.backend import keras, tf
from labhelpers.errors import LabError

NAMES = ("baseline", "wider_masks", "second_convolution", "deeper")
NETWORKS = {name: getattr(models, name) for name in NAMES}
ALL = NETWORKS | {name: getattr(models, name) for name in ("batch_normalized", "three_blocks")}


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
    assert (logits < 0).any() and (logits > 0).any()  # no softmax, no ReLU at the end


@pytest.mark.parametrize("name", NETWORKS)
def test_images_are_scaled_to_minus_one_to_one(name, networks):
    first = networks[name].layers[0]
    images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(np.ravel(first(images)), [-1, -0.6, 1], atol=1e-6)


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


@pytest.mark.parametrize("name, parameters", [("baseline", 296_130), ("deeper", 44_672)])
def test_number_of_parameters(name, parameters, networks):
    assert networks[name].count_params() == parameters
    assert models.layer_costs(networks[name])["parameters"].sum() == parameters


# places of the output x size of a mask x channels in x channels out; then inputs x units
MULTIPLICATIONS = {
    "baseline": {
        "convolution": 32 * 32 * 3 * 3 * 3 * 18,
        "dense": 18 * 16 * 16 * 64,
        "logits": 64 * 10,
    },
    "deeper": {
        "convolution_1": 32 * 32 * 5 * 5 * 3 * 18,
        "convolution_2": 16 * 16 * 3 * 3 * 18 * 10,
        "dense": 10 * 8 * 8 * 64,
        "logits": 64 * 10,
    },
}


@pytest.mark.parametrize("name, total", [("baseline", 793_216), ("deeper", 1_838_720)])
def test_multiplications_are_those_counted_by_hand(name, total, networks):
    table = models.layer_costs(networks[name])
    counted = table[table["multiplications"] > 0].set_index("layer")["multiplications"].to_dict()
    assert counted == MULTIPLICATIONS[name]
    assert table["multiplications"].sum() == total


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


@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
def test_seed_fixes_the_first_weights(build):
    assert not _differs(build(seed=3), build(seed=3))
    assert _differs(build(seed=3), build(seed=4))


@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "one", None])
def test_impossible_seed_is_refused(build, seed, tells):
    with tells(LabError, f"seed is {seed!r}"):
        build(seed)


# PyTorch's first weights


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_weights_like_pytorchs_fill_their_range_evenly(build):
    """Its documentation of Conv2d and Linear: U(-b, b), b = 1 / sqrt(inputs of an output), biases too."""
    model = build()
    models.start_like_pytorch(model, seed=0)
    for layer in model.layers:
        for weight in map(keras.ops.convert_to_numpy, layer.weights):
            inputs = np.prod(layer.kernel.shape[:-1])
            assert np.abs(weight).max() <= inputs**-0.5
            if weight.size > 500:
                assert np.abs(weight).max() > 0.98 * inputs**-0.5
                # of a uniform distribution, within five standard errors
                assert abs(weight.std() * np.sqrt(3 * inputs) - 1) < 5 * 0.45 / np.sqrt(weight.size)


def test_seed_fixes_the_weights_like_pytorchs():
    first, same, other = (models.baseline() for _ in range(3))
    for model, seed in ((first, 1), (same, 1), (other, 2)):
        models.start_like_pytorch(model, seed)
    assert not _differs(first, same)
    assert _differs(first, other) and _differs(first, models.baseline(1))


# The networks of the ladder


@pytest.mark.parametrize("widths, parameters", [((16, 64, 64), 127_384), ((64, 256, 256), 1_973_944)])
def test_three_blocks_have_the_layers_of_airbench94(widths, parameters):
    model = models.three_blocks(widths=widths)
    kinds = [type(layer).__name__ for layer in model.layers]
    half = ["Conv2D", "BatchNormalization", "Activation"]
    block = [half[0], "MaxPooling2D", *half[1:], *half]
    end = ["MaxPooling2D", "Flatten", "Dense", "Rescaling"]
    assert kinds == ["Rescaling", "Conv2D", "Activation", *(3 * block), *end]
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in found] == [24, *np.repeat(widths, 2)]
    assert [layer.kernel_size for layer in found] == [(2, 2), *(6 * [(3, 3)])]
    assert model.count_params() == parameters
    assert model(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 10)


def test_images_are_standardised_by_the_training_set(real_cifar):
    standardised = np.asarray(models.three_blocks().layers[0](real_cifar.train_images))
    np.testing.assert_allclose(standardised.mean(axis=(0, 1, 2), dtype=float), 0, atol=1e-3)
    np.testing.assert_allclose(standardised.std(axis=(0, 1, 2), dtype=float), 1, atol=1e-3)


def test_a_whitened_layer_gives_uncorrelated_values_of_variance_one():
    images = data.load("standin").train_images[:5_000]
    model = models.three_blocks()
    models.start_whitened(model, images)
    values = model.layers[0](images)
    values = np.asarray(model.get_layer(models.FIRST_LAYER)(values)).reshape(-1, 24)
    np.testing.assert_allclose(values[:, :12], -values[:, 12:], atol=1e-4)
    second_moments = values[:, :12].T @ values[:, :12] / len(values)
    diagonal = second_moments.diagonal()
    np.testing.assert_allclose(second_moments, np.diag(diagonal), atol=0.01)
    assert (diagonal < 1.01).all() and diagonal.max() > 0.99  # weak directions are not blown up all the way


def test_convolutions_start_by_passing_on_what_they_get():
    images = data.load("standin").train_images[:100]
    model = models.three_blocks()
    models.start_whitened(model, images)
    random = np.random.default_rng(0).normal(size=(1, 8, 8, 24)).astype("float32")
    passed = np.asarray(model.get_layer("convolution_1a")(random))
    np.testing.assert_allclose(passed, random[..., :16], atol=1e-6)
    wider = np.asarray(model.get_layer("convolution_2a")(random[..., :16]))
    np.testing.assert_allclose(wider[..., :16], random[..., :16], atol=1e-6)
    assert np.abs(wider[..., 16:]).max() > 0.01


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-6), ("bfloat16", 2**-8)])
def test_gelu_and_its_slope_are_those_of_the_normal_distribution(dtype, tolerance):
    places = np.linspace(-6, 6, 97)  # exact in bfloat16
    x = tf.constant(places, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = models.gelu(x)
    normal = scipy.stats.norm
    slope = normal.cdf(places) + places * normal.pdf(places)
    for ours, truth in ((y, places * normal.cdf(places)), (tape.gradient(y, x), slope)):
        assert ours.dtype == dtype
        np.testing.assert_allclose(tf.cast(ours, "float64"), truth, rtol=2 * tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 0.02)])
@pytest.mark.parametrize("scale", [True, False])
def test_batch_normalization_is_that_of_keras(dtype, tolerance, scale):
    random = np.random.default_rng(0)
    images, upstream = random.normal(1, 2, (2, 20, 6, 6, 4)).astype("float32")
    found = []
    for kind in (models.BatchNormalization, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9, scale=scale, epsilon=1e-3, dtype=dtype)
        layer.build(images.shape)
        layer.beta.assign(random.normal(size=4) if not found else found[0][0].beta)
        x = tf.cast(images, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, "float32") * upstream)
        weights = [weight.value for weight in layer.trainable_variables]
        found.append((layer, y, *tape.gradient(loss, [x, *weights])))
    (layer, *ours), (theirs, *truth) = found
    for a, b in zip(ours, truth, strict=True):
        assert a.dtype == b.dtype
        a, b = tf.cast(a, "float64").numpy(), tf.cast(b, "float64").numpy()
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())
    np.testing.assert_allclose(layer.moving_mean, theirs.moving_mean, rtol=tolerance)
    n = images[..., 0].size
    np.testing.assert_allclose(
        layer.moving_variance - 0.9, (theirs.moving_variance - 0.9) * n / (n - 1), rtol=tolerance
    )


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_precision_is_that_of_the_arithmetic_not_of_weights_and_logits(precision):
    model = models.three_blocks(widths=(4, 8, 8), precision=precision)
    computes = {layer.compute_dtype for layer in model.layers[:-1]}
    assert computes == {precision.removeprefix("mixed_")}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert np.asarray(model(np.zeros((2, 32, 32, 3), np.uint8))).dtype == np.float32
    assert keras.config.dtype_policy().name == "float32"


def test_unknown_precision_is_refused(tells):
    with tells(LabError, "precision is 'half'"):
        models.three_blocks(precision="half")


def test_batch_normalized_differs_from_deeper_in_that_alone():
    kinds = [type(layer).__name__ for layer in models.batch_normalized().layers]
    assert [kind for kind in kinds if kind not in ("BatchNormalization", "Activation")] == [
        type(layer).__name__ for layer in models.deeper().layers
    ]
    assert kinds.count("BatchNormalization") == 2
