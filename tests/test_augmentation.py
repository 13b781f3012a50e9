"""Flips and shifts change where things are, and nothing else; two epochs show both sides of an image."""

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
        found = [case for case in CASES if (_seen(before, *case) == after).all()]
        assert len(found) == 1
        cases += found
    flips, *shifts = zip(*cases, strict=True)
    return flips, shifts


def test_every_image_is_a_mirrored_or_moved_version_of_itself(images):
    flips, (down, right) = _flips_and_shifts(images, 1)
    assert 150 < sum(flips) < 250
    moves = set(zip(down, right, strict=True))
    assert moves == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_the_next_epoch_shows_the_other_side_moved_in_another_way(images):
    (first, second, third), shifts = zip(
        *(_flips_and_shifts(images[:50], it) for it in (1, 2, 3)), strict=True
    )
    assert first == tuple(not flip for flip in second) == third
    assert shifts[0] != shifts[1] != shifts[2] != shifts[0]


def test_another_seed_flips_and_shifts_otherwise(images):
    flips, shifts = zip(*(_flips_and_shifts(images[:50], 2, seed) for seed in (5, 6)), strict=True)
    assert flips[0] != flips[1] and flips[0] != tuple(not flip for flip in flips[1])
    assert shifts[0] != shifts[1]


def test_seed_and_epoch_fix_it_and_the_images_stay_as_they_are(images):
    before = images.copy()
    assert (flip_and_shift(images, 2, 5) == flip_and_shift(images, 2, 5)).all()
    assert (images == before).all()


def test_views_are_those_of_airbench94(images):
    """Half the weight for images in place, half for those moved diagonally by a pixel, each way and on both sides."""
    expected = [
        (0.25, False, 0),
        (0.25, True, 0),
        (0.125, False, -1),
        (0.125, True, -1),
        (0.125, False, 1),
        (0.125, True, 1),
    ]
    found = views(images[:5])
    assert [weight for weight, _ in found] == [weight for weight, *_ in expected]
    for (_, seen), (_, mirrored, move) in zip(found, expected, strict=True):
        # What is moved is mirrored, not what is mirrored moved.
        moved = [_seen(image, False, move, move) for image in images[:5]]
        np.testing.assert_array_equal(seen, [image[:, ::-1] if mirrored else image for image in moved])
