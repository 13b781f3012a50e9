"""Images of lower quality, to measure how much accuracy depends on it: fewer pixels, no colour, JPEG, noise."""

import io
import zlib

import numpy as np

from labhelpers.cifar10 import SIDE
from labhelpers.errors import check_choice

# JPEG and noise are about as poor as 16 pixels: of the values tried in steps of 5, these have a mean structural
# similarity with the originals (SSIM; Wang et al. 2004, doi 10.1109/TIP.2003.819861) closest to that of 16 pixels,
# which is 0.86 on training images.
JPEG_QUALITY = 15  # of 100
NOISE = 20  # standard deviation, of 255
LEVELS = ("24 pixels", "16 pixels", "12 pixels", "8 pixels", "grey", "JPEG", "noise")


def lower(images, level: str) -> np.ndarray:
    """Return images of lower quality, of the same size.

    Args:
        images: uint8, (N, 32, 32, 3).
        level: one of `LEVELS`: fewer pixels (averaged over areas, then enlarged smoothly), "grey", "JPEG" or "noise".

    Returns:
        uint8, (N, 32, 32, 3). The same array always gets the same noise.

    Raises:
        LabError: there is no such level.

    Example:
        >>> lower(np.zeros((5, 32, 32, 3), "uint8"), "16 pixels").shape
        (5, 32, 32, 3)
    """
    check_choice("level", level, LEVELS)
    images = np.asarray(images)
    generator = np.random.default_rng(zlib.crc32(images.tobytes()))
    made = np.empty_like(images)
    for place, pixels in zip(made, images, strict=True):
        place[:] = _lower(pixels, level, generator)
    return made


def _lower(pixels, level, generator):
    from PIL import Image  # here, since `lab verdicts` needs only the names of the levels

    if level == "noise":
        return np.rint(pixels + generator.normal(0, NOISE, pixels.shape)).clip(0, 255)
    image = Image.fromarray(pixels)
    if level == "grey":
        return image.convert("L").convert("RGB")
    if level == "JPEG":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=JPEG_QUALITY)
        return Image.open(file)
    side = int(level.removesuffix(" pixels"))
    small = image.resize((side, side), Image.Resampling.BOX)
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
