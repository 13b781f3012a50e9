"""CIFAR-10 is read as Keras reads it, and split."""

import hashlib
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from labhelpers import cifar10, data, standin
from labhelpers.errors import LabError

BATCHES = tuple(cifar10.BATCH_SHA256)


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Six batches of random pixels, written as the official ones are and official during a test, and their arrays."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 10_000, 32, 32, 3), np.uint8), rng.integers(0, 10, (6, 10_000))
    for name, some_images, some_labels in zip(BATCHES, images, labels, strict=True):
        rows = some_images.transpose(0, 3, 1, 2).reshape(10_000, 3_072)
        content = pickle.dumps({b"data": rows, b"labels": some_labels.tolist()}, protocol=3)
        content = content.replace(b"numpy._core", b"numpy.core", 1)  # as Python 2's NumPy called it
        (tmp_path / name).write_bytes(content)
        monkeypatch.setitem(cifar10.BATCH_SHA256, name, hashlib.sha256(content).hexdigest())
    yield SimpleNamespace(folder=tmp_path, images=images, labels=labels)
    shutil.rmtree(tmp_path)  # otherwise pytest keeps it


# What it reads


@pytest.mark.slow
def test_real_batches_are_read_as_keras_reads_them(real_cifar):
    from labhelpers import backend  # noqa: F401  Keras, started quietly

    keras = pytest.importorskip("keras.src.datasets.cifar")
    source = Path(real_cifar.source)
    if not source.is_dir():
        pytest.skip("Keras's parser reads the unpacked folder, and only the archive is here")
    images, labels = zip(*(keras.load_batch(source / name) for name in BATCHES), strict=True)
    images = np.concatenate(images).transpose(0, 2, 3, 1)
    assert np.array_equal(np.concatenate([real_cifar.train_images, real_cifar.test_images]), images)
    ours = np.concatenate([real_cifar.train_labels, real_cifar.test_labels])
    assert np.array_equal(ours, np.concatenate(labels))


def test_real_data_is_the_published_data_set(real_cifar):
    assert real_cifar.name == "CIFAR-10" and not real_cifar.is_standin
    means = real_cifar.train_images.mean(axis=(0, 1, 2)) / 255
    assert means == pytest.approx([0.49140, 0.48216, 0.44653], abs=5e-6)
    assert np.bincount(real_cifar.train_labels).tolist() == 10 * [5_000]
    assert np.bincount(real_cifar.test_labels).tolist() == 10 * [1_000]
    meta = Path(real_cifar.source) / "batches.meta"
    if meta.is_file() and hashlib.md5(meta.read_bytes()).hexdigest() == "5ff9c542aee3614f3951f8cda6e48888":
        names = pickle.loads(meta.read_bytes(), encoding="utf8")["label_names"]
        assert real_cifar.class_names == tuple(names)


def test_batches_are_read_in_the_official_order_and_remembered(official, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(official.folder))
    found = data.find()
    assert data.loaded_names == set()
    loaded = data.load()
    assert data.loaded_names == {"CIFAR-10"}
    assert np.array_equal(loaded.train_images, np.concatenate(official.images[:5]))
    assert np.array_equal(loaded.train_labels, np.concatenate(official.labels[:5]))
    assert np.array_equal(loaded.test_images, official.images[5])
    assert np.array_equal(loaded.test_labels, official.labels[5])
    assert {array.dtype for array in (loaded.train_images, loaded.train_labels)} == {np.dtype(np.uint8)}
    assert found == ("CIFAR-10", loaded.digest, str(official.folder)) and not loaded.is_standin
    assert loaded.digest == cifar10.digest() and len(bytes.fromhex(loaded.digest)) == 32
    monkeypatch.setitem(cifar10.BATCH_SHA256, "test_batch", 64 * "0")
    assert cifar10.digest() != loaded.digest


def test_standin_is_found_without_being_drawn_and_remembered_once_loaded(monkeypatch):
    monkeypatch.setattr(standin, "draw", lambda: pytest.fail("drawn"))
    found = data.find("standin")
    assert found.is_standin and len(bytes.fromhex(found.digest)) == 32
    assert data.loaded_names == set()
    arrays = [np.full(1, number) for number in range(4)]
    monkeypatch.setattr(standin, "draw", lambda: arrays)
    monkeypatch.setenv("LAB_DATA", "standin")
    loaded = data.load()
    assert loaded.is_standin and loaded.test_images is arrays[2]
    assert (loaded.name, loaded.digest, loaded.source) == found == data.find()
    assert data.loaded_names == {"stand-in images"}


# How it is split


@pytest.fixture(scope="module")
def numbered():
    """A data set in which each image is its own number; test images count on from 50,000."""
    train, test = np.arange(50_000), np.arange(50_000, 60_000)
    return data.Cifar10(train, train, test, test, "CIFAR-10", "", "")


@pytest.mark.parametrize("n_train", [1, np.int64(20_000), 45_000])
@pytest.mark.parametrize("seed", [None, 7])
def test_split_samples_only_training_images(numbered, n_train, seed):
    split = numbered.split(n_train, seed)
    np.testing.assert_array_equal(split.validation.images, np.arange(45_000, 50_000))
    np.testing.assert_array_equal(split.test.images, np.arange(50_000, 60_000))
    for part in split:
        np.testing.assert_array_equal(part.images, part.labels)
    chosen = split.train.images
    if seed is None:
        np.testing.assert_array_equal(chosen, np.arange(n_train))
    else:
        assert len(set(chosen)) == n_train and chosen.max() < 45_000
        np.testing.assert_array_equal(chosen, numbered.split(n_train, seed).train.images)
        assert (chosen != numbered.split(n_train, seed + 1).train.images).any()


@pytest.mark.parametrize("n_train", [0, 45_001, 1.5, 20_000.0, float("nan"), "20000", None, True])
def test_impossible_number_of_training_images_is_refused(numbered, n_train, tells):
    with tells(LabError, f"n_train is {n_train!r}", "45000"):
        numbered.split(n_train)
    with tells(LabError, f"seed is {-1!r}"):
        numbered.split(100, -1)


def test_everything_leaves_no_validation_images(numbered):
    train, validation, test = numbered.everything()
    np.testing.assert_array_equal(train, 2 * [np.arange(50_000)])
    np.testing.assert_array_equal(test, 2 * [np.arange(50_000, 60_000)])
    assert len(validation.images) == len(validation.labels) == 0


def test_looking_at_data_and_results_does_not_start_tensorflow():
    code = """
import sys
import labhelpers.data, labhelpers.evaluation, labhelpers.plots, labhelpers.study.comparison
labhelpers.evaluation.accuracy_interval(1, 2)
print({"tensorflow", "keras", "jax", "torch", "labhelpers.backend"} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")
