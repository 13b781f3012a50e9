"""CIFAR-10: find or download it, verify it, read it, split it.

The data set (Krizhevsky 2009, "Learning multiple layers of features from tiny images") comes as six pickled batches.
Unpickling a file can run code in it, so only bytes with the official SHA-256 are unpickled.
"""

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labhelpers import cifar10, sources, usage
from labhelpers.cifar10 import ARCHIVE, CLASS_NAMES, FOLDER, N_TEST, N_TRAIN, N_TRAINABLE, SIDE
from labhelpers.download import fetch
from labhelpers.errors import DataDamaged, DataUnavailable, check_seed, check_whole_number
from labhelpers.paths import project, typed
from labhelpers.pictures import read_image  # noqa: F401  users import it from here

# Names of the data sets loaded by this process: `output.save_figure` stamps every figure made after stand-in images
# were loaded.
loaded_names: set[str] = set()


class Images(NamedTuple):
    """Images (uint8, (N, 32, 32, 3), RGB, 0 to 255) and their labels (uint8, (N,), 0 to 9), as `(x, y)` for Keras."""

    images: np.ndarray
    labels: np.ndarray


class Split(NamedTuple):
    """The images to train on, to choose the epoch by, and to report results on."""

    train: Images
    validation: Images
    test: Images


class Dataset(NamedTuple):
    """A data set that was found and verified: `name` and `digest` as in `Cifar10`; `load(source)` reads it."""

    name: str
    digest: str
    source: str

    @property
    def is_standin(self) -> bool:
        """Whether these are the stand-in images, whose results can't be compared with the original report."""
        return self.name != "CIFAR-10"


@dataclass(frozen=True, eq=False)
class Cifar10:
    """CIFAR-10, or the stand-in images, in the official order.

    Attributes:
        train_images, test_images: uint8, (50000, 32, 32, 3) and (10000, 32, 32, 3), RGB.
        train_labels, test_labels: uint8, (50000,) and (10000,), 0 to 9.
        name: `"CIFAR-10"` or `"stand-in images"`.
        digest: SHA-256 that identifies the data, hexadecimal.
        source: path of the folder or archive, or `"standin"`.
        class_names: the ten names, in the order of the labels.
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
        """Whether these are the stand-in images, whose results can't be compared with the original report."""
        return self.name != "CIFAR-10"

    def split(self, n_train: int, seed: int | None = None) -> Split:
        """Take `n_train` images for training; validation images are always 45,000 to 49,999 of the training set.

        Args:
            n_train: number of training images, 1 to 45,000.
            seed: if given, sample them at random from images 0 to 44,999; otherwise take the first ones.

        Raises:
            LabError: `n_train` or `seed` is not a whole number in its range.

        Example:
            >>> train, validation, test = load().split(20_000)
            >>> len(train.images), len(validation.images), len(test.images)
            (20000, 5000, 10000)
        """
        check_whole_number("n_train", n_train, 1, N_TRAINABLE)
        if seed is None:
            return self._split(slice(n_train), slice(N_TRAINABLE, None))
        check_seed(seed)
        sampled = np.random.default_rng(seed).permutation(N_TRAINABLE)[:n_train]
        return self._split(sampled, slice(N_TRAINABLE, None))

    def everything(self) -> Split:
        """Train on all 50,000 images; there is no validation set, so no choice can be based on one."""
        return self._split(slice(None), slice(0))

    def _split(self, train, validation):
        train, validation = (Images(self.train_images[part], self.train_labels[part]) for part in (train, validation))
        return Split(train, validation, Images(self.test_images, self.test_labels))


def load(source: str | os.PathLike | None = None) -> Cifar10:
    """Load CIFAR-10 in the official order, after verifying its SHA-256.

    Args:
        source: the unpacked folder `cifar-10-batches-py`, the official `cifar-10-python.tar.gz` or another archive of
            that folder, a folder that holds one of them, or `"standin"` for images drawn by a program. Without it, the
            loader tries `LAB_DATA`, then the project's `data` folder and those of Keras and torchvision; last it
            downloads the archive into `data`.

    Raises:
        DataDamaged: what was named is not the official data; the line says what it is.
        DataUnavailable: no source was named, no good copy was found, and the download failed.
        LabError: the source that was named does not exist.

    Example:
        >>> cifar = load()
        >>> cifar.train_images.shape
        (50000, 32, 32, 3)
    """
    dataset, batches = _find(source)
    if dataset.is_standin:
        from labhelpers import standin  # here, so that notebooks with real images don't depend on this module

        arrays = standin.draw()
    else:
        arrays = _parse(batches)
    loaded_names.add(dataset.name)
    usage.note("data", dataset.name)
    return Cifar10(*arrays, *dataset)  # type: ignore[call-arg, arg-type]


def find(source: str | os.PathLike | None = None) -> Dataset:
    """Find and verify the data set that `load` would load, without parsing it; arguments and errors as for `load`."""
    return _find(source)[0]


def _find(source) -> tuple[Dataset, list[bytes]]:
    """Return the data set, and its verified batches for `load` to parse; stand-in images have none."""
    named = source or os.environ.get("LAB_DATA")
    if named == "standin":
        program = Path(__file__).with_name("standin.py").read_bytes()  # which determines the images to the byte
        return Dataset("stand-in images", hashlib.sha256(program).hexdigest(), "standin"), []
    if named:  # a fault in it is an error, never a reason to use another source
        return _official(*sources.read_named(typed(named)))
    damaged = ""  # copies that were passed over, reported only if no other is good
    for folder in _usual_folders():
        for copy in sources.copies(sources.files_in(folder, 0) + sources.files_in(folder / FOLDER, 0)):
            try:
                return _official(*sources.read(copy))
            except DataDamaged as error:
                damaged += f" ({error})"
    try:
        return _official(*sources.read(fetch(project() / "data" / ARCHIVE)))
    except DataUnavailable as error:
        raise DataUnavailable(f"{error}{damaged}") from None


def _official(place, batches):
    return Dataset("CIFAR-10", cifar10.digest(), place), batches


def _usual_folders() -> list[Path]:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  pathlib fails where there is none
    datasets = Path(os.environ.get("KERAS_HOME") or home / ".keras") / "datasets"
    keras = [datasets, datasets / f"{FOLDER}-target"]
    torchvision = [Path.cwd() / "data", home / "data"]  # as in its tutorials
    return [Path(path) for path in dict.fromkeys(map(os.path.realpath, [project() / "data", *keras, *torchvision]))]


def _parse(batches: list[bytes]) -> tuple[np.ndarray, ...]:
    """Return the arrays of `Cifar10`; drops each batch from the list once parsed, to save memory."""
    n = N_TRAIN + N_TEST
    images, labels = np.empty((n, SIDE, SIDE, 3), np.uint8), np.empty(n, np.uint8)
    for some_images, some_labels in zip(np.split(images, 6), np.split(labels, 6), strict=True):
        batch = pickle.loads(batches.pop(0), encoding="bytes")
        channels = batch[b"data"].reshape(-1, 3, SIDE, SIDE).swapaxes(0, 1)
        np.stack(channels, axis=-1, out=some_images)  # takes a third of the time of one transposed copy
        some_labels[:] = batch[b"labels"]
    return images[:N_TRAIN], labels[:N_TRAIN], images[N_TRAIN:], labels[N_TRAIN:]
