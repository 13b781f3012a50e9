"""Data augmentation: mirrored and shifted images, for training and at test time (Jordan 2024, arXiv 2404.00498)."""

from itertools import product

import numpy as np

SHIFT = 2  # the largest shift in each direction, in pixels


def flip_and_shift(images, epoch: int, seed: int = 0) -> np.ndarray:
    """Mirror half of the images, in the next epoch the other half, and shift each by up to two pixels.

    So any two successive epochs show an image both ways (section 3.6 of the paper). A shift fills the border that it
    uncovers by reflection.

    Args:
        images: uint8, (N, 32, 32, 3); not changed.
        epoch: counted from 1; with the seed it determines each flip and shift.
        seed: at least 0.

    Returns:
        The images in their order, uint8, (N, 32, 32, 3).
    """
    n, height, width, _ = images.shape
    mirrored = (np.random.default_rng(seed).integers(2, size=n) + epoch) % 2 == 1
    images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), "reflect")
    steps = 2 * SHIFT + 1
    shifts = np.random.default_rng([seed, epoch]).integers(steps, size=(n, 2))
    for down, right in product(range(steps), repeat=2):  # all images with the same shift at once
        chosen = np.flatnonzero((shifts == (down, right)).all(axis=1))
        images[chosen] = padded[chosen, down : down + height, right : right + width]
    return images


def views(images) -> list[tuple[float, np.ndarray]]:
    """Return 6 views of each image for test-time augmentation (TTA; section 3.5): mirrored or not, shifted or not.

    Args:
        images: uint8, (N, 32, 32, 3).

    Returns:
        Pairs of a view's weight in the average (they sum to 1) and its images, uint8, (N, 32, 32, 3).
    """
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    weighted = (0.25, images), (0.125, padded[:, :-2, :-2]), (0.125, padded[:, 2:, 2:])
    return [(weight, view) for weight, images in weighted for view in (images, images[:, :, ::-1])]
