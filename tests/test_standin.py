"""The stand-in images: their form, that a seed fixes them, and that they pose a task like CIFAR-10's."""

import hashlib

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from labhelpers import standin
from labhelpers.cifar10 import CLASS_NAMES, N_TEST, N_TRAIN

AUTOMOBILE, CAT, DOG, TRUCK = 1, 3, 5, 9
IS_ANIMAL = np.array([0, 0, 1, 1, 1, 1, 1, 1, 0, 0], bool)
DIGEST = "6427378a95210073f0d1034b0dcb91b4569e8d510919ce85f55e3d8a0c0fa20f"


@pytest.fixture(scope="module")
def drawn():
    return standin.draw(4_000, 2_000)


def test_images_and_labels_have_cifar10s_form(drawn):
    assert [array.shape for array in drawn] == [(4_000, 32, 32, 3), (4_000,), (2_000, 32, 32, 3), (2_000,)]
    assert {array.dtype for array in drawn} == {np.dtype(np.uint8)}
    assert standin.draw.__defaults__ == (N_TRAIN, N_TEST)
    assert tuple(standin.SCENES) == CLASS_NAMES


def test_images_use_the_range_of_a_byte_as_photographs_do_and_none_comes_twice(drawn):
    images = np.concatenate([drawn[0], drawn[2]])
    assert images.min() == 0 and images.max() == 255
    assert 80 < images.mean() < 150  # CIFAR-10: 121
    assert 40 < images.std() < 80  # CIFAR-10: 64
    assert len({image.tobytes() for image in images}) == len(images)


def test_every_machine_draws_the_same_bytes():
    # The digest was taken once, on x86-64; with it, what two machines make of these images can be compared.
    arrays = standin.draw(1_000, 1_000)
    assert hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest() == DIGEST


@pytest.mark.parametrize(("n_train", "n_test"), [(0, 0), (1, 7), (999, 1_000), (1_001, 1_500)])
def test_a_smaller_set_is_the_beginning_of_a_larger_one(drawn, n_train, n_test):
    beginning = [drawn[0][:n_train], drawn[1][:n_train], drawn[2][:n_test], drawn[3][:n_test]]
    for small, large in zip(standin.draw(n_train, n_test), beginning, strict=True):
        np.testing.assert_array_equal(small, large)


def test_every_thousand_images_hold_a_hundred_of_each_class_in_random_order(drawn):
    for labels in np.concatenate([drawn[1], drawn[3]]).reshape(-1, 1_000):
        np.testing.assert_array_equal(np.bincount(labels), np.full(10, 100))
    for gap in (1, 1_000):  # neighbours, and two thousands, agree as often as by chance
        assert 0.05 < np.mean(drawn[1][gap:] == drawn[1][:-gap]) < 0.15


def test_a_linear_classifier_learns_much_and_mostly_confuses_classes_of_one_group(drawn):
    train, test = (images.reshape(-1, 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(-1, 192) for images in drawn[::2])
    weights = np.linalg.lstsq(with_one(train), np.eye(10)[drawn[1]])[0]
    true, predicted = drawn[3], (with_one(test) @ weights).argmax(axis=1)
    assert 0.25 < np.mean(predicted == true) < 0.5
    true, predicted = true[predicted != true], predicted[predicted != true]
    within = np.mean(IS_ANIMAL[predicted] == IS_ANIMAL[true])
    by_group_sizes = np.mean(np.where(IS_ANIMAL[true], 5 / 9, 3 / 9))
    assert within > by_group_sizes + 0.1


@pytest.mark.parametrize("classes", [(CAT, DOG), (AUTOMOBILE, TRUCK)])
def test_the_object_tells_classes_apart_that_share_their_surroundings(drawn, classes):
    train, test = np.isin(drawn[1], classes), np.isin(drawn[3], classes)
    known, asked = edges(drawn[0][train]), edges(drawn[2][test])
    signs = np.where(drawn[1][train] == classes[0], 1, -1)
    # Kernel ridge regression, with a Gaussian kernel.
    weights = np.linalg.solve(gaussian(known, known) + 0.1 * np.eye(len(known)), signs)
    predicted = np.where(gaussian(asked, known) @ weights > 0, *classes)
    assert np.mean(predicted == drawn[3][test]) > 0.58


def with_one(rows):
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def gaussian(first, second):
    distances = cdist(first, second, "sqeuclidean")
    return np.exp(-distances / (second.shape[1] * second.var()))


def edges(images):
    """How much brightness changes, across and down, in each of 7 x 7 cells; about the same in a mirror."""
    grey = images.mean(axis=3) / 255
    changes = np.stack([np.diff(grey, axis=2)[:, :28, :28], np.diff(grey, axis=1)[:, :28, :28]], axis=-1)
    cells = np.abs(changes).reshape(-1, 7, 4, 7, 4, 2).mean(axis=(2, 4))
    return (cells + cells[:, :, ::-1]).reshape(len(images), -1)
