"""Read a picture file as a viewer shows it, whatever its mode and bit depth."""

import os
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from labhelpers.errors import LabError

ORIENTATION = 0x0112  # in EXIF
DRAWINGS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # Pillow recognises them, but needs other programs
AS_JPEG = "save it as JPEG or PNG"


def read(path: Path, side: int) -> np.ndarray:
    """Return the middle square of a picture, averaged to uint8, (side, side, 3); errors as for `data.read_image`."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not os.path.isfile(path):  # noqa: PTH113  False for a name that is too long, for which pathlib raises an error
        problem = f"{path} is a folder" if os.path.isdir(path) else f"there is no file {path}"  # noqa: PTH112
        raise LabError(f"{problem}: give the path of a picture")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            if picture.format in DRAWINGS:
                raise UnidentifiedImageError
            picture.draft("RGB", (2_048, 2_048))  # reads a large JPEG faster, at half its size or less
            picture.load()  # the mode may be another one before
            upright = _upright(_on_white(picture), picture)
    except UnidentifiedImageError:
        raise LabError(f"{path} {_problem(path)}") from None
    except (Image.DecompressionBombError, MemoryError):
        raise LabError(f"{path} has too many pixels: save a smaller copy") from None
    except Exception as error:  # Pillow raises many kinds if a file is damaged
        if isinstance(error, OSError) and error.strerror:
            raise LabError(f"{path} can't be read: {error.strerror}") from error
        reason = "truncated" if "truncated" in str(error).lower() else str(error)
        raise LabError(f"{path} is damaged ({reason}): get it again, or {AS_JPEG}") from error
    return np.asarray(ImageOps.fit(upright, (side, side), Image.Resampling.BOX))


def _problem(path):
    from PIL import Image

    with path.open("rb") as file:
        begin = file.read(16)
    if not begin:
        return "is empty: give the path of a picture"
    if any(accept and accept(begin) for name, (_, accept) in Image.OPEN.items() if name not in DRAWINGS):
        return f"is damaged, or of a kind that can't be read: get it again, or {AS_JPEG}"
    return f"is not in a format that can be read: {AS_JPEG}"


def _on_white(picture):
    """Return a picture as RGB; what is transparent becomes white."""
    from PIL import Image

    if picture.mode[0] in "IF":  # more than 8 bits
        values = np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0)
        largest = 65_535 if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM") else values.max()
        white = next((top for top in (1, 255, 65_535) if top >= largest), largest)
        grey = np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)
        grey[values == picture.info.get("transparency")] = 255
        return Image.fromarray(grey).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    white.alpha_composite(layer)
    return white.convert("RGB")


def _upright(image, picture):
    """Turn `image` as the EXIF of `picture` says."""
    from PIL import ImageOps

    image.info.clear()  # EXIF is copied with it
    with suppress(Exception):  # Pillow raises many kinds for EXIF that is broken, which a viewer ignores
        image.getexif()[ORIENTATION] = picture.getexif()[ORIENTATION]
        return ImageOps.exif_transpose(image)
    return image
