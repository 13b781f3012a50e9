"""Data augmentation: mirrored and shifted images, for training and at test time (Jordan 2024, arXiv 2404.00498)."""

from itertools import product

import numpy as np

SHIFT = 2  # the largest shift in each direction, in pixels


def flip_and_shift(images, epoch: int, seed: int = 0) -> np.ndarray:
    """Mirror half of the images, in the next epoch the other half, and shift each by up to two pixels.

    With alternating flips any two epochs show both sides of an image (section 3.6 of the paper). The reflected image
    fills the border that a shift uncovers.

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
    """Return six versions of each image for test-time augmentation (TTA; section 3.5): mirrored or not, shifted or not.

    Args:
        images: uint8, (N, 32, 32, 3).

    Returns:
        Pairs of a version's weight in the average (they sum to 1) and its images, uint8, (N, 32, 32, 3).
    """
    _, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    shifted = [padded[:, start : start + height, start : start + width] for start in (0, 2)]
    weighted = [(0.25, images), *((0.125, version) for version in shifted)]
    return [(weight, side) for weight, version in weighted for side in (version, version[:, :, ::-1])]
