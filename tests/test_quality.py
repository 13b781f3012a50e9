"""Images of lower quality are what their names say, and three kinds are about equally poor."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from labhelpers import standin
from labhelpers.errors import LabError
from labhelpers.quality import LEVELS, lower

LUMINANCE = [0.299, 0.587, 0.114]  # ITU-R BT.601, as in JPEG


@pytest.fixture(scope="module")
def images():
    return standin.draw(0, 50)[2]


def test_levels_are_those_that_records_name():
    assert LEVELS == ("24 pixels", "16 pixels", "12 pixels", "8 pixels", "grey", "JPEG", "noise")


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_keeps_shape_and_brightness_and_changes_something(images, level):
    before, made = images.copy(), lower(images, level)
    assert (made.shape, made.dtype) == (images.shape, np.uint8) and (images == before).all()
    assert (made != images).any() and abs(((made - images.astype(float)) @ LUMINANCE).mean()) < 2
    assert (lower(images, level) == made).all(), "the same array always gets the same noise"


@pytest.mark.parametrize("side", [16, 8])
def test_fewer_pixels_are_means_of_blocks(images, side):
    block = 32 // side
    means = images.reshape(-1, side, block, side, block, 3).mean(axis=(2, 4))
    kept = lower(images, f"{side} pixels").reshape(-1, side, block, side, block, 3).mean(axis=(2, 4))
    assert np.abs(kept - means).mean() < 6, "the enlarged image has about the same means"
    smooth = lower(np.full((1, 32, 32, 3), 77, np.uint8), f"{side} pixels")
    assert (smooth == 77).all()


def test_grey_jpeg_and_noise(images):
    grey = lower(images, "grey").astype(int)
    assert (grey == grey[..., :1]).all()
    assert np.abs(grey[..., 0] - images @ LUMINANCE).max() < 1
    file = io.BytesIO()
    Image.fromarray(images[7]).save(file, "JPEG", quality=15)
    assert (lower(images, "JPEG")[7] == np.asarray(Image.open(file))).all()
    flat = np.full((20, 32, 32, 3), 128, np.uint8)
    noisy = lower(flat, "noise")
    assert noisy.std() == pytest.approx(20, rel=0.02) and noisy.mean() == pytest.approx(128, abs=0.3)
    assert (noisy[0] != noisy[1]).any(), "each image has its own noise"


def test_an_unknown_level_is_named(tells):
    with tells(LabError, "level is 'blurred': choose from '24 pixels', '16 pixels'"):
        lower(np.zeros((1, 32, 32, 3), np.uint8), "blurred")


def similarity(first, second):
    """Mean structural similarity of grey images (Wang et al. 2004, section III-B, with its constants)."""
    first, second = first.mean(axis=-1), second.mean(axis=-1)

    def local(values):
        return gaussian_filter(values, (0, 1.5, 1.5), truncate=3.5)[:, 5:-5, 5:-5]

    means = local(first), local(second)
    variances = [local(values**2) - mean**2 for values, mean in zip((first, second), means, strict=True)]
    covariance = local(first * second) - means[0] * means[1]
    small, smaller = (0.03 * 255) ** 2, (0.01 * 255) ** 2
    ratio = (2 * means[0] * means[1] + smaller) / (means[0] ** 2 + means[1] ** 2 + smaller)
    return (ratio * (2 * covariance + small) / (sum(variances) + small)).mean()


def test_jpeg_and_noise_are_about_as_poor_as_16_pixels(real_cifar):
    images = real_cifar.train_images[:500]
    levels = "24 pixels", "16 pixels", "12 pixels", "JPEG", "noise"
    poor = {level: similarity(images, lower(images, level)) for level in levels}
    assert poor["12 pixels"] < min(poor["JPEG"], poor["noise"]) and max(poor["JPEG"], poor["noise"]) < poor["24 pixels"]
    assert [poor[level] for level in ("JPEG", "noise")] == pytest.approx([poor["16 pixels"]] * 2, abs=0.01)
