"""Data augmentation changes where things are, and nothing else; two epochs show both sides of an image."""

import numpy as np
import pytest

from labhelpers.augmentation import flip_and_shift, views


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), np.uint8)


def _seen(image, mirrored, down, right):
    """An image seen from a place so many pixels further, by plain indexing: a border reflects like a mirror."""
    side = image[:, ::-1] if mirrored else image
    rows, columns = (31 - np.abs(31 - np.abs(np.arange(32) + move)) for move in (down, right))
    return side[np.ix_(rows, columns)]


CASES = [(side, down, right) for side in (False, True) for down in range(-2, 3) for right in range(-2, 3)]


def _flips_and_shifts(images, epoch, seed=0):
    """Return for each image whether it was mirrored, and how far it was moved down and right."""
    cases = []
    for before, after in zip(images, flip_and_shift(images, epoch, seed), strict=True):
        (case,) = [case for case in CASES if (_seen(before, *case) == after).all()]
        cases.append(case)
    flips, *shifts = zip(*cases, strict=True)
    return flips, shifts


def test_every_image_is_a_mirrored_or_moved_version_of_itself(images):
    flips, (down, right) = _flips_and_shifts(images, 1)
    assert 150 < sum(flips) < 250
    assert flips[:6] == (False, False, False, True, True, True), "as in the recorded runs"
    moves = set(zip(down, right, strict=True))
    assert moves == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_the_next_epoch_shows_the_other_side_and_other_shifts(images):
    epochs = [_flips_and_shifts(images[:50], epoch) for epoch in (1, 2, 3)]
    (first, second, third), shifts = zip(*epochs, strict=True)
    assert first == tuple(not flip for flip in second) == third
    assert shifts[0] != shifts[1] != shifts[2] != shifts[0]


def test_seed_and_epoch_determine_flips_and_shifts_and_the_images_are_not_changed(images):
    before = images.copy()
    assert (flip_and_shift(images, 2, 5) == flip_and_shift(images, 2, 5)).all()
    assert (images == before).all()
    flips, shifts = zip(*(_flips_and_shifts(images[:50], 2, seed) for seed in (5, 6)), strict=True)
    assert flips[0] != flips[1] and flips[0] != tuple(not flip for flip in flips[1])
    assert shifts[0] != shifts[1]


def test_views_are_those_of_airbench94(images):
    """Half the weight for unshifted images, half for those shifted diagonally by a pixel, each way and on both sides."""
    expected = [(weight, flip, move) for weight, move in ((0.25, 0), (0.125, -1), (0.125, 1)) for flip in (False, True)]
    weighted = views(images[:5])
    assert [weight for weight, _ in weighted] == [weight for weight, *_ in expected]
    for (_, seen), (_, mirrored, move) in zip(weighted, expected, strict=True):
        # The shifted images are mirrored, not the mirrored ones shifted.
        shifted = [_seen(image, False, move, move) for image in images[:5]]
        np.testing.assert_array_equal(seen, [image[:, ::-1] if mirrored else image for image in shifted])
