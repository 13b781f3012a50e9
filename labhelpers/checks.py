"""Check what `fit` and `predict` are given; what they can't work with ends in one line that says what to do."""

import math

import numpy as np

from labhelpers import kernels
from labhelpers.backend import keras, tf
from labhelpers.cifar10 import N_CLASSES, SIDE
from labhelpers.errors import LabError
from labhelpers.machine import free_memory


def checked_data(model, x, y, validation_data):
    """Return images and labels as arrays, those for validation as well."""
    if not isinstance(model, keras.Model):
        raise LabError(f"fit trains a Keras model, not a {type(model).__name__}: give the model first, then x and y")
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise LabError("validation_data is not a pair of images and labels: give validation_data=split.validation")
    return checked_pair(model, x, y), checked_pair(model, *validation_data)


def checked_pair(model, images, labels):
    """Return images and their labels as arrays; classes as int64, (N,), or one-hot rows as they are, (N, 10)."""
    images, labels = checked_images(model, images), np.asarray(labels)
    n = len(images)
    if labels.shape == (n, 1):  # as keras.datasets.cifar10 gives them
        labels = labels[:, 0]
    if labels.shape not in ((n,), (n, N_CLASSES)) or labels.dtype.kind not in "biuf":
        raise LabError(
            f"the labels of {n} images have the shape {labels.shape} and the dtype {labels.dtype}: give a class for each, "
            f"({n},), or one-hot rows, ({n}, {N_CLASSES}), as numbers"
        )
    if labels.ndim == 1:
        if not np.isin(labels, range(N_CLASSES)).all():
            raise LabError(f"the labels must be whole numbers from 0 to {N_CLASSES - 1}")
        labels = labels.astype("int64")
    return images, labels


def checked_for_recipe(model, *pairs):
    """Return images and labels of the pairs that aren't `None`, one after the other, for `airbench.fit`."""
    arrays = [array for pair in pairs if pair for array in checked_pair(model, *pair)]
    if any(labels.ndim > 1 for labels in arrays[1::2]):
        raise LabError("the labels are one-hot rows, and airbench smooths classes: give labels.argmax(axis=1)")
    if gives_probabilities(model):
        raise LabError("the model ends in a softmax, and airbench trains logits: end it in no activation")
    return arrays


def checked_images(model, images):
    """Return images as an array."""
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise LabError(
            f"the images have the shape {images.shape}: give an array (N, 32, 32, 3), for a single image image[None]"
        )
    wanted = _image_shape(model)
    if any(size not in (None, given) for size, given in zip(wanted, images.shape[1:], strict=True)):
        raise LabError(
            f"the model takes images of shape {wanted}, these have {images.shape[1:]}: begin it with "
            f"keras.layers.Input({images.shape[1:]})"
        )
    if images.dtype != np.uint8 and _scales_pixels(model):
        raise LabError(
            f"the model scales pixel values itself, and these images are {images.dtype}: give them as they are in the data, "
            "uint8 from 0 to 255"
        )
    return images


def _image_shape(model):
    """Return the shape of an image that the model takes; `None` means any size."""
    if not model.built:
        unknown = "the model isn't built, since it doesn't know the shape of its images"
        raise LabError(f"{unknown}: begin it with keras.layers.Input((32, 32, 3))")
    shapes = [tuple(one.shape[1:]) for one in getattr(model, "inputs", None) or []] or [(SIDE, SIDE, 3)]
    if [len(shape) for shape in shapes] != [3]:
        raise LabError("the model doesn't take images alone: train it with model.fit")
    return shapes[0]


def _scales_pixels(model):
    """Return whether pixels are scaled before the first layer with weights."""
    scaling = keras.layers.Rescaling | keras.layers.Normalization
    first = next((layer for layer in kernels.layers_of(model) if isinstance(layer, scaling) or layer.weights), None)
    return isinstance(first, scaling)


def gives_probabilities(model):
    """Return whether the outputs are probabilities, not logits; tried on noise, as a softmax can be written in many ways."""
    shape = [side or SIDE for side in _image_shape(model)]
    noise = np.random.default_rng(0).random((16, *shape), np.float32)
    outputs = model((255 * noise).astype("uint8") if _scales_pixels(model) else noise, training=False)
    if tuple(getattr(outputs, "shape", ())) != (16, N_CLASSES):
        shape = tuple(outputs.shape[1:]) if hasattr(outputs, "shape") else "several outputs"
        flatten = "" if len(shape) == 1 else "keras.layers.Flatten() and "
        raise LabError(
            f"the model gives {shape} for an image, and there are {N_CLASSES} classes: end it in {flatten}"
            f"keras.layers.Dense({N_CLASSES})"
        )
    outputs = tf.cast(outputs, tf.float32).numpy()
    if outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=0.02):
        return True
    if outputs.min() > 0 and outputs.max() < 1:
        raise LabError(
            "the outputs are between 0 and 1 but don't sum to 1, as after a sigmoid: end the model in a softmax, or in no "
            "activation"
        )
    return False


def check_model(model, labels, batch_size):
    """Check how the model was compiled, and that it is new."""
    if not model.compiled:
        call = 'model.compile(optimizer="adam", loss=..., metrics=["accuracy"])'
        raise LabError(f"the model isn't compiled: call {call} first")
    if type(model).train_step is not keras.Model.train_step:
        raise LabError("the model has a train_step of its own, which fit would not use: train it with model.fit")
    compiled = model.get_compile_config()
    compiled["metrics"] = [metric for metric in compiled["metrics"] or [] if metric not in ("accuracy", "acc")]
    for name in ("metrics", "weighted_metrics", "loss_weights", "run_eagerly"):
        if value := compiled[name]:
            raise LabError(
                f"the model was compiled with {name}={value}, which fit can't use: compile it with optimizer, loss and "
                'metrics=["accuracy"] alone, or train it with model.fit'
            )
    if compiled["loss"] is None:
        raise LabError("the model was compiled without a loss: give model.compile a loss")
    _check_loss(model, labels)
    if int(model.optimizer.iterations) > 0:
        raise LabError(
            "this model was trained before and would go on from there: run the cell that builds it first, or compile it "
            "again if that is what you want"
        )
    # For each weight: its gradient, two numbers of Adam's, the best and the last value. For each output of a layer: its
    # value, its gradient, and as much again as working space.
    needed = 4 * (5 * model.count_params() + 3 * batch_size * numbers_per_image(model))
    if needed > free_memory():
        raise LabError(
            f"training this network in batches of {batch_size} takes about {needed / 1e9:.1f} GB, and "
            f"{free_memory() / 1e9:.1f} are free: give its layers fewer filters or units, or choose a smaller batch_size"
        )


def _check_loss(model, labels):
    """Check that the loss fits the model's outputs and the labels."""
    loss = keras.losses.get(model.loss) if isinstance(model.loss, str) else model.loss
    name = getattr(loss, "__name__", type(loss).__name__)
    name = name if name[0].isupper() else name.title().replace("_", "")  # the class, also for a function
    probabilities = gives_probabilities(model)
    if "Crossentropy" not in name or not hasattr(keras.losses, name):  # or a function of a student's own
        return
    if probabilities == getattr(loss, "from_logits", False):
        ends, remedy = ("a softmax", "take out") if probabilities else ("logits", "add")
        fitting = not probabilities
        raise LabError(
            f"the model ends in {ends}, and its loss has from_logits={probabilities}: {remedy} the softmax, or compile it "
            f"with loss=keras.losses.{name}(from_logits={fitting})"
        )
    if ("Sparse" in name) != (labels.ndim == 1):
        kind, fitting = ("classes", "Sparse") if labels.ndim == 1 else ("one-hot rows", "")
        raise LabError(
            f"the labels are {kind}, and the loss is for others: compile the model with "
            f"keras.losses.{fitting}CategoricalCrossentropy"
        )


def numbers_per_image(model):
    """Return how many numbers the layers' outputs for one image have; 0 if a model of a student's own doesn't tell."""
    try:
        return sum(math.prod(layer.output.shape[1:]) for layer in kernels.layers_of(model))
    except (AttributeError, TypeError):
        return 0
