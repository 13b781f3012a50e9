"""Flips and shifts change where things are, and nothing else; two epochs show both sides of an image."""

import numpy as np
import pytest

from labhelpers.augmentation import flip_and_shift, views


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), np.uint8)


def _candidates(image):
    """Every mirrored and moved version of an image, made by plain indexing: a border reflects like a mirror."""
    for mirrored in (False, True):
        side = image[:, ::-1] if mirrored else image
        for down in range(-2, 3):
            for right in range(-2, 3):
                rows, columns = (31 - np.abs(31 - np.abs(np.arange(32) + move)) for move in (down, right))
                yield mirrored, down, right, side[np.ix_(rows, columns)]


def test_every_image_is_a_mirrored_or_moved_version_of_itself(images):
    seen = []
    for before, after in zip(images, flip_and_shift(images, 1), strict=True):
        found = [case[:3] for case in _candidates(before) if (case[3] == after).all()]
        assert len(found) == 1
        seen += found
    mirrored, down, right = zip(*seen, strict=True)
    assert 150 < sum(mirrored) < 250
    assert set(down) == set(right) == {-2, -1, 0, 1, 2}


def test_the_next_epoch_shows_the_other_side(images):
    sides = []
    for epoch in (1, 2, 3):
        after = flip_and_shift(images[:50], epoch)
        sides.append(
            [
                next(case[0] for case in _candidates(image) if (case[3] == one).all())
                for image, one in zip(images, after, strict=False)
            ]
        )
    assert sides[0] == [not side for side in sides[1]] == sides[2]


def test_seed_and_epoch_fix_it_and_the_images_stay_as_they_are(images):
    before = images.copy()
    assert (flip_and_shift(images, 2, 5) == flip_and_shift(images, 2, 5)).all()
    assert (flip_and_shift(images, 2, 5) != flip_and_shift(images, 2, 6)).any()
    assert (flip_and_shift(images, 2, 5) != flip_and_shift(images, 4, 5)).any()
    assert (images == before).all()


def test_views_are_six_of_each_image_with_weights_that_sum_to_one(images):
    seen = views(images)
    assert sum(weight for weight, _ in seen) == 1
    assert [one.shape for _, one in seen] == 6 * [images.shape]
    for _, one in seen:
        assert any((case[3] == one[7]).all() for case in _candidates(images[7]))
    assert (seen[0][1] == images).all() and (seen[1][1] == images[:, :, ::-1]).all()
