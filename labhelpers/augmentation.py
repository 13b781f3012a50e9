"""Flips and shifts of images: more to learn from, without a new photograph."""

from itertools import product

import numpy as np

SHIFT = 2  # pixels, at most, up or down and left or right


def flip_and_shift(images, epoch: int, seed: int = 0) -> np.ndarray:
    """Mirror half of the images, and the other half in the next epoch; move each by up to two pixels.

    Alternating flips show both sides of an image in any two epochs (Jordan 2024, arXiv 2404.00498, section 3.6);
    what a shift uncovers is filled with the reflection of the image.

    Args:
        images: uint8, (N, 32, 32, 3); not changed.
        epoch: counted from 1; with the seed it fixes the flips and shifts.
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
    # All images of one shift are cut out at once.
    for down, right in product(range(steps), repeat=2):
        chosen = np.flatnonzero((shifts == (down, right)).all(axis=1))
        images[chosen] = padded[chosen, down : down + height, right : right + width]
    return images


def views(images) -> list[tuple[float, np.ndarray]]:
    """Return six views of each image with their weights, to be averaged over: mirrored or not, moved by a pixel or not.

    The views and weights are those of Jordan 2024 (arXiv 2404.00498, section 3.5).

    Args:
        images: uint8, (N, 32, 32, 3).

    Returns:
        Pairs of a weight and the images so seen, uint8, (N, 32, 32, 3); the weights sum to 1.
    """
    _, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    moved = [padded[:, start : start + height, start : start + width] for start in (0, 2)]
    weighted = [(0.25, images), *((0.125, one) for one in moved)]
    return [(weight, side) for weight, one in weighted for side in (one, one[:, :, ::-1])]
