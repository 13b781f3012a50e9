"""CIFAR-10: find or download it, verify it, read it, split it.

The data set (Krizhevsky 2009, "Learning multiple layers of features from tiny images") comes as six pickled
batches. Pickles can run code when read, so nothing is parsed before its SHA-256 is the official one, and
then only plain arrays are let through.
"""

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labhelpers import cifar10, usage
from labhelpers.cifar10 import ARCHIVE, BATCH_SHA256, CLASS_NAMES, FOLDER, N_TEST, N_TRAIN, N_TRAINABLE, SIDE
from labhelpers.download import fetch
from labhelpers.errors import DataDamaged, DataUnavailable, LabError, check_seed, check_whole_number
from labhelpers.paths import project

HARMLESS = {  # all that a batch needs besides dictionaries, lists, strings and numbers
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}

# The data sets loaded in this process: `output.save_figure` stamps figures once drawn images are among them,
# whether or not the code that draws the figure thinks of it.
loaded_names = set()


class Images(NamedTuple):
    """Images with their labels; unpacks like the `(x, y)` pairs that Keras takes.

    Attributes:
        images: uint8, (N, 32, 32, 3), RGB, 0 to 255.
        labels: uint8, (N,), 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


class Split(NamedTuple):
    """What to train on, what to choose by, and what to report on; each is an `Images`."""

    train: Images
    validation: Images
    test: Images


@dataclass(frozen=True, eq=False)
class Cifar10:
    """CIFAR-10, or the drawn stand-in for it, in the official order.

    Attributes:
        train_images: uint8, (50000, 32, 32, 3), RGB.
        train_labels: uint8, (50000,), 0 to 9.
        test_images: uint8, (10000, 32, 32, 3), RGB.
        test_labels: uint8, (10000,), 0 to 9.
        name: `"CIFAR-10"`, or `"stand-in images"`.
        digest: SHA-256 that identifies the data, hexadecimal.
        source: where it was found.
        class_names: the ten names, by label.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    name: str
    digest: str
    source: str
    class_names: tuple[str, ...] = CLASS_NAMES

    @property
    def is_standin(self) -> bool:
        """Whether these are the drawn images, of which nothing may be compared with the original report."""
        return self.name != "CIFAR-10"

    def split(self, n_train: int, seed: int | None = None) -> Split:
        """Split off `n_train` training images; validation is always training images 45,000-49,999.

        Args:
            n_train: how many of images 0-44,999 to train on, 1 to 45,000.
            seed: `None` takes the first `n_train`; a number takes a random draw of them.

        Raises:
            LabError: `n_train` is no whole number from 1 to 45,000, or `seed` none from 0.
        """
        check_whole_number("n_train", n_train, 1, N_TRAINABLE)
        chosen = slice(n_train)
        if seed is not None:
            check_seed(seed)
            chosen = np.random.default_rng(seed).permutation(N_TRAINABLE)[:n_train]
        return Split(
            Images(self.train_images[chosen], self.train_labels[chosen]),
            Images(self.train_images[N_TRAINABLE:], self.train_labels[N_TRAINABLE:]),
            Images(self.test_images, self.test_labels),
        )

    def everything(self) -> Split:
        """Train on all 50,000 images: nothing is left to choose by, so all must have been chosen before."""
        return Split(
            Images(self.train_images, self.train_labels),
            Images(self.train_images[:0], self.train_labels[:0]),
            Images(self.test_images, self.test_labels),
        )


class Found(NamedTuple):
    """A source of data that was found and verified: `name` and `digest` as in `Cifar10`, `source` to load it by."""

    name: str
    digest: str
    source: str

    @property
    def is_standin(self) -> bool:
        """Whether these are the drawn images, of which nothing may be compared with the original report."""
        return self.name != "CIFAR-10"


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read a picture of any size and cut it to what a network sees: its middle square, as uint8, (32, 32, 3).

    Raises:
        LabError: there is no such file, or it is no picture.
    """
    from PIL import Image, ImageOps

    path = Path(path).expanduser().absolute()
    usage.note("files", path)
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except FileNotFoundError:
        raise LabError(f"there is no file {path}: give the path of a picture") from None
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise LabError(f"{path} can't be read as a picture: take a JPEG or PNG") from error
    return np.asarray(ImageOps.fit(upright, (SIDE, SIDE), Image.Resampling.BOX))


def load(source: str | os.PathLike | None = None) -> Cifar10:
    """Load CIFAR-10, every digest verified, in the official order.

    Looks at `source`, else at `LAB_DATA`, else in the project's `data` folder and where Keras and torchvision
    keep it, and last downloads it into `data`. A source is the unpacked folder `cifar-10-batches-py`, a folder
    that holds it, the official `cifar-10-python.tar.gz`, or the word `standin` for images drawn by a program.

    Raises:
        DataDamaged: a file is not the official one.
        DataUnavailable: nothing was named, nothing was found, and no mirror could be reached.
        LabError: the source named is not there.
    """
    found, batches = _find(source)
    if found.is_standin:
        from labhelpers import standin

        arrays = standin.draw()
    else:
        arrays = _parse(batches)
    loaded_names.add(found.name)
    usage.note("data", found.name)
    return Cifar10(*arrays, *found)


def find(source: str | os.PathLike | None = None) -> Found:
    """Find and verify the data that `load` would load, without parsing it; arguments and errors as there."""
    return _find(source)[0]


def _find(source) -> tuple[Found, list[bytes]]:
    """Return what `find` returns, and the six batches that were verified, to be parsed; none for the stand-in."""
    named = source or os.environ.get("LAB_DATA")
    if named == "standin":
        # The images follow from the program, to the byte and on every machine: its digest is theirs.
        program = Path(__file__).with_name("standin.py").read_bytes()
        return Found("stand-in images", hashlib.sha256(program).hexdigest(), "standin"), []
    if named:  # what is wrong with it is an error, never a reason to look elsewhere
        return _read(_copy_named(Path(named).expanduser()))
    damaged = []  # passed over, and reported only if no copy is good
    for copy in _usual_copies():
        try:
            return _read(copy)
        except DataDamaged as error:
            damaged.append(f" ({error})")
    try:
        return _read(fetch(project() / "data" / ARCHIVE))
    except DataUnavailable as error:
        raise DataUnavailable(f"{error}{''.join(damaged)}") from None


def _copy_named(place: Path) -> Path:
    if not os.path.exists(place):  # noqa: PTH110 (Path.exists lets "name too long" through)
        raise LabError(f"{place} does not exist: name a {FOLDER} folder, {ARCHIVE} or 'standin'")
    copies = _copies_in(place)
    if not copies:
        raise LabError(f"there is no {FOLDER} folder and no {ARCHIVE} in {place}: name one that holds it")
    return copies[0]


def _usual_copies():
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    keras = keras_home / "datasets"
    torchvision = [Path.cwd() / "data", Path.home() / "data"]  # the roots its tutorials name
    places = (project() / "data", keras, keras / f"{FOLDER}-target", *torchvision)
    for place in dict.fromkeys(place.resolve() for place in places):
        yield from _copies_in(place)


def _copies_in(place: Path) -> list[Path]:
    """Return the folders of batches and the archives at or in `place`."""
    if place.is_file() or any((place / batch).exists() for batch in BATCH_SHA256):
        return [place]
    # Keras keeps the archive under the folder's name.
    names = (FOLDER, ARCHIVE, f"{FOLDER}.tar.gz", f"{FOLDER}-target.tar.gz")
    return [place / name for name in names if (place / name).exists()]


def _read(copy: Path) -> tuple[Found, list[bytes]]:
    """Read the six batches of a folder or an archive, and verify what was read.

    Raises:
        DataDamaged: a batch is missing, can't be read or is not the official one.
    """
    try:
        batches = list(_batches_in_folder(copy) if copy.is_dir() else _batches_in_archive(copy))
    except OSError as error:
        raise DataDamaged(f"{copy} can't be read ({error}): fetch the data set again") from error
    return Found("CIFAR-10", cifar10.digest(), str(copy)), batches


def _batches_in_folder(folder: Path):
    for name, sha256 in BATCH_SHA256.items():
        path = folder / name
        if not path.exists():
            raise DataDamaged(f"{path} is missing: unpack {ARCHIVE} again")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataDamaged(
                f"{path} is damaged or not the official file (its SHA-256 differs): unpack {ARCHIVE} again"
            )
        yield content


def _batches_in_archive(archive: Path):
    """Yield the batches in order; the archive is verified whole first, so its inside can be trusted."""
    with archive.open("rb") as file:
        content = file.read(cifar10.ARCHIVE_BYTES + 1)  # one byte more, so that a longer file differs too
    if hashlib.sha256(content).hexdigest() != cifar10.ARCHIVE_SHA256:
        raise DataDamaged(
            f"{archive} is damaged, incomplete or not the official archive (its SHA-256 differs): "
            "delete it and fetch it again"
        )
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for name in BATCH_SHA256:
            yield tar.extractfile(f"{FOLDER}/{name}").read()


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles that hold nothing but dictionaries, lists, strings and NumPy arrays."""

    def find_class(self, module, name):
        try:
            return HARMLESS[module, name]
        except KeyError:
            raise DataDamaged(f"a batch asks to run {module}.{name}: not the official CIFAR-10") from None


def _parse(batches: list[bytes]) -> tuple[np.ndarray, ...]:
    """Return the arrays of `Cifar10`; takes each batch out of the list once parsed, to keep memory low."""
    n = N_TRAIN + N_TEST
    images, labels = np.empty((n, SIDE, SIDE, 3), np.uint8), np.empty(n, np.uint8)
    for some_images, some_labels in zip(np.split(images, 6), np.split(labels, 6), strict=True):
        batch = _ArraysOnly(io.BytesIO(batches.pop(0)), encoding="bytes").load()
        channels = batch[b"data"].reshape(-1, 3, SIDE, SIDE).swapaxes(0, 1)
        np.stack(channels, axis=-1, out=some_images)  # takes a third of the time of one transposed copy
        some_labels[:] = batch[b"labels"]
    return images[:N_TRAIN], labels[:N_TRAIN], images[N_TRAIN:], labels[N_TRAIN:]
