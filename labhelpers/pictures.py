"""Read a picture file as a viewer shows it, whatever its mode and bit depth."""

import io
import os
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from labhelpers import usage
from labhelpers.cifar10 import SIDE
from labhelpers.errors import LabError
from labhelpers.paths import typed

ORIENTATION = 0x0112  # in EXIF
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # a tag of TIFF, and one of its values
AS_JPEG = "save it as JPEG or PNG"


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read a picture of any size and cut out its middle square, scaled to uint8, (32, 32, 3), as a viewer shows it.

    Args:
        path: a JPEG, PNG, GIF, WebP, TIFF or other file that Pillow reads; the first, if there are several pictures in
            it. What is transparent becomes white.

    Raises:
        LabError: there is no such file, or it can't be read as a picture; the line says why.
    """
    from PIL import Image, ImageOps

    file = typed(path)
    usage.note("files", file)
    if os.path.isdir(file):  # noqa: PTH112  this and the next are False for a name that is too long; pathlib would fail
        raise LabError(f"{file} is a folder: give the path of a picture")
    if not os.path.isfile(file):  # noqa: PTH113
        places = dict.fromkeys([os.environ.get("PWD", "."), str(Path.cwd())])  # those of `typed`
        where = "" if Path(path).expanduser().is_absolute() else f" in {' or '.join(places)}"
        raise LabError(f"there is no file {os.fspath(path)}{where}: give the path of a picture")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file) as picture:
            picture.draft("RGB", (2_048, 2_048))  # reads a large JPEG faster, at half its size or less
            picture.load()  # the mode may be another one before
            upright = _upright(_as_srgb(_on_white(picture), picture), picture)
    except LabError as error:
        raise LabError(f"{file} {error}") from None
    except (Image.DecompressionBombError, MemoryError):
        raise LabError(f"{file} has too many pixels: save a smaller copy") from None
    except Exception as error:  # Pillow raises many kinds if a file is damaged or no picture
        if isinstance(error, OSError) and error.strerror:
            raise LabError(f"{file} can't be read: {error.strerror}") from error
        unreadable = "is empty, damaged, cut off or in a format that can't be read"
        raise LabError(f"{file} {unreadable}: get it again, or {AS_JPEG}") from error
    return np.asarray(ImageOps.fit(upright, (SIDE, SIDE), Image.Resampling.BOX))


def _on_white(picture):
    """Return a picture as RGB; what is transparent becomes white."""
    from PIL import Image

    if picture.mode[0] in "IF":  # more than 8 bits
        values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
        of_16_bits = picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM")
        grey = np.rint(values * (255 / (65_535 if of_16_bits else _white(values)))).clip(0, 255).astype(np.uint8)
        if picture.format == "TIFF" and picture.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            grey = 255 - grey  # Pillow does it for 8 bits alone
        grey[values == picture.info.get("transparency")] = 255
        return Image.fromarray(grey).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    white.alpha_composite(layer)
    return white.convert("RGB")


def _white(values):
    """Return the number that means white: 1, 255 or 65535; values overshoot it a little where a picture was scaled."""
    low, high = values.min(), values.max()
    for white in (1, 255, 65_535):
        if -white / 10 <= low and high <= 1.1 * white and (white == 1 or high > white / 10):
            return white
    raise LabError(f"holds values from {low:g} to {high:g}, not 0 to 1, 0 to 255 or 0 to 65535: {AS_JPEG}")


def _as_srgb(image, picture):
    """Convert `image` from the colours of the ICC profile of `picture`, if it has one that can be used."""
    with suppress(Exception):  # Pillow raises many kinds for a profile that is broken, which a viewer ignores
        from PIL import ImageCms

        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        space = profile.profile.xcolor_space.strip()
        source = picture if space == "CMYK" else image.convert({"RGB": "RGB", "GRAY": "L"}[space])
        return ImageCms.profileToProfile(source, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return image


def _upright(image, picture):
    """Turn `image` as the EXIF of `picture` says."""
    from PIL import ImageOps

    image.info.clear()  # EXIF is copied with it
    with suppress(Exception):  # Pillow raises many kinds for EXIF that is broken, which a viewer ignores
        image.getexif()[ORIENTATION] = picture.getexif()[ORIENTATION]
        return ImageOps.exif_transpose(image)
    return image
